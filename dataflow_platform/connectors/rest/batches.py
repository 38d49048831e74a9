"""JSON rows to Arrow record batches: types settled on the first pages, and held to ever after."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import orjson

from dataflow_platform.connectors.rest import errors

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]

_DIGITS = bytes.maketrans(b"123456789.", b"0" * 10)
_LONG_NUMBER = b"0" * 17
"""A point and 16 digits: any 15 survive a double, more may not."""
_DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),(\d{1,2})\)")
_ALIASES = {
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "BOOL": "BOOLEAN",
    "INT": "INTEGER",
    "LONG": "BIGINT",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "NUMERIC": "DECIMAL",
}
_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")
KINDS = ("VARCHAR", "BOOLEAN", *_INTEGERS, "DOUBLE", "DECIMAL(p,s)", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "JSON")
"""The types a column may be declared with. JSON is any value's JSON text, in a VARCHAR column."""

_INFERRED: dict[type, str] = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    Decimal: "DOUBLE",
    str: "VARCHAR",
    dict: "JSON",
    list: "JSON",
}
_WORDS: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a fraction",
    Decimal: "a fraction",
    str: "a text",
    dict: "an object",
    list: "a list",
}


class InexactError(Exception):
    """The fast decoder may have rounded a number that has to be kept digit by digit."""


@dataclass(frozen=True)
class Field:
    """A column: its kind is one of KINDS; ``declared`` by a person, or settled by the values seen."""

    name: str
    kind: str
    declared: bool = False


def parse_kind(name: str, text: str) -> str:
    """The kind a person wrote for column ``name``, in our spelling; ConfigError where there is none."""
    words = " ".join(text.upper().split())
    base, bracket, rest = words.partition("(")
    kind = _ALIASES.get(base.strip(), base.strip()) + bracket + rest.replace(" ", "")
    if kind == "DECIMAL":
        kind = "DECIMAL(18,3)"  # DuckDB's own default
    decimal = _DECIMAL.fullmatch(kind)
    if kind in KINDS and kind != "DECIMAL(p,s)":
        return kind
    if decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
        return kind
    raise errors.column_type(name, text, KINDS)


def decode(body: bytes, exact: bool) -> Any:
    """The JSON value of ``body``; ValueError where it is none.

    The fast decoder turns integers beyond 64 bits and long fractions into rounded floats without a
    word, so a body with so long a run of digits goes through the slow one, whose fractions are Decimals.
    """
    if exact or _LONG_NUMBER in body.translate(_DIGITS):
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    return orjson.loads(body)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def kind_of(value: Any) -> str | None:
    """The kind of a column whose values are like ``value``; None for null."""
    return _INFERRED.get(type(value))


def settle(
    rows: Sequence[Row], declared: Mapping[str, str], remembered: Mapping[str, str], infer: bool, where: str
) -> tuple[Field, ...]:
    """The columns of a stream: declared ones, those of earlier loads, and what the first ``rows`` show.

    Raises DataError ``rest.type`` for a column whose first values differ in type, ``rest.columns``
    for names that differ only in case.
    """
    fields = {name: Field(name, kind, declared=True) for name, kind in declared.items()}
    seen: dict[str, set[type]] = {}
    if infer:
        for name, kind in remembered.items():
            fields.setdefault(name, Field(name, kind))
        for row in rows:
            for name, value in row.items():
                seen.setdefault(name, set()).add(type(value))
    for name, types in seen.items():
        known = fields.get(name)
        if not (known and known.declared):
            fields[name] = Field(name, _inferred(name, types - {type(None)}, known, where))
    folded: dict[str, str] = {}
    for name in fields:
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise errors.same_name((other, name), where)
    if not fields:
        raise errors.no_columns(where)
    return tuple(fields.values())


def _inferred(name: str, types: set[type], known: Field | None, where: str) -> str:
    kinds = {_INFERRED[kind] for kind in types} | ({known.kind} if known else set())
    if kinds == {"BIGINT", "DOUBLE"}:  # `10` beside `10.5`: batch() refuses integers a double cannot hold
        return "DOUBLE"
    if len(kinds) > 1:
        earlier = {f"{known.kind} in earlier loads"} if known else set()
        raise errors.mixed_types(name, {_WORDS[kind] for kind in types} | earlier, where)
    return kinds.pop() if kinds else "VARCHAR"


def schema(fields: Iterable[Field]) -> "pa.Schema":
    """The Arrow schema of the columns."""
    import pyarrow as pa

    return pa.schema([(field.name, _arrow_type(field.kind)) for field in fields])


def _arrow_type(kind: str) -> "pa.DataType":
    import pyarrow as pa

    if decimal := _DECIMAL.fullmatch(kind):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    plain: dict[str, pa.DataType] = {
        "SMALLINT": pa.int16(),
        "INTEGER": pa.int32(),
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    }
    return plain.get(kind, pa.string())


def batch(rows: Sequence[Row], fields: Sequence[Field], arrow: "pa.Schema", where: str) -> "pa.RecordBatch":
    """One page as a record batch. A missing key is NULL.

    Raises DataError ``rest.new_field`` or ``rest.type``, and InexactError where the page has to be
    decoded exactly first.
    """
    import pyarrow as pa

    known = {field.name for field in fields}
    for row in rows:
        if not row.keys() <= known:
            raise errors.new_field(sorted(row.keys() - known)[0], where)
    arrays = []
    for field, target in zip(fields, arrow.types, strict=True):
        values = [row.get(field.name) for row in rows]
        try:
            arrays.append(_convert(values, field, target))
        except (ValueError, TypeError, OverflowError, InvalidOperation):  # pyarrow's errors are ValueErrors, TypeErrors
            raise errors.wrong_type(field.name, field.kind, _culprit(values, field, target), where) from None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow)


def _culprit(values: Sequence[Any], field: Field, target: "pa.DataType") -> str:
    """What kind of value does not fit, in words and without showing it: rows may hold anything."""
    for value in values:
        try:
            _convert([value], field, target)
        except (ValueError, TypeError, OverflowError, InvalidOperation):
            word = _WORDS[type(value)]
            return f"{word} too large for it" if type(value) is int and field.kind in (*_INTEGERS, "DOUBLE") else word
    return "values of several types"


def _convert(values: list[Any], field: Field, target: "pa.DataType") -> "pa.Array[Any]":
    """The values as one Arrow array; strict, because Arrow itself would make 3 of 3.7 and 1.0 of true."""
    import pyarrow as pa

    types = set(map(type, values)) - {type(None)}
    kind = field.kind
    if not types:
        return pa.array(values, target)
    if kind == "JSON":
        return pa.array([None if value is None else json_text(value) for value in values], target)
    if kind == "VARCHAR":
        return pa.array(_texts(values, types) if field.declared and types != {str} else values, target)
    if field.declared and types == {str}:
        return _from_text(pa.array(values, pa.string()), kind, target)
    if kind == "BOOLEAN" and types == {bool}:
        return pa.array(values, target)
    if kind in _INTEGERS and types <= {int, float, Decimal}:
        return pa.array(values if types == {int} else _each(_whole, values), target)
    if kind == "DOUBLE" and types <= {int, float, Decimal}:
        return pa.array(_each(_double, values) if Decimal in types else values, target)
    if kind.startswith("DECIMAL") and types <= {int, float, Decimal, str}:
        if float in types:
            raise InexactError
        return pa.array(_each(Decimal, values), target)
    raise TypeError(kind)


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _whole(value: Any) -> int:
    if value != int(value):
        raise ValueError("a fraction")
    return int(value)


def _double(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    if Decimal(repr(number)) != value:
        raise ValueError("more digits than a double keeps")
    return number


def _texts(values: Iterable[Any], types: set[type]) -> list[str | None]:
    """Text as it is, anything else as the JSON text the server sent."""
    if float in types:
        raise InexactError
    return [value if value is None or isinstance(value, str) else json_text(value) for value in values]


def _from_text(texts: "pa.Array[Any]", kind: str, target: "pa.DataType") -> "pa.Array[Any]":
    """Numbers, booleans, dates and times sent as text; a TIMESTAMP whose text has a zone is taken as its UTC time."""
    import pyarrow as pa

    try:
        return texts.cast(target)
    except pa.ArrowInvalid:
        if kind != "TIMESTAMP":
            raise
        return texts.cast(pa.timestamp("us", "UTC")).cast(target)


def json_text(value: Any) -> str:
    """Compact JSON text of a value, Decimals and long integers included."""
    if isinstance(value, Decimal):
        return str(value)
    try:
        return orjson.dumps(value, default=_digits).decode()
    except TypeError:  # an integer beyond 64 bits
        return orjson.dumps(_written(value), default=_digits).decode()


def _digits(value: Any) -> orjson.Fragment:
    return orjson.Fragment(str(value))


def _written(value: Any) -> Any:
    """``value`` with its long integers as the digits they are written with."""
    if isinstance(value, dict):
        return {name: _written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_written(each) for each in value]
    return _digits(value) if type(value) is int and not -(2**63) <= value < 2**64 else value
