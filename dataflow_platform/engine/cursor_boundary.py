"""Rows at the cursor: those an earlier load took are recognised, those of this one remembered."""

from collections.abc import Sequence

from dataflow_platform.core.base import Column, State
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine.stream_load import StagedLoad


def settle_boundary(
    result: StagedLoad, column: str, wanted: State, greatest: str | None, cursor_type: str | None
) -> None:
    """Drop the rows at the old cursor that an earlier load took, and remember those at the new one.

    Rows equal to the cursor are read again, since a later row may share it; a fingerprint (of the
    primary key and the row) tells the old ones. So nothing is lost and nothing moves twice.
    """
    session, staged = result.session, result.staged
    assert staged is not None
    table = qualified(staged.schema, staged.name)
    fingerprint = _fingerprint(result.columns)
    if wanted.cursor is not None and wanted.window is None and wanted.boundary:
        known = ", ".join(literal(value) for value in wanted.boundary)
        session.in_engine(
            f"DELETE FROM {table} WHERE {quote(column)} = CAST({literal(wanted.cursor)} AS {cursor_type}) "
            f"AND {fingerprint} IN ({known})"
        )
    if result.load.window is not None:
        return  # a partition run reads its range and leaves the incremental state alone
    if greatest is None:
        result.after = wanted
        return
    rows = session.in_engine(
        f"SELECT {fingerprint} FROM {table} "
        f"WHERE {quote(column)} = CAST({literal(greatest)} AS {cursor_type}) ORDER BY 1"
    )
    seen = {value for (value,) in rows}
    if greatest == wanted.cursor:
        seen.update(wanted.boundary)
    result.after = State(greatest, cursor_type, tuple(sorted(seen)))


def _fingerprint(columns: Sequence[Column]) -> str:
    values = ", ".join(f"{literal(column.name)}: {quote(column.name)}" for column in columns)
    return f"md5(to_json({{{values}}})::VARCHAR)"
