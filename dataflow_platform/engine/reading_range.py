"""From where to where one incremental read goes: the stored cursor, moved back by the lookback, and the upper bound."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from dataflow_platform.core.base import LoadStrategy, Session, State, Stream
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal, quote

_LEAST = {
    "TINYINT": -(2**7), "SMALLINT": -(2**15), "INTEGER": -(2**31), "BIGINT": -(2**63), "HUGEINT": -(2**127),
    "UTINYINT": 0, "USMALLINT": 0, "UINTEGER": 0, "UBIGINT": 0, "UHUGEINT": 0,
}  # fmt: skip
_APPROXIMATE = ("FLOAT", "DOUBLE")
_ZONED = "TIMESTAMP WITH TIME ZONE"


def refuse_unfit(stream: Stream, strategy: LoadStrategy, name: str) -> None:
    """ConfigError where lookback or upper bound have no cursor, or a load strategy that cannot bear them."""
    given = [word for word in ("lookback", "upper_bound") if getattr(stream, word) is not None]
    if not given:
        return
    if not stream.cursor:
        raise ConfigError(
            f"cursor.{given[0]}",
            f"{given[0]} is counted along the cursor, and stream '{stream.name}' has none",
            where=given[0],
            fix="declare cursor: column, or leave it out",
        )
    if strategy.reads_from(State(cursor="0"), None).cursor is None:
        raise ConfigError(
            f"cursor.{given[0]}",
            f"load '{name}' does not read by the cursor: there is nothing {given[0]} could change",
            where=given[0],
            fix="leave it out, or use load: merge",
        )
    if stream.lookback is not None and not strategy.needs_primary_key:
        raise ConfigError(
            "cursor.lookback",
            f"load '{name}' would add the rows that lookback reads again a second time",
            where="lookback",
            fix="use a load strategy with a primary key (load: merge), or leave lookback out",
        )


def to_read(session: Session, stream: Stream, stored: State, now: datetime) -> State:
    """``stored`` as the source and the engine's filter are asked for it by a run that began ``now`` (with its zone)."""
    if stored.window is not None:
        return stored
    until = stream.upper_bound
    bound = now - until if isinstance(until, timedelta) else until
    if stored.cursor is None or stored.cursor_type is None or stream.lookback is None:
        return replace(stored, until=bound)
    back = (_earlier if isinstance(stream.lookback, timedelta) else _less)(session, stream, stored)
    return replace(stored, cursor=back, until=bound)


def refuse_unfit_type(stream: Stream, kind: str) -> None:
    """ConfigError where lookback or upper bound are not of the kind of the cursor, whose DuckDB type is ``kind``."""
    for word in ("lookback", "upper_bound"):
        value = getattr(stream, word)
        counted = isinstance(value, Decimal)
        if value is None or (_is_number(kind) if counted else _is_time(kind)):
            continue
        raise ConfigError(
            f"cursor.{word}",
            f"{word} is a {'number' if counted else 'time or a duration'}, and the cursor '{stream.cursor}' is {kind}",
            where=word,
            fix="write a duration (1h) for dates and timestamps, a number for numbers; other types take none",
        )


def below(column: str, kind: str, state: State) -> str:
    """SQL that is TRUE for rows of ``column`` (of DuckDB type ``kind``) below ``state.until``.

    A first read takes the rows without a cursor, as it does without an upper bound.
    """
    until, name = state.until, quote(column)
    if isinstance(until, datetime):
        edge = until if kind == _ZONED else until.replace(tzinfo=None)
        within = f"{name} < CAST({literal(edge)} AS {kind})"
    else:
        assert until is not None
        within = f"{name} < {_number(until, kind)}"
    return within if state.cursor is not None else f"({within} OR {name} IS NULL)"


def _number(value: Decimal, kind: str) -> str:
    if kind in _LEAST:  # a fraction would make DuckDB compare in another type
        return str(int(value.to_integral_value(ROUND_CEILING)))
    return f"CAST({value:f} AS {kind})" if kind in _APPROXIMATE else f"{value:f}"


def _earlier(session: Session, stream: Stream, stored: State) -> str | None:
    kind, span = stored.cursor_type or "", stream.lookback
    assert isinstance(span, timedelta)
    if not _is_time(kind):
        return stored.cursor
    at = f"CAST({literal(stored.cursor)} AS {kind if kind == _ZONED else 'TIMESTAMP'})"
    moved = f"CASE WHEN isfinite({at}) THEN {at} - to_microseconds({span // timedelta(microseconds=1)}) ELSE {at} END"
    return str(session.in_engine(f"SELECT CAST(CAST({moved} AS {kind}) AS VARCHAR)")[0][0])


def _less(_: Session, stream: Stream, stored: State) -> str | None:
    kind, cursor = stored.cursor_type or "", stored.cursor or ""
    assert isinstance(stream.lookback, Decimal)
    if not _is_number(kind):
        return cursor
    with localcontext(prec=400):  # a double has up to 309 digits before the point
        moved = Decimal(cursor) - stream.lookback
        precise = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
        if precise and moved.is_finite():
            digits, places = int(precise[1]), int(precise[2])
            moved = moved.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)
            moved = max(moved, (1 - Decimal(10) ** digits).scaleb(-places))
        if kind in _LEAST:
            moved = max(moved.to_integral_value(ROUND_FLOOR), Decimal(_LEAST[kind]))
        return f"{moved:f}"


def _is_number(kind: str) -> bool:
    return kind in _LEAST or kind in _APPROXIMATE or kind.startswith("DECIMAL")


def _is_time(kind: str) -> bool:
    return kind == "DATE" or kind.startswith("TIMESTAMP")
