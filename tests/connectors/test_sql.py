"""The `sql` connector on a real SQLite file: types, cursors, windows, queries, memory."""

import datetime as dt
import multiprocessing
import resource
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.sql import Sql
from dataflow_platform.core.base import State, Stream
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, stream

# Type and value of each column of `types`, by hand from the INSERT of the fixture.
EXPECTED: dict[str, tuple[str, Any]] = {
    "id": ("BIGINT", 1),  # SQLite's INTEGER has 64 bits
    'odd "name: 100%': ("VARCHAR", "a'b"),
    "price": ("DECIMAL(10,2)", Decimal("12.00")),
    "free": ("VARCHAR", "7"),  # a NUMERIC without digits travels as its digits
    "ratio": ("DOUBLE", 0.1),
    "yes": ("BOOLEAN", True),
    "day": ("DATE", dt.date(2020, 2, 29)),
    "at": ("TIMESTAMP", dt.datetime(2020, 1, 1, 0, 0, 0, 123456)),
    "clock": ("TIME", dt.time(12, 34, 56, 500000)),
    "bytes": ("BLOB", b"\x00\xff\x10"),
    "doc": ("JSON", '{"a": 12345678901234567890.10}'),
    "big": ("BIGINT", 9223372036854775807),
    "select": ("VARCHAR", "ünï"),
}


@pytest.mark.evidence("sql", "source", "real_server")
def test_every_type_arrives_as_declared(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    scan = sqlite_shop.scan(engine, stream("types"), State())
    told = zip(scan.relation.columns, map(str, scan.relation.types), strict=True)
    assert dict(told) == {name: kind for name, (kind, _) in EXPECTED.items()}
    first, second = scan.relation.fetchall()
    assert dict(zip(EXPECTED, first, strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    assert second == (2, *[None] * 12)
    assert scan.rows_read is not None
    assert scan.rows_read() == 2
    ran_against(sqlite_shop, f"SQLite {sqlite3.sqlite_version}")


def test_the_schema_does_not_depend_on_the_rows(sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection) -> None:
    scan = sqlite_shop.scan(engine, stream("empty"), State())
    assert list(map(str, scan.relation.types)) == ["BIGINT", "VARCHAR"]
    assert scan.relation.fetchall() == []


def test_nothing_is_read_before_the_relation_is_executed_and_twice_is_twice(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, shop_file: Path
) -> None:
    scan = sqlite_shop.scan(engine, stream("empty"), State())
    with sqlite3.connect(shop_file) as writer:
        writer.execute("INSERT INTO empty VALUES (1, 'late')")
    writer.close()
    assert scan.relation.fetchall() == [(1, "late")]
    assert scan.relation.project("id").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("wanted", "state", "expected"),
    [
        (stream("orders", "id", columns=("id",)), State("998"), [(998,), (999,), (1000,)]),
        # SQLite compares times as texts, where 16:38:00 comes before 16:38:00.000000: all rows, the engine filters.
        (stream("orders", "at", columns=("id",)), State("2020-01-01 16:38:00"), 1000),
        # Texts are ordered by the column's collation, which may not be DuckDB's.
        (stream("orders", "code", columns=("id",)), State("k999"), 1000),
        # The upper bound is no row of the read; what the server cannot compare exactly, the engine filters.
        (stream("orders", "id", columns=("id",)), State("998", until=Decimal(1000)), [(998,), (999,)]),
        (stream("orders", "id", columns=("id",)), State(until=Decimal(3)), [(1,), (2,)]),
        (stream("orders", "id", columns=("id",)), State(until=Decimal("2.5")), 1000),
        (stream("orders", "at", columns=("id",)), State(until=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)), 1000),
    ],
)
def test_the_server_applies_the_cursor_where_its_order_is_duckdbs(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, wanted: Stream, state: State, expected: Any
) -> None:
    found = read(sqlite_shop, engine, wanted, state)
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.evidence("sql", "source", "real_server")
def test_views_queries_and_names_with_dots(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    assert len(read(sqlite_shop, engine, stream("recent"))) == 10
    assert read(sqlite_shop, engine, stream('main."dotted.name"')) == [(1,)]
    types = {"id": "bigint", "what": "varchar", "price": "numeric(12, 3)"}
    query = "WITH a AS (SELECT * FROM orders) SELECT id, ':x %d' AS what, price FROM a WHERE id < 4;"
    asked = stream(query=query, cursor="id", types=types)
    assert read(sqlite_shop, engine, asked, State("2")) == [
        (2, ":x %d", Decimal("2.000")),
        (3, ":x %d", Decimal("3.000")),
    ]
    assert sqlite_shop.origin(asked) == ("q",)
    assert sqlite_shop.origin(stream("main.orders")) == ("main", "orders")
    ran_against(sqlite_shop, f"SQLite {sqlite3.sqlite_version}")


def test_columns_as_text_and_of_another_type(sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection) -> None:
    wanted = stream("types", columns=("price", "id"), as_text=("price",), types={"id": "INTEGER"})
    scan = sqlite_shop.scan(engine, wanted, State("0"))
    assert list(map(str, scan.relation.types)) == ["VARCHAR", "INTEGER"]
    assert scan.relation.fetchall() == [("12", 1), (None, 2)]


def test_discover_and_test_connection(sqlite_shop: Sql, shop_file: Path) -> None:
    assert sqlite_shop.discover() == [
        'main."dotted.name"',
        "main.empty",
        "main.orders",
        "main.recent",
        "main.shapes",
        "main.types",
    ]
    assert (
        sqlite_shop.test_connection() == f"SQL database by URL {sqlite3.sqlite_version} at sqlite:///file:{shop_file}"
    )


_CONTEXT = multiprocessing.get_context("spawn")


def count_rows(path: Path, answer: "multiprocessing.Queue[tuple[int, int]]") -> None:
    """Read the table `big` to its end; answers with its rows and this process's peak memory in bytes."""
    with duckdb.connect() as connection:
        scan = Sql(url=f"sqlite:///{path}").scan(connection, stream("big"), State())
        ((rows, _),) = scan.relation.aggregate("count(*), max(words)").fetchall()
    answer.put((rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def test_memory_stays_when_rows_grow(tmp_path: Path) -> None:
    peaks = {}
    for count in (10_000, 300_000):
        path = tmp_path / f"{count}.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, words TEXT, at DATETIME)")
            made = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO big "
            connection.execute(made + "SELECT i, hex(randomblob(100)), '2020-01-01 00:00:00' FROM n", (count,))
        connection.close()
        answer: multiprocessing.Queue[tuple[int, int]] = _CONTEXT.Queue()
        child = _CONTEXT.Process(target=count_rows, args=(path, answer))
        child.start()
        read_rows, peaks[count] = answer.get(timeout=120)
        child.join()
        assert read_rows == count
    # 290,000 further rows are 58 MB of text, and more than 120 MB as Python's strings and tuples; a batch of
    # 20,000 rows is some 20 MB of both.
    assert peaks[300_000] < peaks[10_000] + 50_000_000
    assert peaks[300_000] > 50_000_000  # the measure itself works
