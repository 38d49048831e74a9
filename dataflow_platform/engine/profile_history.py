"""Profiles as they are kept in ``_dataflow_quality``: one row for the table, one for each column."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dataflow_platform.core.base import Destination, Session, Table
from dataflow_platform.core.sql import literal
from dataflow_platform.engine import state
from dataflow_platform.engine.measurement import Measurement
from dataflow_platform.engine.profile import TableProfile
from dataflow_platform.engine.profile_columns import Bar, ColumnProfile, Share

_TABLE, _COLUMN = "table", "column"


def kept(destination: Destination, pipeline: str, stream: str, target: Table, profile: TableProfile) -> datetime:
    """Keep ``profile`` of the stream's table, in a transaction of its own; the time it is kept under."""
    at = datetime.now(UTC)
    head = (pipeline, stream, f"{target.schema}.{target.name}", "", "", at, True)
    session = destination.session()
    try:
        session.lock(target)
        state.ensure_tables(session, target.schema, quality=True)
        lines = [(*head, *vars(each).values()) for each in _measurements(profile)]
        state.insert(session, target.schema, state.QUALITY, lines)
        session.commit()
    finally:
        session.close()
    return at


def last(destination: Destination, pipeline: str, stream: str, target: Table) -> tuple[TableProfile, datetime] | None:
    """The newest profile that is kept of the stream's table and when it was taken, None before the first."""
    session = destination.preview()
    try:
        if session.columns(Table(target.schema, state.QUALITY)) is None:
            return None
        return _newest(session, pipeline, stream, target)
    finally:
        session.close()


def _newest(session: Session, pipeline: str, stream: str, target: Table) -> tuple[TableProfile, datetime] | None:
    table = state.system_table(target.schema, state.QUALITY)
    wanted = (
        f"kind = 'profile' AND pipeline = {literal(pipeline)} AND stream = {literal(stream)} "
        f"AND target = {literal(f'{target.schema}.{target.name}')}"
    )
    rows = session.query(
        f"SELECT name, rows, detail, measured_at FROM {table} WHERE {wanted} "
        f"AND measured_at = (SELECT max(measured_at) FROM {table} WHERE {wanted})"
    )
    whole = next((row for row in rows if row[0] == _TABLE), None)
    if whole is None:
        return None
    about = json.loads(whole[2])
    columns = [json.loads(row[2]) for row in rows if row[0] == _COLUMN]
    columns.sort(key=lambda each: about["columns"].index(each["name"]))
    profile = TableProfile(
        about["table"], int(whole[1]), about["sample_rows"], about["counted"], tuple(map(_as_column, columns))
    )
    return profile, whole[3]


def _measurements(profile: TableProfile) -> list[Measurement]:
    about = {
        "table": profile.table, "sample_rows": profile.sample_rows, "counted": profile.counted,
        "estimated": profile.estimated,
        "columns": [column.name for column in profile.columns],
    }  # fmt: skip
    whole = Measurement("profile", _TABLE, value=profile.rows, rows=profile.rows, detail=json.dumps(about))
    return [
        whole,
        *(
            Measurement(
                "profile", _COLUMN, column.name, column.nulls / profile.rows if profile.rows else None,
                rows=profile.rows, detail=json.dumps(as_data(column), ensure_ascii=False),
            )
            for column in profile.columns
        ),
    ]  # fmt: skip


def as_data(column: ColumnProfile) -> dict[str, Any]:
    """The column for JSON; what is not known of it is left out."""
    return {name: value for name, value in asdict(column).items() if value not in (None, (), [])}


def _as_column(data: Mapping[str, Any]) -> ColumnProfile:
    return ColumnProfile(**{
        **data,
        "quantiles": tuple(data.get("quantiles", ())),
        "histogram": tuple(Bar(**each) for each in data.get("histogram", ())),
        "top": tuple(Share(**each) for each in data.get("top", ())),
        "patterns": tuple(Share(**each) for each in data.get("patterns", ())),
    })  # fmt: skip
