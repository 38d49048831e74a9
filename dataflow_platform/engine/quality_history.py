"""What checks found and loads measured, kept with every load of a stream that declares checks.

One row of ``_dataflow_quality`` is one measurement: a verdict, a metric, a score or a profile. Those of a published
load commit with its rows; those of a load that its checks refused are kept by themselves, marked as not published.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dataflow_platform.core import injection
from dataflow_platform.core.base import Rule, Session
from dataflow_platform.core.sql import literal
from dataflow_platform.engine import quality_score, refused_rows, state, validate
from dataflow_platform.engine.measurement import Measurement
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

HISTORY = "history"
_COLUMNS = (
    "measured_at TIMESTAMPTZ, kind VARCHAR, name VARCHAR, column_name VARCHAR, value DOUBLE, rows BIGINT, "
    "detail VARCHAR"
)
_LONGEST = 10_000  # measurements a verdict looks back on


def of_verdict(verdict: validate.Verdict) -> Measurement:
    """A verdict as a measurement; ``detail`` tells its owner and what it was broken by."""
    told = {"owner": verdict.rule.owner or None, "broken": verdict.broken, "description": verdict.rule.description}
    return Measurement(
        kind="check",
        name=verdict.rule.name,
        column=verdict.rule.column,
        value=verdict.failing / verdict.rows if verdict.rows else None,
        passed=verdict.passed,
        severity=verdict.rule.severity,
        failing=verdict.failing,
        rows=verdict.rows,
        sentence=verdict.sentence,
        detail=json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False),
    )


def measured(session: Session, publishable: str, rules: Iterable[Rule]) -> list[Measurement]:
    """What ``rules`` measure of the rows that would be published; ``publishable`` is ``WITH staged AS (...)``."""
    found = []
    for rule in rules:
        kept = validate.answered(session, f"{publishable} {rule.measures}", rule) if rule.measures else ()
        for name, column, value, detail in kept:
            known = None if value is None else float(value)
            found.append(Measurement("metric", str(name), column, known, detail=detail))
    return found


def remember(load: StreamLoad, session: Session, rules: Sequence[Rule]) -> None:
    """Make ``history`` in the engine, where a rule reads it: what earlier published loads of the stream kept."""
    if not any(rule.reads_history for rule in rules):
        return
    rows = session.query(
        f"SELECT measured_at, kind, name, column_name, value, rows, detail "
        f"FROM {state.system_table(load.target.schema, state.QUALITY)} WHERE published AND kind <> 'profile' "
        f"AND pipeline = {literal(load.pipeline)} AND stream = {literal(load.stream.name)} "
        f"ORDER BY measured_at DESC LIMIT {_LONGEST}"
    )
    session.in_engine(f"CREATE TEMP TABLE {HISTORY} ({_COLUMNS})")
    if rows:
        lines = ", ".join(f"({', '.join(map(literal, row))})" for row in reversed(rows))
        session.in_engine(f"INSERT INTO {HISTORY} VALUES {lines}")


def save(staged: StagedLoad, session: Session, *, published: bool) -> None:
    """Keep what was measured of ``staged``, in the transaction of ``session``."""
    load = staged.load
    if not load.checks:
        return
    rows = staged.rows_staged - staged.rows_quarantined
    found = [
        *map(of_verdict, staged.verdicts),
        Measurement("metric", "row_count", value=rows, rows=rows),
        *quality_score.scores(staged.verdicts, staged.rows_staged),
    ]
    head = (load.pipeline, load.stream.name, f"{load.target.schema}.{load.target.name}", load.load_id, load.run_id)
    at = datetime.now(UTC)
    state.insert(
        session, load.target.schema, state.QUALITY,
        [(*head, at, published, *vars(each).values()) for each in (*found, *staged.measurements)],
    )  # fmt: skip
    injection.reach("quality_written")


def save_refused(staged: StagedLoad) -> None:
    """Keep what was measured of a load that its checks refuse, and its bad rows; its own session is closed before.

    A destination that keeps its books in the table's own log keeps nothing before there is a table.
    """
    rows = refused_rows.collected(staged) if staged.load.checks else None
    staged.close()
    destination, target = staged.load.destination, staged.load.target
    if not staged.load.checks:
        return
    session = destination.session()
    try:
        session.lock(target)
        if destination.facts.transaction == "table_commit" and session.columns(target) is None:
            return
        schema = target.schema
        state.ensure_tables(session, schema, quality=True)
        table, load_id = state.system_table(schema, state.QUALITY), literal(staged.load.load_id)
        # A load that is tried again is another try of the same load: what it measured last counts.
        session.execute(f"DELETE FROM {table} WHERE load_id = {load_id} AND NOT published")
        save(staged, session, published=False)
        if rows is not None:
            refused_rows.save(session, staged.load, rows)
        session.commit()
        staged.kept_refused = rows is not None
    finally:
        session.close()


def publishable(staged: StagedLoad) -> str:
    """``WITH staged AS (...)``: the staged rows that break no row rule."""
    assert staged.staged is not None
    return validate.publishable(staged.staged, staged.rules)
