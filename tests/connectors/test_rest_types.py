"""Which types the columns of a REST stream get, and what happens to a value that does not fit."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError
from tests.fixtures.rest_api import Seen, Stub, read_rest, reply

DECLARED = {
    "whole": "bigint",
    "price": "decimal(10, 2)",
    "big": "DECIMAL(38,0)",
    "raw": "text",
    "day": "date",
    "at": "timestamp with time zone",
    "naive": "TIMESTAMP",
    "any": "JSON",
    "declared": "int",
    "number": "BIGINT",
}
LOADED = {
    "whole": "BIGINT",
    "mixed": "DOUBLE",
    "flag": "BOOLEAN",
    "text": "VARCHAR",
    "nothing": "VARCHAR",
    "nested": "VARCHAR",
    "price": "DECIMAL(10,2)",
    "big": "DECIMAL(38,0)",
    "raw": "VARCHAR",
    "day": "DATE",
    "at": "TIMESTAMP WITH TIME ZONE",
    "naive": "TIMESTAMP",
    "any": "VARCHAR",
    "declared": "INTEGER",
    "late": "VARCHAR",
    "number": "BIGINT",
}


def test_types(stub: Stub) -> None:
    first = (
        b'[{"whole": 9007199254740993, "mixed": 1, "flag": true, "text": "a", "nothing": null, "number": "12",'
        b' "nested": {"b": [1, 2.5]}, "price": 0.10, "big": 123456789012345678901234567890, "raw": 1.50, "any": [1],'
        b' "day": "2013-01-31", "at": "2013-01-01T06:00:00+02:00", "naive": "2013-01-01T06:00:00Z"},'
    )
    second = b' {"whole": 10.0, "mixed": 0.5, "any": "text", "late": null, "price": "1.25", "raw": "one"}]'
    stub.on("/rows", lambda seen: reply(body=first + second))
    options = Rest.StreamOptions.model_validate({"path": "rows", "columns": DECLARED})
    with duckdb.connect() as duck:
        scan = Rest(base_url=stub.url).scan(duck, Stream("rows", options), State())
        scan.relation.create_view("rest_rows")
        duck.execute("CREATE TABLE loaded AS SELECT * FROM rest_rows")
        scan.close()
        assert {row[0]: row[1] for row in duck.execute("DESCRIBE loaded").fetchall()} == LOADED
        rows = duck.execute(
            'SELECT whole, mixed, nested, price::VARCHAR, big::VARCHAR, raw, day::VARCHAR, epoch("at"),'
            ' naive::VARCHAR, "any", declared, late, flag, number FROM loaded ORDER BY mixed DESC'
        ).fetchall()
    # Every digit the server sent: 2**53 + 1, thirty digits, and the closing zero of 1.50.
    assert rows[0] == (
        9007199254740993,
        1.0,
        '{"b":[1,2.5]}',
        "0.10",
        "123456789012345678901234567890",
        "1.50",
        "2013-01-31",
        datetime(2013, 1, 1, 4, tzinfo=UTC).timestamp(),
        "2013-01-01 06:00:00",
        "[1]",
        None,
        None,
        True,
        12,
    )
    assert rows[1] == (10, 0.5, None, "1.25", None, "one", None, None, None, '"text"', None, None, None, None)


def test_declared_text_keeps_a_fraction_digit_by_digit(stub: Stub) -> None:
    stub.on("/rows", lambda seen: reply(body=b'[{"v": 1.10}, {"v": 7}, {"v": true}, {"v": "x"}, {}]'))
    rows = read_rest(Rest(base_url=stub.url), columns={"v": "VARCHAR"})
    assert rows == [("1.10",), ("7",), ("true",), ("x",), (None,)]


def test_an_integer_beyond_64_bits_is_never_rounded(stub: Stub) -> None:
    digits = "123456789012345678901234567890"  # a fast decoder makes 1.2345678901234568e+29 of it without a word
    rest = Rest(base_url=stub.url)
    stub.on("/rows", lambda seen: reply(body=b'[{"v": %s}]' % digits.encode()))
    with pytest.raises(DataError, match=r"rest\.type"):
        read_rest(rest)
    assert read_rest(rest, columns={"v": "VARCHAR"}) == [(digits,)]
    stub.on("/rows", lambda seen: reply(body=b'[{"v": {"id": %s}}]' % digits.encode()))
    assert read_rest(rest) == [(f'{{"id":{digits}}}',)]


def pages(*rows: Any) -> Any:
    """The first page a thousand rows long, so that the columns are settled on it alone; then ``rows``."""

    def answer(seen: Seen) -> Any:
        page = int(seen.query["page"])
        return [{"id": 1, "v": 0.5, "w": 1, "t": None}] * 1000 if page == 1 else list(rows) if page == 2 else []

    return answer


def test_late_new_field(stub: Stub) -> None:
    stub.on("/rows", pages({"id": 2, "extra": 1}))
    rest = Rest(base_url=stub.url)
    with pytest.raises(DataError, match=r"rest\.new_field") as caught:
        read_rest(rest, paging={"type": "page_number"})
    assert "'extra'" in caught.value.what
    assert "columns: {extra" in caught.value.fix
    assert "page 2" in str(caught.value.where)
    rows = read_rest(rest, paging={"type": "page_number"}, columns={"extra": "BIGINT"})  # what the fix says
    assert len(rows) == 1001
    assert sorted(row[0] for row in rows if row[0] is not None) == [1]


@pytest.mark.parametrize(
    ("row", "column", "kind", "word"),
    [
        ({"id": "two"}, "id", "BIGINT", "a text"),
        ({"id": 2.5}, "id", "BIGINT", "a fraction"),  # Arrow alone would make 2 of it
        ({"id": True}, "id", "BIGINT", "a boolean"),
        ({"id": 2**63}, "id", "BIGINT", "an integer too large"),
        ({"v": 2**53 + 1}, "v", "DOUBLE", "an integer too large"),
        ({"v": True}, "v", "DOUBLE", "a boolean"),  # Arrow alone would make 1.0 of it
        ({"v": {"a": 1}}, "v", "DOUBLE", "an object"),
        ({"t": 3}, "t", "VARCHAR", "an integer"),
        ({"t": ["x"]}, "t", "VARCHAR", "a list"),
    ],
)
def test_late_type_change(stub: Stub, row: dict[str, Any], column: str, kind: str, word: str) -> None:
    stub.on("/rows", pages({"id": 1}, row))
    with pytest.raises(DataError, match=r"rest\.type") as caught:
        read_rest(Rest(base_url=stub.url), paging={"type": "page_number"})
    assert caught.value.what.startswith(f"column '{column}' is {kind}, but holds {word}")
    assert "page 2" in str(caught.value.where)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("DATE", "2013-02-30"),
        ("DATE", 5),
        ("TIMESTAMP", "yesterday"),
        ("TIMESTAMP", 1357020000),
        ("TIMESTAMPTZ", "2013-01-01T06:00:00"),
        ("DECIMAL(4,2)", 1.234),
        ("DECIMAL(4,2)", 123.5),
        ("DECIMAL(4,2)", "x"),
        ("DECIMAL(4,2)", True),
        ("DECIMAL(4,2)", "NaN"),
        ("SMALLINT", 40000),
        ("BOOLEAN", 1),
        ("BIGINT", "1.5"),
    ],
)
def test_value_does_not_fit_the_declared_type(stub: Stub, kind: str, value: Any) -> None:
    stub.on("/rows", lambda seen: [{"v": value}])
    with pytest.raises(DataError, match=r"rest\.type"):
        read_rest(Rest(base_url=stub.url), columns={"v": kind})


def test_first_values_of_several_types(stub: Stub) -> None:
    rest = Rest(base_url=stub.url)
    stub.on("/rows", lambda seen: [{"v": 1}, {"v": "x"}])
    with pytest.raises(DataError, match="a text and an integer"):
        read_rest(rest)
    stub.on("/rows", lambda seen: [{"v": 2**53 + 1}, {"v": 0.5}])  # no double holds the first
    with pytest.raises(DataError, match=r"rest\.type"):
        read_rest(rest)
    stub.on("/rows", lambda seen: [{"id": 1, "ID": 2}])
    with pytest.raises(DataError, match=r"rest\.columns"):
        read_rest(rest)
    stub.on("/rows", lambda seen: [])
    with pytest.raises(ConfigError, match=r"rest\.no_columns"):
        read_rest(rest)


def test_unknown_column_type() -> None:
    with pytest.raises(ConfigError, match=r"rest\.column_type") as caught:
        Rest.StreamOptions.model_validate({"path": "rows", "columns": {"v": "STRUCT(a INT)"}})
    assert "TIMESTAMPTZ" in caught.value.fix
