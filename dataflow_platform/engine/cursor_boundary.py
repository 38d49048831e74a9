"""Rows at the cursor: those an earlier load took are recognised, those of this one remembered.

A row's fingerprint is the digests of its values, one behind the other, in the order of the columns kept with it. So
it can be compared after columns were added, removed, renamed or retyped: by the values both sides know.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataflow_platform.core.base import Column, State
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine.contract.rules import misfit
from dataflow_platform.engine.stream_load import StagedLoad

_SIZE = 8  # base64 signs of a digest: 48 bits
_UNKNOWN = "-" * _SIZE
_WHOLE_ROW = re.compile(r"[0-9a-f]{32}")
"""A fingerprint of before columns were kept with it: one md5 of the whole row."""


@dataclass(frozen=True)
class _Known:
    """Old fingerprints that know the values of the same columns: ``sql`` makes of a row today what they are made of."""

    sql: str
    entries: Mapping[str, str]
    """What ``sql`` gives for the row -> its fingerprint."""


def settle_boundary(
    result: StagedLoad, column: str, wanted: State, greatest: str | None, cursor_type: str | None
) -> None:
    """Drop the rows at the old cursor that an earlier load took, and remember those at the new one.

    Rows equal to the cursor are read again, since a later row may share it; a fingerprint tells the old ones.
    So nothing is lost and nothing moves twice.
    """
    session, staged = result.session, result.staged
    assert staged is not None
    table = qualified(staged.schema, staged.name)
    known = _known(result, wanted) if wanted.cursor is not None and wanted.window is None else []
    incremental = result.load.window is None  # a partition run leaves the state alone
    if incremental and _is_behind(result, wanted, greatest, cursor_type):
        result.after = wanted
    elif incremental:
        at = f"FROM {table} WHERE {quote(column)} = CAST({literal(greatest)} AS {cursor_type})"
        result.after = wanted if greatest is None else _remembered(result, at, wanted, greatest, cursor_type, known)
    if known:
        old = " OR ".join(f"{group.sql} IN ({', '.join(map(literal, group.entries))})" for group in known)
        session.in_engine(
            f"DELETE FROM {table} WHERE {quote(column)} = CAST({literal(wanted.cursor)} AS {cursor_type}) AND ({old})"
        )


def _is_behind(result: StagedLoad, wanted: State, greatest: str | None, cursor_type: str | None) -> bool:
    """True where only rows of the lookback came, and none at the stored cursor: it never goes back."""
    if result.load.stream.lookback is None or wanted.cursor is None or greatest is None:
        return False
    now, before = (f"CAST({literal(text)} AS {cursor_type})" for text in (greatest, wanted.cursor))
    return bool(result.session.in_engine(f"SELECT {now} < {before}")[0][0])


def _remembered(
    result: StagedLoad, at: str, wanted: State, greatest: str, cursor_type: str | None, known: Sequence[_Known]
) -> State:
    """The state with the fingerprints of the rows at the new cursor, those recognised among them."""
    columns = tuple(Column(each.name, each.type) for each in result.columns)
    asked = [_joined([_digest(quote(each.name)) for each in columns]), *(group.sql for group in known)]
    rows = result.session.in_engine(f"SELECT DISTINCT {', '.join(asked)} {at}")
    seen = {str(fingerprint) for fingerprint, *_ in rows}
    if greatest == wanted.cursor:
        # Old rows that did not come again may still do: what is known of them is kept.
        for place, group in enumerate(known, 1):
            again = {row[place] for row in rows}
            absent = [entry for key, entry in group.entries.items() if key not in again]
            seen.update(_moved(result, entry, wanted.boundary_columns, columns) for entry in absent)
    return State(greatest, cursor_type, tuple(sorted(seen)), boundary_columns=columns)


def _known(result: StagedLoad, wanted: State) -> list[_Known]:
    """The old fingerprints, put together by the columns that both they and the rows of today know."""
    today = {column.name.lower(): column for column in result.columns}
    names = [column.name for column in result.columns]
    digests: dict[int, str] = {}
    for place, old in enumerate(wanted.boundary_columns):
        now = today.get(result.load.contract.named_now(old.name, names).lower())
        if now is not None:
            digests[place] = _as_it_was(now, old)
    groups: dict[str, dict[str, str]] = {}
    for entry in wanted.boundary:
        if _WHOLE_ROW.fullmatch(entry):
            groups.setdefault(_whole_row(result.columns), {})[entry] = entry
            continue
        parts = {place: entry[place * _SIZE : (place + 1) * _SIZE] for place in digests}
        shared = [place for place, part in parts.items() if part != _UNKNOWN]
        if shared:
            key = "".join(parts[place] for place in shared)
            groups.setdefault(_joined([digests[place] for place in shared]), {})[key] = entry
    return [_Known(sql, entries) for sql, entries in groups.items()]


def _moved(result: StagedLoad, entry: str, old: Sequence[Column], new: Sequence[Column]) -> str:
    """An old fingerprint in the order of the new columns; what it does not know of them stays open."""
    if _WHOLE_ROW.fullmatch(entry):
        return entry
    names = [column.name for column in new]
    digests = {
        (result.load.contract.named_now(column.name, names).lower(), column.type): entry[n * _SIZE : (n + 1) * _SIZE]
        for n, column in enumerate(old)
    }
    return "".join(digests.get((column.name.lower(), column.type), _UNKNOWN) for column in new)


def _as_it_was(now: Column, old: Column) -> str:
    """SQL: the digest of a value as it would have been under the old type."""
    if now.type == old.type:
        return _digest(quote(now.name))
    cast = _digest(f"TRY_CAST({quote(now.name)} AS {old.type})")
    return f"CASE WHEN {misfit(now.name, now.type, old.type)} THEN {literal(_UNKNOWN)} ELSE {cast} END"


def _digest(value: str) -> str:
    return f"substr(to_base64(unhex(md5(coalesce(to_json({value})::VARCHAR, 'null')))), 1, {_SIZE})"


def _joined(digests: Sequence[str]) -> str:
    return f"concat({', '.join(digests)})"


def _whole_row(columns: Sequence[Column]) -> str:
    values = ", ".join(f"{literal(column.name)}: {quote(column.name)}" for column in columns)
    return f"md5(to_json({{{values}}})::VARCHAR)"
