"""Rejected rows: kept with their values and reasons, in the transaction that loads the good ones."""

import json
from collections import Counter

from dataflow_platform.core.base import Session, Table
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import validate
from dataflow_platform.engine.state import QUARANTINE, system_table
from dataflow_platform.engine.stream_load import StagedLoad

_REJECTED = "_dataflow_rejected"


def set_aside(staged: StagedLoad) -> int:
    """Take the staged rows that break a row rule out of the stage and keep them in the engine; how many."""
    if not validate.row_rules(staged.rules) or staged.staged is None:
        return 0
    session, load = staged.session, staged.load
    table = qualified(staged.staged.schema, staged.staged.name)
    values = ", ".join(f"{literal(column.name)}: {quote(column.name)}" for column in staged.columns)
    known = ", ".join(
        literal(value) for value in (load.load_id, load.run_id, load.pipeline, load.stream.name, _name(staged))
    )
    bad = validate.is_bad(staged.rules)
    session.in_engine(
        f"CREATE TEMP TABLE {_REJECTED} AS SELECT uuid()::VARCHAR, {known}, to_json({{{values}}})::VARCHAR, "
        f"{validate.reasons(staged.rules)}, 'open', now() FROM {table} WHERE {bad}"
    )
    return int(session.in_engine(f"DELETE FROM {table} WHERE {bad}")[0][0])


def save_rejected(staged: StagedLoad) -> int:
    """Add the rows set aside to the quarantine table, in the session's transaction; how many."""
    if not validate.row_rules(staged.rules) or staged.staged is None:
        return 0
    moved = staged.session.append(Table(staged.load.target.schema, QUARANTINE), f"SELECT * FROM {_REJECTED}")
    staged.session.in_engine(f"DROP TABLE {_REJECTED}")
    return moved


def _name(staged: StagedLoad) -> str:
    return f"{staged.load.target.schema}.{staged.load.target.name}"


def by_reason(session: Session, schema: str, pipeline: str) -> list[tuple[str, str, int]]:
    """Stream, rule and number of open rows of a pipeline (a row may break several rules)."""
    # Counted by the whole list of reasons first: each destination takes JSON apart in words of its own.
    rows = session.query(
        f"SELECT stream, reasons, count(*) FROM {system_table(schema, QUARANTINE)} "
        "WHERE pipeline = ? AND status = 'open' GROUP BY 1, 2",
        [pipeline],
    )
    counted: Counter[tuple[str, str]] = Counter()
    for stream, reasons, count in rows:
        counted.update({(str(stream), reason["rule"]): int(count) for reason in json.loads(reasons)})
    found = [(stream, rule, count) for (stream, rule), count in counted.items()]
    return sorted(found, key=lambda each: (each[0], -each[2], each[1]))


def rows_of(session: Session, schema: str, pipeline: str, stream: str, limit: int) -> list[dict[str, object]]:
    """The newest open rows of a stream: values and reasons as they were when rejected."""
    rows = session.query(
        f"SELECT quarantine_id, row_values, reasons, load_id, quarantined_at::VARCHAR FROM "
        f"{system_table(schema, QUARANTINE)} WHERE pipeline = ? AND stream = ? AND status = 'open' "
        "ORDER BY quarantined_at DESC, quarantine_id LIMIT ?",
        [pipeline, stream, limit],
    )
    return [
        {"id": key, "values": json.loads(values), "reasons": json.loads(why), "load_id": load, "at": at}
        for key, values, why, load, at in rows
    ]
