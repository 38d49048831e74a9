"""Values of a driver -> Arrow arrays, a column at a time: exact, or refused.

Arrow alone would take the zone off a time and the time off a date, and make 1 of 1.0; so the Python
types of a column are looked at first. What Arrow then refuses (too long, too large, digits lost) is an error.
"""

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dataflow_platform.connectors._sql.kinds import INTEGERS, NUMBER, arrow_type
from dataflow_platform.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_NONE = type(None)
_FURTHER_DIGIT = re.compile(r"\.\d{7}")
_FURTHER_ZEROS = re.compile(r"(\.\d{6})0+")
_WORDS: dict[type, str] = {
    bool: "a boolean", int: "an integer", float: "a floating-point number", Decimal: "a decimal number",
    str: "a text", bytes: "bytes", bytearray: "bytes", memoryview: "bytes", dt.date: "a date", dt.time: "a time",
    dt.datetime: "a date and time", dt.timedelta: "an interval", UUID: "a UUID", dict: "a document", list: "a list",
    tuple: "a list",
}  # fmt: skip
_BYTES = frozenset({bytes, bytearray, memoryview})
_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ"})


@dataclass(frozen=True)
class Column:
    """A column to read: ``kind`` is the DuckDB type (or NUMBER) it arrives as, ``declared`` the source's own words."""

    name: str
    kind: str
    declared: str = ""


def schema(columns: Sequence[Column]) -> "pa.Schema":
    """The Arrow schema of the columns."""
    import pyarrow as pa

    return pa.schema([(column.name, arrow_type(column.kind)) for column in columns])


def batch(rows: Sequence[Sequence[Any]], columns: Sequence[Column], arrow: "pa.Schema", where: str) -> "pa.RecordBatch":
    """Some rows as one record batch; DataError ``sql.value`` names the column whose value does not fit."""
    import pyarrow as pa

    arrays = [
        array(values, column, target, where)
        for values, column, target in zip(zip(*rows, strict=True), columns, arrow.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow)


def array(values: Sequence[Any], column: Column, target: "pa.DataType", where: str) -> "pa.Array[Any]":
    """The values of one column as ``target``; DataError ``sql.value`` where one does not fit."""
    try:
        return _convert(values, column.kind, target)
    except (ValueError, TypeError, ArithmeticError):  # pyarrow's errors are ValueErrors and TypeErrors
        raise refused(values, column, target, where) from None


def checked_cast(column: Column, given: "pa.Array[Any]", target: "pa.DataType", where: str) -> "pa.Array[Any]":
    """An array that a driver made itself as ``target``; DataError ``sql.value`` where a value would change."""
    try:
        made: pa.Array[Any] = given if given.type == target else given.cast(target, safe=True)
        if column.kind == "VARCHAR":
            made.validate(full=True)  # bytes that are no UTF-8
        return made
    except (ValueError, TypeError, NotImplementedError):
        raise _error(column, f"{given.type} of the driver", where) from None


def _convert(values: Sequence[Any], kind: str, target: "pa.DataType") -> "pa.Array[Any]":
    import pyarrow as pa

    types = set(map(type, values)) - {_NONE}
    if not types:
        return pa.array(values, target)
    if kind in INTEGERS:
        if Decimal in types and types <= {int, Decimal}:
            return pa.array(values, pa.decimal128(38, 0)).cast(target)
        _only(types, int)
    elif kind.startswith("DECIMAL"):
        if str in types:
            values = [None if value is None else Decimal(value) for value in values]
        else:
            _only(types, Decimal, int)
    elif kind == "BOOLEAN":
        values = _booleans(values, types)
    elif kind in ("VARCHAR", "BLOB", "FLOAT", "DOUBLE"):
        values = _plain(values, types, kind)
    elif kind in _TIMES:
        return _moments(values, types, kind, target)
    elif kind == "DATE":
        return _dates(values, types, target)
    elif kind == "TIME":
        values = _times(values, types)
    else:
        values = [None if value is None else _TEXTS[kind](value) for value in values]
    return pa.array(values, target)


def _only(types: set[type], *allowed: type) -> None:
    if not types <= set(allowed):
        raise TypeError(types)


def _plain(values: Sequence[Any], types: set[type], kind: str) -> Sequence[Any]:
    if kind == "VARCHAR":
        _only(types, str)
    elif kind == "BLOB":
        _only(types, *_BYTES)
        return values if types == {bytes} else [None if value is None else bytes(value) for value in values]
    else:
        _only(types, float, int)
    return values


def _booleans(values: Sequence[Any], types: set[type]) -> Sequence[Any]:
    if types == {bool}:
        return values
    _only(types, int, bool)
    if not set(values) <= {0, 1, None}:
        raise ValueError("neither 0 nor 1")
    return [None if value is None else bool(value) for value in values]


def _moments(values: Sequence[Any], types: set[type], kind: str, target: "pa.DataType") -> "pa.Array[Any]":
    import pyarrow as pa
    import pyarrow.compute as pc

    if types == {str}:
        texts = pa.array(values, pa.string())
        if kind == "TIMESTAMP_NS":
            return texts.cast(target)
        try:
            return texts.cast(target)
        except pa.ArrowInvalid:
            # More than six digits are read where the rest are zeros.
            return pc.replace_substring_regex(texts, r"(\.\d{6})0+", r"\1").cast(target)
    # Drivers bring their own subclasses of datetime, some of which know nanoseconds.
    if not all(kind is dt.datetime or _is_moment(kind) for kind in types):
        raise TypeError(types)
    zoned = {value.tzinfo is not None for value in values if value is not None}
    if zoned != {kind == "TIMESTAMPTZ"}:
        raise ValueError("a zone, or none, where there should be the other")
    if kind == "TIMESTAMPTZ":
        # pyarrow was once seen to take the wall time and leave the zone out: in UTC the two are the same.
        values = [None if value is None else value.astimezone(dt.UTC) for value in values]
    return pa.array(values, target)


def _is_moment(kind: type) -> bool:
    return issubclass(kind, dt.datetime)


def _dates(values: Sequence[Any], types: set[type], target: "pa.DataType") -> "pa.Array[Any]":
    import pyarrow as pa

    if types == {str}:
        return pa.array(values, pa.string()).cast(target)
    if types != {dt.date}:
        _only(types, dt.date, dt.datetime)
        midnight = dt.time()
        if any(isinstance(value, dt.datetime) and value.timetz() != midnight for value in values):
            raise ValueError("a time of day in a date")
    return pa.array(values, target)


def _times(values: Sequence[Any], types: set[type]) -> Sequence[Any]:
    if types == {str}:
        values = [None if value is None else _time(value) for value in values]
    else:
        _only(types, dt.time)
    if any(value is not None and value.tzinfo is not None for value in values):
        raise ValueError("a zone in a time of day")
    return values


def _time(text: str) -> dt.time:
    text = _FURTHER_ZEROS.sub(r"\1", text)
    if _FURTHER_DIGIT.search(text):  # Python would cut it off
        raise ValueError("nanoseconds")
    return dt.time.fromisoformat(text)


def _number(value: Any) -> str:
    if type(value) is Decimal and value.is_finite():
        return format(value, "f")
    if type(value) in (int, Decimal):
        return str(value)
    if type(value) is str:
        Decimal(value)
        return value
    raise TypeError(type(value))


def _uuid(value: Any) -> str:
    return str(value) if isinstance(value, UUID) else str(UUID(value))


def _json(value: Any) -> str:
    """Text is JSON already; what a driver took apart is put together again."""
    if isinstance(value, str):
        return value
    return json.dumps(_document(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _document(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _document(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_document(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Decimal):
        return str(value)  # as a JSON number it would pass through a double in most readers
    raise TypeError(type(value))  # drivers make 9999-12-31 of infinity


_TEXTS = {NUMBER: _number, "UUID": _uuid, "JSON": _json}


def refused(values: Sequence[Any], column: Column, target: "pa.DataType", where: str) -> DataError:
    """The error for the first value that does not fit, in words and without showing it: rows may hold anything."""
    for value in values:
        try:
            _convert([value], column.kind, target)
        except (ValueError, TypeError, ArithmeticError):
            return _error(column, _WORDS.get(type(value), f"a Python {type(value).__name__}"), where)
    return _error(column, "values of several types", where)


def _error(column: Column, what: str, where: str) -> DataError:
    declared = f" (declared {column.declared})" if column.declared else ""
    kind = "VARCHAR" if column.kind == NUMBER else column.kind
    return DataError(
        "sql.value",
        f"column '{column.name}'{declared} is read as {kind} and holds {what} that does not fit",
        where=where,
        fix=f"name it under `as_text`, or give it another type: types: {{{column.name}: ...}}",
    )
