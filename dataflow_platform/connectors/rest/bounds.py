"""Where a reading begins and ends, in the words of the API."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from dataflow_platform.connectors.rest.cursor import Cursor
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.core import cursor_range
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError

Moment = datetime | float | str
"""A cursor's value: a time (with its zone), a number, or a text of which no more is known."""

_STEPS = {"iso_ms": timedelta(milliseconds=1), "unix_ms": timedelta(milliseconds=1), "date": timedelta(days=1)}


@dataclass(frozen=True)
class Span:
    """A part of the reading: at or after ``start`` and below ``end``, each as the API wants it; None: open.

    ``least`` and ``end_before`` are the same as values, where rows have to be told apart by them.
    """

    start: str | None = None
    end: str | None = None
    least: Moment | None = None
    end_before: Moment | None = None
    first: bool = True


def spans(endpoint: Endpoint, state: State, now: datetime | None = None) -> list[Span]:
    """The parts that a reading after ``state`` is made of, the oldest first; one at least."""
    cursor = cursor_of(endpoint)
    if state.window:
        return [_window(endpoint, cursor, state)]
    if cursor is None:
        return [Span()]
    begin = value_of(state.cursor) if state.cursor is not None else None
    begin = value_of(cursor.start) if begin is None and cursor.start is not None else begin
    if begin is None:
        return [Span()]
    if cursor.slice:
        return list(_slices(cursor, begin, now or datetime.now(UTC)))
    written = state.cursor if state.cursor is not None else cursor.start
    return [Span(written_as(begin, cursor, str(written)), least=begin)]


def cursor_of(endpoint: Endpoint) -> Cursor | None:
    """The cursor however it is written."""
    return endpoint.cursor or (Cursor(param=endpoint.cursor_param) if endpoint.cursor_param else None)


def _window(endpoint: Endpoint, cursor: Cursor | None, state: State) -> Span:
    assert state.window is not None
    start, end = state.window.start, state.window.end
    if endpoint.window_params:
        return Span(_iso(start), _iso(end))
    if cursor is None or endpoint.cursor is None:
        return Span()
    plain = Cursor(format="iso") if cursor.format == "text" else cursor
    return Span(written_as(_in_utc(start), plain, ""), written_as(_in_utc(end), plain, "", lower=False))


def _slices(cursor: Cursor, begin: Moment, now: datetime) -> Iterator[Span]:
    length = cursor_range.lookback(cursor.slice or "")
    if not isinstance(length, timedelta) or not length:
        raise ConfigError(
            "rest.slice", f"'{cursor.slice}' is no length of time", where="cursor.slice", fix="write 30d, 12h or 15m"
        )
    start = as_time(begin)
    if start is None:
        raise ConfigError(
            "rest.slice",
            "slices need a time as cursor",
            where="cursor.slice",
            fix="drop `slice`, or use another cursor",
        )
    # Edges lie on whole units of what the API is told: no row falls between a rounded end and a rounded start.
    unit = timedelta(days=1) if _by_days(cursor.format) else timedelta(seconds=1)
    if length % unit:
        raise ConfigError(
            "rest.slice", f"slices of {cursor.slice} end within a day, of which the API is told no more than the date",
            where="cursor.slice", fix="write whole days, such as 1d",
        )  # fmt: skip
    start -= (start - datetime.min.replace(tzinfo=UTC)) % unit
    first = True
    while first or start < now:
        last = start + length >= now
        end = max(now, start) + unit if last else start + length

        yield Span(
            written_as(start, cursor, ""),
            written_as(end, cursor, "", lower=False),
            start,
            None if last else end,
            first,
        )
        start, first = end, False
        if last:
            return


def _by_days(kind: str) -> bool:
    return kind == "date" or ("%" in kind and not any(mark in kind for mark in ("%H", "%I", "%s", "%T", "%X", "%c")))


def value_of(text: Any) -> Moment:
    """A cursor's value from its text, or from a record."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return text
    plain = str(text).strip()
    try:
        return float(plain) if "." in plain or "e" in plain.lower() else int(plain)
    except ValueError:
        pass
    try:
        return _in_utc(datetime.fromisoformat(plain))
    except ValueError:
        return plain


def as_time(value: Moment) -> datetime | None:
    """A value as a time: numbers count seconds, or milliseconds where they are that large; None if it is none."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    return None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def written_as(value: Moment, cursor: Cursor, text: str, lower: bool = True) -> str:
    """``value`` as the API wants it; ``text`` is how the column has it. A lower bound may step back (``exclusive``)."""
    step = cursor.exclusive and lower
    if cursor.format == "text":
        if not step:
            return text or (_iso(value) if isinstance(value, datetime) else _number(value))
        if isinstance(value, datetime):
            return _iso(value - timedelta(seconds=1))
        return _number(value - 1) if isinstance(value, int | float) else text
    moment = as_time(value)
    if moment is None:
        raise ConfigError(
            "rest.cursor_value",
            f"the cursor's value is no time: it cannot be written as {cursor.format}",
            where="cursor.format",
            fix="use format: text, or a column that holds times",
        )
    return _formatted(moment - _STEPS.get(cursor.format, timedelta(seconds=1)) if step else moment, cursor.format)


def _formatted(moment: datetime, kind: str) -> str:
    if kind == "iso":
        return _iso(moment.replace(microsecond=0))
    if kind == "iso_ms":
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if kind == "date":
        return moment.date().isoformat()
    if kind == "unix":
        return str(int(moment.timestamp()))
    if kind == "unix_ms":
        return str(int(moment.timestamp() * 1000))
    return format_datetime(moment, usegmt=True) if kind == "http_date" else moment.strftime(kind)


def _number(value: Moment) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _iso(moment: datetime | date) -> str:
    if isinstance(moment, datetime) and moment.tzinfo:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return moment.isoformat()


def in_span(span: Span, value: Any) -> bool:
    """True where a row with this cursor belongs to the slice; a row without one belongs to the first."""
    if value is None:
        return span.first
    found = as_time(value_of(value))
    if found is None:
        raise ConfigError("rest.slice", "the cursor's values are no times", where="cursor.slice", fix="drop `slice`")
    above = span.first or not isinstance(span.least, datetime) or found >= span.least
    return above and (not isinstance(span.end_before, datetime) or found < span.end_before)


def all_older(rows: list[Any], field: str, least: Moment) -> bool:
    """True where every row's cursor is below ``least``: with the newest first, nothing new can follow."""
    values = [value_of(row[field]) for row in rows if row.get(field) is not None]
    if not values or len(values) < len(rows):
        return False
    if isinstance(least, datetime):
        moments = [as_time(value) for value in values]
        return all(moment is not None and moment < least for moment in moments)
    return all(type(value) is type(least) and value < least for value in values)  # type: ignore[operator]
