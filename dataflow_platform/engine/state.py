"""Cursors per pipeline and stream, and the record of every load; kept in the destination.

Three tables stand beside the loaded ones, in the same schema:

``_dataflow_state``       one row a stream: how far it has been read
``_dataflow_loads``       one row a load: what it moved
``_dataflow_quarantine``  one row a rejected row: values, reasons, place, and what became of it

A fourth one is there once a stream declares checks:

``_dataflow_quality``     one row a measurement of a load: verdicts, metrics, scores, profiles
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dataflow_platform.core import injection
from dataflow_platform.core.base import Column, Session, State, Table
from dataflow_platform.core.sql import literal, qualified, quote

STATE, LOADS, QUARANTINE = "_dataflow_state", "_dataflow_loads", "_dataflow_quarantine"
QUALITY = "_dataflow_quality"

# Columns are only ever added, and at the end: an older warehouse gets them by itself.
_TABLES = {
    STATE: "pipeline VARCHAR, stream VARCHAR, cursor_value VARCHAR, cursor_type VARCHAR, boundary VARCHAR, "
    "position VARCHAR, load_id VARCHAR, updated_at TIMESTAMPTZ, boundary_columns VARCHAR",
    LOADS: "load_id VARCHAR, pipeline VARCHAR, stream VARCHAR, target VARCHAR, run_id VARCHAR, "
    "partition_key VARCHAR, strategy VARCHAR, started_at TIMESTAMPTZ, committed_at TIMESTAMPTZ, rows_read BIGINT, "
    "rows_loaded BIGINT, rows_quarantined BIGINT, rows_filtered BIGINT, rows_inserted BIGINT, rows_updated BIGINT, "
    "rows_deleted BIGINT, cursor_before VARCHAR, cursor_after VARCHAR, checks VARCHAR, primary_key VARCHAR, "
    "rows_made BIGINT",
    QUARANTINE: "quarantine_id VARCHAR, load_id VARCHAR, run_id VARCHAR, pipeline VARCHAR, stream VARCHAR, "
    "target VARCHAR, row_values VARCHAR, reasons VARCHAR, status VARCHAR, quarantined_at TIMESTAMPTZ, "
    "source_values VARCHAR, source_types VARCHAR, judged_values VARCHAR, source_position VARCHAR, strategy VARCHAR, "
    "loaded_at TIMESTAMPTZ, clears_partition BOOLEAN, refusal VARCHAR, changed_at TIMESTAMPTZ, changed_by VARCHAR, "
    "changed_why VARCHAR",
}
_QUALITY = {
    QUALITY: "pipeline VARCHAR, stream VARCHAR, target VARCHAR, load_id VARCHAR, run_id VARCHAR, "
    "measured_at TIMESTAMPTZ, published BOOLEAN, kind VARCHAR, name VARCHAR, column_name VARCHAR, value DOUBLE, "
    "passed BOOLEAN, severity VARCHAR, failing BIGINT, rows BIGINT, sentence VARCHAR, detail VARCHAR",
}


@dataclass(frozen=True)
class LoadRecord:
    """What one load did. ``read + made = loaded + quarantined + filtered`` always holds; sizes in rows."""

    load_id: str
    pipeline: str
    stream: str
    target: str
    run_id: str
    partition_key: str | None
    strategy: str
    started_at: datetime
    committed_at: datetime
    rows_read: int
    rows_loaded: int
    rows_quarantined: int
    rows_filtered: int
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    cursor_before: str | None
    cursor_after: str | None
    checks: str
    """JSON list of ``{name, passed, severity, failing}``: what the checks said before the commit."""
    primary_key: str | None = None
    """JSON list of the columns that told the rows apart; None for a load of before it was kept."""
    rows_made: int | None = 0
    """Rows that steps made beyond those read (a list opened, a join); None for a load of before it was kept."""


def system_table(schema: str, name: str) -> str:
    """The quoted name of one of those tables in ``schema``."""
    return qualified(schema, name)


def ensure_tables(session: Session, schema: str, *, quality: bool = False) -> None:
    """Create the tables of ``schema`` where they are missing, and the columns that older ones lack."""
    tables = _TABLES | _QUALITY if quality else _TABLES
    known = {name: session.columns(Table(schema, name)) for name in tables}
    if None in known.values():
        session.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    injection.reach("table_ensured")
    grown = False
    for name, columns in tables.items():
        there = known[name]
        if there is None:
            session.execute(f"CREATE TABLE IF NOT EXISTS {system_table(schema, name)} ({columns})")
            # Another load may have made it meanwhile, or an older version of this program.
            there = session.columns(Table(schema, name)) or ()
        injection.reach("table_ensured")
        names = {column.name for column in there}
        for column in columns.split(", "):
            if column.partition(" ")[0] not in names:
                session.execute(f"ALTER TABLE {system_table(schema, name)} ADD COLUMN IF NOT EXISTS {column}")
                grown = True
    if grown:
        # DuckDB commits no DELETE together with an ALTER of the same table.
        session.settle()


def load_state(session: Session, schema: str, pipeline: str, stream: str) -> State:
    """How far ``stream`` was read by the last committed load; an empty State before the first."""
    rows = session.query(
        f"SELECT cursor_value, cursor_type, boundary, position, boundary_columns FROM {system_table(schema, STATE)} "
        f"WHERE {_is(pipeline, stream)}"
    )
    injection.reach("state_read")
    if not rows:
        return State()
    cursor, cursor_type, boundary, position, columns = rows[0]
    made_of = tuple(Column(name, kind) for name, kind in json.loads(columns or "[]"))
    return State(cursor, cursor_type, tuple(json.loads(boundary)), json.loads(position), boundary_columns=made_of)


def peek_state(session: Session, schema: str, pipeline: str, stream: str) -> State:
    """The stream's state where nothing may be created: empty where the table is missing or from an older version."""
    there = {column.name for column in session.columns(Table(schema, STATE)) or ()}
    return load_state(session, schema, pipeline, stream) if "boundary_columns" in there else State()


def save_state(session: Session, schema: str, pipeline: str, stream: str, state: State, load_id: str) -> None:
    """Replace the stream's state, in the session's transaction."""
    held = {
        "cursor_value": state.cursor,
        "cursor_type": state.cursor_type,
        "boundary": json.dumps(list(state.boundary)),
        "position": json.dumps(dict(state.position)),
        "load_id": load_id,
        "updated_at": datetime.now(UTC),
        "boundary_columns": json.dumps([[column.name, column.type] for column in state.boundary_columns]),
    }
    changed = ", ".join(f"{name} = {literal(value)}" for name, value in held.items())
    if not session.execute(f"UPDATE {system_table(schema, STATE)} SET {changed} WHERE {_is(pipeline, stream)}"):
        insert(session, schema, STATE, [(pipeline, stream, *held.values())])


def reset_state(session: Session, schema: str, pipeline: str, stream: str) -> None:
    """Forget how far the stream was read: the next load reads it from the beginning."""
    session.execute(f"DELETE FROM {system_table(schema, STATE)} WHERE {_is(pipeline, stream)}")


def save_record(session: Session, schema: str, record: LoadRecord) -> None:
    """Add the load record, in the session's transaction."""
    insert(session, schema, LOADS, [tuple(vars(record).values())])


def find_record(session: Session, schema: str, load_id: str) -> LoadRecord | None:
    """The record of a load that was committed under ``load_id``, None where there is none."""
    rows = session.query(f"SELECT * FROM {system_table(schema, LOADS)} WHERE load_id = {literal(load_id)}")
    return LoadRecord(*rows[0]) if rows else None


def last_key(session: Session, schema: str, pipeline: str, stream: str, target: str) -> tuple[str, ...] | None:
    """The primary key of the stream's last load into ``target``; None where no load has kept one."""
    there = {column.name for column in session.columns(Table(schema, LOADS)) or ()}
    if "primary_key" not in there:
        return None
    loads = (
        f"FROM {system_table(schema, LOADS)} WHERE {_is(pipeline, stream)} "
        f"AND target = {literal(target)} AND primary_key IS NOT NULL"
    )
    ((least, greatest),) = session.query(f"SELECT min(primary_key), max(primary_key) {loads}")
    if least != greatest:  # a key that never changed needs no sorting, which cost more than all other questions
        ((greatest,),) = session.query(f"SELECT primary_key {loads} ORDER BY committed_at DESC LIMIT 1")
    return None if greatest is None else tuple(json.loads(greatest))


def _is(pipeline: str, stream: str) -> str:
    return f"pipeline = {literal(pipeline)} AND stream = {literal(stream)}"


def insert(session: Session, schema: str, table: str, rows: Sequence[Sequence[Any]]) -> None:
    """Add rows, of which there is at least one, to one of those tables, in the session's transaction."""
    # Literals: a bound parameter makes DuckDB import numpy and pandas, 0.9 CPU seconds once per process.
    lines = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    session.execute(f"INSERT INTO {system_table(schema, table)} VALUES {lines}")
