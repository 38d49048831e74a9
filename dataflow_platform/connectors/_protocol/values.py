"""JSON values as Arrow columns: what a column cannot hold exactly is refused, never rounded or cut."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import orjson

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.kinds import DECIMAL, Field

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]

_DIGITS = bytes.maketrans(b"123456789.", b"0" * 10)
_LONG_NUMBER = b"0" * 16
"""Fifteen digits survive a double and come out of it as they went in; more may not."""
_ZONE = re.compile(r"(?:[Zz]|[+-]\d{2}:?\d{2})$")
_WORDS: dict[type, str] = {
    bool: "a boolean", int: "an integer", float: "a fraction", Decimal: "a fraction", str: "a text",
    dict: "an object", list: "a list", date: "a date", datetime: "a time", bytes: "bytes",
}  # fmt: skip
_UNFIT = (ValueError, TypeError, OverflowError, InvalidOperation)  # pyarrow's errors are ValueErrors, TypeErrors


def decode(line: bytes) -> Any:
    """The JSON value of ``line``; ValueError where it is none.

    The fast decoder rounds long fractions without a word, so a line with so long a run of digits goes through the
    slow one, whose fractions are Decimals.
    """
    if _LONG_NUMBER in line.translate(_DIGITS):
        return json.loads(line, parse_float=Decimal, parse_constant=_no_constant)
    return orjson.loads(line)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def schema(fields: Iterable[Field]) -> "pa.Schema":
    """The Arrow schema of the columns."""
    import pyarrow as pa

    plain: dict[str, pa.DataType] = {
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
        "BLOB": pa.binary(),
    }

    def arrow(kind: str) -> pa.DataType:
        decimal = DECIMAL.fullmatch(kind)
        return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else plain.get(kind, pa.string())

    return pa.schema([(field.name, arrow(field.kind)) for field in fields])


def batch(
    bridge: str, stream: str, rows: Sequence[Row], fields: Sequence[Field], arrow: "pa.Schema"
) -> "pa.RecordBatch":
    """Records as one batch; a missing key is NULL. DataError for a value or a key no column takes."""
    import pyarrow as pa

    known = {field.name for field in fields}
    for row in rows:
        if not row.keys() <= known:
            raise faults.new_field(bridge, sorted(row.keys() - known)[0], stream)
    arrays = []
    for field, target in zip(fields, arrow.types, strict=True):
        values = [row.get(field.name) for row in rows]
        try:
            arrays.append(_convert(values, field.kind, target))
        except _UNFIT:
            raise faults.wrong_type(
                bridge, field.name, field.kind, _culprit(values, field.kind, target), stream
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow)


def _culprit(values: Sequence[Any], kind: str, target: "pa.DataType") -> str:
    """What does not fit, in words and without showing it: rows may hold anything."""
    for value in values:
        try:
            _convert([value], kind, target)
        except _UNFIT:
            word = _WORDS.get(type(value), f"a {type(value).__name__}")
            if isinstance(value, str) and kind != "VARCHAR":
                return f"{word} that is none"
            fits_by_type = type(value) in (int, float, Decimal) and kind not in ("BOOLEAN", "VARCHAR", "DATE")
            return f"{word} it cannot hold exactly" if fits_by_type and "TIME" not in kind else word
    return "values of several types"


def _convert(values: list[Any], kind: str, target: "pa.DataType") -> "pa.Array[Any]":
    """The values as one Arrow array; strict, because Arrow itself would make 3 of 3.7 and 1.0 of true."""
    import pyarrow as pa

    types = set(map(type, values)) - {type(None)}
    if not types:
        return pa.array(values, target)
    if kind == "JSON":
        return pa.array([None if value is None else json_text(value) for value in values], target)
    if kind == "VARCHAR" and types <= {str}:
        return pa.array(values, target)
    if kind == "BOOLEAN" and types == {bool}:
        return pa.array(values, target)
    if kind == "BIGINT" and types <= {int, float, Decimal}:
        return pa.array(values if types == {int} else _each(_whole, values), target)
    if kind == "DOUBLE" and types <= {int, float, Decimal}:
        return pa.array(_each(_double, values), target)
    if kind.startswith("DECIMAL") and types <= {int, float, Decimal, str}:
        return pa.array(_each(_decimal, values), target)
    if kind in ("DATE", "TIMESTAMP", "TIMESTAMPTZ") and types == {str}:
        return _moments(values, kind, target)
    if (kind, types) in (("DATE", {date}), ("BLOB", {bytes})):
        return pa.array(values, target)
    if kind in ("TIMESTAMP", "TIMESTAMPTZ") and types == {datetime}:
        # Arrow takes a time with a zone for its UTC time, whatever the column says.
        if any(value is not None and (value.tzinfo is None) != (kind == "TIMESTAMP") for value in values):
            raise ValueError("a time with and one without a zone")
        return pa.array(values, target)
    raise TypeError(kind)


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _whole(value: Any) -> int:
    if value != int(value):
        raise ValueError("a fraction")
    return int(value)


def _double(value: Any) -> float:
    number = float(value)
    if type(value) is not float and (Decimal(repr(number)) != value):
        raise ValueError("more digits than a double keeps")
    return number


def _decimal(value: Any) -> Decimal:
    # A float that came through the fast decoder has at most 15 digits: its shortest text is what was sent.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _moments(values: list[Any], kind: str, target: "pa.DataType") -> "pa.Array[Any]":
    """Dates and times. Without a zone a TIMESTAMPTZ is UTC, as RFC 3339's users mean it; a DATE takes midnight only."""
    import pyarrow as pa

    texts: pa.Array[Any] = pa.array(values, pa.string())
    try:
        return texts.cast(target)
    except pa.ArrowInvalid:
        pass
    if kind == "DATE":
        days = [None if text is None else _midnight(text) for text in values]
        return pa.array(days, pa.string()).cast(target)
    zoned = [None if text is None else _zoned(text) for text in values]
    return pa.array(zoned, pa.string()).cast(pa.timestamp("us", "UTC")).cast(target)


def _zoned(text: str) -> str:
    if len(text) > 10 and text[10] in " t":
        text = f"{text[:10]}T{text[11:]}"
    return (
        text if len(text) > 10 and _ZONE.search(text, 11) else (f"{text}Z" if len(text) > 10 else f"{text}T00:00:00Z")
    )


def _midnight(text: str) -> str:
    day, rest = text[:10], text[10:]
    if not re.fullmatch(r"(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:?00)?)?", rest):
        raise ValueError("a time that a date cannot hold")
    return day


def json_text(value: Any) -> str:
    """Compact JSON text of a value, Decimals and long integers included."""
    if isinstance(value, Decimal):
        return str(value)
    try:
        return orjson.dumps(value, default=_digits).decode()
    except TypeError:  # an integer beyond 64 bits
        return orjson.dumps(_written(value), default=_digits).decode()


def _digits(value: Any) -> orjson.Fragment:
    if not isinstance(value, Decimal | int):
        raise TypeError(type(value).__name__)
    return orjson.Fragment(str(value))


def _written(value: Any) -> Any:
    """``value`` with its long integers as the digits they are written with."""
    if isinstance(value, dict):
        return {name: _written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_written(each) for each in value]
    return _digits(value) if type(value) is int and not -(2**63) <= value < 2**64 else value
