"""What the last load of each stream of a pipeline found: read from `_dataflow_quality` and from quarantine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from dataflow_platform.core.base import Session, Table
from dataflow_platform.core.sql import literal
from dataflow_platform.engine import quarantine, state
from dataflow_platform.engine.quality_score import OVERALL

Outcome = Literal["pass", "fail", "broken", "never run"]


@dataclass(frozen=True)
class Verdict:
    """How one check came out last. ``since`` and ``times``: the first of the failing loads in a row, and how many.

    ``known_before``: whether an earlier result is known; where none is, it may fail for longer than ``since`` says.
    """

    name: str
    outcome: Outcome
    severity: str
    failing: int | None = None
    rows: int | None = None
    sentence: str = ""
    description: str = ""
    column: str | None = None
    owner: str = ""
    at: datetime | None = None
    since: datetime | None = None
    times: int = 0
    first_run: str | None = None
    published: bool | None = None
    kind: Literal["check", "dbt test"] = "check"
    known_before: bool = True


@dataclass
class PipelineVerdicts:
    """By stream: the last verdict of each check, the last scores (0 to 100), open rows of quarantine by rule."""

    checks: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    quarantined: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    """Stream -> open rows of quarantine, each counted once."""


def verdicts_of(session: Session, schema: str, pipeline: str) -> PipelineVerdicts:
    """Everything that is known of a pipeline; nothing where it was never loaded, or no stream of it has checks."""
    found = PipelineVerdicts()
    if session.columns(Table(schema, state.QUALITY)) is not None:
        for stream, verdict in _last_checks(session, schema, pipeline):
            found.checks.setdefault(stream, {})[verdict.name] = verdict
        for stream, name, value in session.query(_scores(schema, pipeline)):
            found.scores.setdefault(str(stream), {})[str(name)] = float(value)
    if session.columns(Table(schema, state.QUARANTINE)) is not None:
        for stream, rule, count in quarantine.by_reason(session, schema, pipeline):
            found.quarantined.setdefault(stream, {})[rule] = count
        for stream, status, count in quarantine.by_status(session, schema, pipeline):
            if status == "open":
                found.waiting[stream] = count
    return found


def _last_checks(session: Session, schema: str, pipeline: str) -> list[tuple[str, Verdict]]:
    table = state.system_table(schema, state.QUALITY)
    # One pass over the history, in words that DuckDB and PostgreSQL share.
    asked = f"""
        WITH found AS (
          SELECT stream, name, run_id, measured_at, published, column_name, passed, severity, failing, rows, sentence,
            detail, row_number() OVER (PARTITION BY stream, name ORDER BY measured_at DESC, load_id) AS place,
            max(CASE WHEN passed THEN measured_at END) OVER (PARTITION BY stream, name) AS last_passed
          FROM {table} WHERE pipeline = {literal(pipeline)} AND kind = 'check'
        ), broken AS (
          SELECT stream, name, measured_at, run_id, count(*) OVER (PARTITION BY stream, name) AS times,
            row_number() OVER (PARTITION BY stream, name ORDER BY measured_at) AS first
          FROM found WHERE NOT passed AND (last_passed IS NULL OR measured_at > last_passed)
        )
        SELECT found.stream, found.name, found.measured_at, found.published, found.column_name, found.passed,
          found.severity, found.failing, found.rows, found.sentence, found.detail, broken.measured_at AS since,
          broken.times, broken.run_id
        FROM found LEFT JOIN broken
          ON broken.stream = found.stream AND broken.name = found.name AND broken.first = 1
        WHERE found.place = 1
    """
    return [(str(stream), _verdict(*rest)) for stream, *rest in session.query(asked)]


def _verdict(
    name: str, at: datetime, published: bool, column: str | None, passed: bool, severity: str, failing: int | None,
    rows: int | None, sentence: str | None, detail: str | None, since: datetime | None, times: int | None,
    run: str | None,
) -> Verdict:  # fmt: skip
    told: Mapping[str, Any] = json.loads(detail) if detail else {}
    broken = told.get("broken")
    return Verdict(
        name=name,
        outcome="broken" if broken else "pass" if passed else "fail",
        severity=severity,
        failing=None if broken else failing,
        rows=rows,
        sentence=str(broken or sentence or ""),
        description=str(told.get("description") or ""),
        column=column,
        owner=str(told.get("owner") or ""),
        at=at,
        since=since,
        times=times or 0,
        first_run=run or None,
        published=published,
    )


def _scores(schema: str, pipeline: str) -> str:
    """The scores of each stream's last load that has any."""
    return f"""
        SELECT stream, name, value FROM (
          SELECT stream, name, value, rank() OVER (PARTITION BY stream ORDER BY measured_at DESC) AS place
          FROM {state.system_table(schema, state.QUALITY)}
          WHERE pipeline = {literal(pipeline)} AND kind = 'score' AND column_name IS NULL AND value IS NOT NULL
        ) AS scored WHERE place = 1 ORDER BY stream, CASE WHEN name = {literal(OVERALL)} THEN '' ELSE name END
    """
