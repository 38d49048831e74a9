"""What is in quarantine: counted, shown, exported, discarded."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dataflow_platform.core.base import Session, Table
from dataflow_platform.core.sql import literal
from dataflow_platform.engine import rejected, replay_file
from dataflow_platform.engine.state import QUARANTINE, system_table


def by_reason(session: Session, schema: str, pipeline: str, status: str = "open") -> list[tuple[str, str, int]]:
    """Stream, rule and number of rows of a pipeline (a row may break several rules)."""
    # Counted by the whole list of reasons first: each destination takes JSON apart in words of its own.
    rows = session.query(
        f"SELECT stream, reasons, count(*) FROM {system_table(schema, QUARANTINE)} "
        f"WHERE pipeline = {literal(pipeline)} AND status = {literal(status)} GROUP BY 1, 2"
    )
    counted: Counter[tuple[str, str]] = Counter()
    for stream, reasons, count in rows:
        counted.update({(str(stream), reason["rule"]): int(count) for reason in json.loads(reasons)})
    found = [(stream, rule, count) for (stream, rule), count in counted.items()]
    return sorted(found, key=lambda each: (each[0], -each[2], each[1]))


def by_status(session: Session, schema: str, pipeline: str) -> list[tuple[str, str, int]]:
    """Stream, status and number of rows of a pipeline."""
    rows = session.query(
        f"SELECT stream, status, count(*) FROM {system_table(schema, QUARANTINE)} "
        f"WHERE pipeline = {literal(pipeline)} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [(str(stream), str(status), int(count)) for stream, status, count in rows]


def rows_of(
    session: Session, schema: str, pipeline: str, stream: str, limit: int, status: str = "open"
) -> list[dict[str, object]]:
    """The newest rows of a stream: values and reasons as they were when rejected, the source's own values, place."""
    rows = session.query(
        "SELECT quarantine_id, row_values, source_values, reasons, source_position, load_id, run_id, "
        "CAST(quarantined_at AS VARCHAR), status, refusal, CAST(changed_at AS VARCHAR), changed_by, changed_why "
        f"FROM {system_table(schema, QUARANTINE)} WHERE pipeline = {literal(pipeline)} AND stream = {literal(stream)} "
        f"AND status = {literal(status)} ORDER BY quarantined_at DESC, quarantine_id LIMIT {int(limit)}"
    )
    names = ("id", "values", "source", "reasons", "position", "load_id", "run_id", "at")
    more = ("status", "cannot_be_replayed", "changed_at", "changed_by", "why")
    found = []
    for row in rows:
        kept = [json.loads(text) if text and place in (1, 2, 3, 4) else text for place, text in enumerate(row)]
        shown = dict(zip(names, kept[:8], strict=True))
        # What has nothing to say (an open row was not changed by anybody) is left out.
        found.append(shown | {name: value for name, value in zip(more, kept[8:], strict=True) if value is not None})
    return found


def export_rows(session: Session, schema: str, pipeline: str, stream: str, file: Path, rule: str | None) -> int:
    """Write the open rows of a stream to a file; how many."""
    session.expose(Table(schema, QUARANTINE))
    return replay_file.write(
        session,
        # As JSON, so that a JSON lines file holds objects, not texts of objects.
        "SELECT quarantine_id, CAST(COLUMNS(['source_values', 'source_types', 'row_values', 'reasons', "
        f"'source_position']) AS JSON), load_id, run_id, quarantined_at "
        f"FROM {system_table(schema, QUARANTINE)} WHERE {_open(pipeline, stream, rule, ())} "
        "ORDER BY quarantined_at, quarantine_id",
        file,
    )


def discard_rows(
    session: Session, schema: str, pipeline: str, stream: str, who: str, why: str, rule: str | None, ids: Sequence[str]
) -> int:
    """Mark open rows as never to be loaded, in the session's transaction; how many."""
    session.expose(Table(schema, QUARANTINE))
    chosen = Table("temp", "_dataflow_discarded")
    session.in_engine(
        f"CREATE TEMP TABLE {chosen.name} AS SELECT quarantine_id FROM {system_table(schema, QUARANTINE)} "
        f"WHERE {_open(pipeline, stream, rule, ids)}"
    )
    return rejected.mark(session, schema, chosen, "discarded", who, why)


def _open(pipeline: str, stream: str, rule: str | None, ids: Sequence[str]) -> str:
    """SQL of the engine: an open row of the stream, that broke the rule, that has one of the ids."""
    found = f"pipeline = {literal(pipeline)} AND stream = {literal(stream)} AND status = 'open'"
    if rule is not None:
        found += f" AND {rejected.broke(rule)}"
    if ids:
        found += f" AND quarantine_id IN ({', '.join(map(literal, ids))})"
    return found
