"""How good the rows of a load are, 0 to 100, by what its rules found; only what was measured counts.

The score of a rule is the share of rows that hold it, or all or nothing where it judges the rows as a whole. The score
of a dimension is the mean over its rules, that of the load the mean over its measured dimensions by ``WEIGHTS``.
"""

import json
import statistics
from collections.abc import Sequence

from dataflow_platform.core.rule import Dimension
from dataflow_platform.engine.measurement import Measurement
from dataflow_platform.engine.validate import Verdict

WEIGHTS: dict[Dimension, int] = {
    "completeness": 25, "validity": 30, "uniqueness": 20, "consistency": 15, "timeliness": 10,
}  # fmt: skip
OVERALL = "quality"
"""The name of the load's score; those of its dimensions are named after them."""


def scores(verdicts: Sequence[Verdict], rows: int) -> list[Measurement]:
    """The score of the load and of each measured dimension; none where no rule measured anything.

    A rule over rows says nothing of a load without rows, a rule that is itself broken says nothing at all.
    """
    by_dimension: dict[Dimension, list[float]] = {}
    for verdict in verdicts:
        held = _held(verdict)
        if held is not None:
            by_dimension.setdefault(verdict.rule.dimension, []).append(held)
    if not by_dimension:
        return []
    found = {name: 100 * statistics.fmean(by_dimension[name]) for name in WEIGHTS if name in by_dimension}
    weight = sum(WEIGHTS[name] for name in found)
    overall = sum(WEIGHTS[name] * value for name, value in found.items()) / weight
    missing = [name for name in WEIGHTS if name not in found]
    told = [f"{name} {_told(value)} ({_rules(len(by_dimension[name]))})" for name, value in found.items()]
    sentence = f"{OVERALL} {_told(overall)}: {', '.join(told)}"
    sentence += f"; not measured: {', '.join(missing)}" if missing else ""
    detail = json.dumps({"weights": {name: WEIGHTS[name] for name in found}, "not measured": missing})
    return [
        Measurement("score", OVERALL, value=overall, rows=rows, sentence=sentence, detail=detail),
        *(
            Measurement("score", name, value=value, rows=rows, detail=json.dumps({"rules": len(by_dimension[name])}))
            for name, value in found.items()
        ),
    ]


def _held(verdict: Verdict) -> float | None:
    """The share of rows that hold the rule, 0 to 1; None where that is not known."""
    rule = verdict.rule
    if verdict.broken is not None:
        return None
    if rule.violation is None and rule.rows is None and rule.dimension != "uniqueness":
        return float(verdict.passed)
    return None if not verdict.rows else max(0.0, 1 - verdict.failing / verdict.rows)


def _told(value: float) -> str:
    """Rounded down: what is not perfect never reads 100."""
    return f"{int(value * 10) / 10:g}"


def _rules(count: int) -> str:
    return "1 rule" if count == 1 else f"{count} rules"
