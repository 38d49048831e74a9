"""JSON schemas and JSON values as columns: exact, or refused."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.connectors._protocol.kinds import Field, fields_of, kind_of, parse_kind
from dataflow_platform.connectors._protocol.values import batch, decode, json_text, schema
from dataflow_platform.core.errors import ConfigError, DataError

KINDS: list[tuple[Any, str]] = [
    ({"type": "integer"}, "BIGINT"),
    ({"type": ["null", "integer"]}, "BIGINT"),
    ({"type": "integer", "maximum": 2**64}, "DECIMAL(38,0)"),
    ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, "BIGINT"),
    ({"type": "number"}, "DOUBLE"),
    ({"type": ["number", "integer"]}, "DOUBLE"),
    ({"type": "number", "multipleOf": 0.01}, "DECIMAL(38,2)"),
    ({"type": "number", "multipleOf": 1e-10}, "DECIMAL(38,10)"),
    ({"type": "number", "multipleOf": 5}, "DECIMAL(38,0)"),
    ({"type": "number", "multipleOf": 1e-40}, "DOUBLE"),
    ({"type": "boolean"}, "BOOLEAN"),
    ({"type": "string"}, "VARCHAR"),
    ({"type": "string", "format": "date-time"}, "TIMESTAMPTZ"),
    ({"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}, "TIMESTAMP"),
    ({"type": ["string", "null"], "format": "date"}, "DATE"),
    ({"type": "string", "format": "no-such-format"}, "VARCHAR"),
    ({"type": "string", "format": "singer.decimal"}, "VARCHAR"),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, "JSON"),
    ({"type": "array"}, "JSON"),
    ({}, "JSON"),
    (True, "JSON"),
    ({"type": ["integer", "string"]}, "JSON"),
    ({"type": "null"}, "VARCHAR"),
    ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}, "VARCHAR"),
    ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "TIMESTAMPTZ"),
    ({"oneOf": [{"type": "integer"}, {"type": "number", "multipleOf": 0.1}]}, "DECIMAL(38,1)"),
    ({"$ref": "#/definitions/day"}, "DATE"),
    ({"$ref": "#/definitions/loop"}, "JSON"),
    ({"$ref": "http://elsewhere"}, "JSON"),
]
ROOT = {"definitions": {"day": {"type": "string", "format": "date"}, "loop": {"$ref": "#/definitions/loop"}}}


@pytest.mark.parametrize(("declared", "kind"), KINDS, ids=lambda value: json.dumps(value)[:60])
def test_the_column_of_a_schema(declared: Any, kind: str) -> None:
    assert kind_of(declared, ROOT) == kind


def column(kind: str, *texts: str) -> list[Any]:
    """JSON texts as values of a column."""
    fields = [Field("v", kind)]
    rows = [decode(f'{{"v": {text}}}'.encode()) for text in texts]
    found: list[Any] = batch("singer", "s", rows, fields, schema(fields)).column(0).to_pylist()
    return found


UTC = dt.UTC
KEPT: list[tuple[str, list[str], list[Any]]] = [
    ("BIGINT", ["9223372036854775807", "null", "3.0"], [2**63 - 1, None, 3]),
    ("DOUBLE", ["1", "0.1", "1e300", "9007199254740992", "0.30000000000000004"],
     [1.0, 0.1, 1e300, 2.0**53, 0.30000000000000004]),
    ("DECIMAL(38,2)", ["0.1", "1234567890123456789012345.67", '"7.5"', "3"],
     [Decimal("0.10"), Decimal("1234567890123456789012345.67"), Decimal("7.50"), Decimal(3)]),
    ("VARCHAR", ['"a\\u0000b"', "null"], ["a\0b", None]),
    ("JSON", ['{"b": [1.0, 12345678901234567890123]}', '"x"'], ['{"b":[1.0,12345678901234567890123]}', '"x"']),
    ("DATE", ['"2026-02-03"', '"2026-02-03T00:00:00Z"'], [dt.date(2026, 2, 3)] * 2),
    ("TIMESTAMPTZ",
     ['"2026-02-03T04:05:06Z"', '"2026-02-03T06:05:06.5+02:00"', '"2026-02-03 04:05:06"', '"2026-02-03"'],
     [dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), dt.datetime(2026, 2, 3, 4, 5, 6, 500_000, UTC),
      dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), dt.datetime(2026, 2, 3, tzinfo=UTC)]),
    ("TIMESTAMP", ['"2026-02-03T04:05:06"'], [dt.datetime(2026, 2, 3, 4, 5, 6)]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "texts", "values"), KEPT, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_column_keeps(kind: str, texts: list[str], values: list[Any]) -> None:
    assert column(kind, *texts) == values


REFUSED = [
    ("BIGINT", "9223372036854775808"),
    ("BIGINT", "1.5"),
    ("BIGINT", '"1"'),
    ("BIGINT", "true"),
    ("DOUBLE", "9007199254740993"),
    ("DOUBLE", "0.12345678901234567890"),
    ("DOUBLE", '"1.5"'),
    ("DECIMAL(38,2)", "0.123"),
    ("DECIMAL(5,2)", "1234.5"),
    ("DECIMAL(38,2)", "true"),
    ("BOOLEAN", "1"),
    ("VARCHAR", "1"),
    ("VARCHAR", "{}"),
    ("DATE", '"2026-02-03T04:00:00Z"'),
    ("DATE", '"2026-02-30"'),
    ("TIMESTAMPTZ", '"2026-02-03T04:05:06.123456789Z"'),
    ("TIMESTAMPTZ", '"soon"'),
    ("TIMESTAMPTZ", "1767225600"),
]


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_what_a_column_cannot_hold_exactly_is_refused(kind: str, text: str) -> None:
    with pytest.raises(DataError) as caught:
        column(kind, "null", text)
    assert caught.value.code == "singer.type"
    assert text.strip('"') not in caught.value.what or text in ("1", "{}", "true")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_text_says_what_came(value: Any) -> None:
    try:
        line = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair is no UTF-8
        return
    assert json.loads(json_text(decode(line)), parse_float=Decimal) == json.loads(line, parse_float=Decimal)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**30), max_value=10**30))
def test_a_decimal_keeps_every_digit(number: Decimal) -> None:
    assert column("DECIMAL(38,6)", f"{number:f}") == [number]


def test_names_and_declared_types() -> None:
    declared = {"properties": {"id": {"type": "integer"}, "ID": {"type": "string"}}}
    with pytest.raises(DataError, match="only in case"):
        fields_of("singer", "s", declared, {})
    with pytest.raises(DataError, match="no property"):
        fields_of("singer", "s", {}, {})
    given_ = fields_of("singer", "s", {"properties": {"id": {"type": "integer"}}}, {"id": "JSON", "more": "DATE"})
    assert given_ == (Field("id", "JSON"), Field("more", "DATE"))
    assert parse_kind("x", "decimal(10, 2)") == "DECIMAL(10,2)"
    for text in ("FLOAT8", "DECIMAL(40,2)", "DECIMAL(p,s)x"):
        with pytest.raises(ConfigError):
            parse_kind("x", text)
