"""A SELECT over a DuckDB or SQLite file as a stream: its types, its names, and what is refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDBFile
from dataflow_platform.connectors.sqlite import Sqlite, SqliteStream
from dataflow_platform.core.base import Source, State, Stream
from dataflow_platform.core.errors import ConfigError, DataError

TABLES = """
CREATE TABLE t (id INTEGER, name TEXT, price DECIMAL(5,2), day DATE, bytes BLOB);
INSERT INTO t VALUES (1, 'a', 1.5, '2020-01-01', NULL), (2, NULL, 2.25, NULL, NULL);
CREATE TABLE u (id INTEGER, t_id INTEGER);
INSERT INTO u VALUES (10, 1), (11, 1);
"""


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine with tables of the same names, which no query of a file may read."""
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE t AS SELECT 666 AS id; CREATE TABLE secret AS SELECT 666 AS id")
        yield opened


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBFile:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as other:
        other.execute(TABLES + "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE SCHEMA sales;")
        other.execute("CREATE TABLE sales.moods AS SELECT 1 AS id, 'sad'::mood AS mood, {'a': 1::UTINYINT} AS pair")
    return DuckDBFile(path=str(path), wait_seconds=0.2)


@pytest.fixture
def lite(tmp_path: Path) -> Sqlite:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as other, other:
        other.executescript(TABLES)
    return Sqlite(path=str(path))


def asked(source: Source, query: str, **options: object) -> Stream:
    return Stream("asked", source.StreamOptions.model_validate({"query": query, **options}))


def read(
    source: Source, connection: duckdb.DuckDBPyConnection, query: str, **options: object
) -> tuple[dict[str, str], list[tuple[object, ...]]]:
    """Types and rows."""
    scan = source.scan(connection, asked(source, query, **options), State())
    try:
        types = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
        return types, sorted(scan.relation.fetchall(), key=str)
    finally:
        scan.close()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT t.id, u.id AS u FROM t JOIN u ON u.t_id = t.id -- the end", [(1, 10), (1, 11)]),
        ("WITH t AS (SELECT id FROM t WHERE id > 1) SELECT id FROM t;", [(2,)]),
        ("WITH one AS (SELECT id FROM main.t), two AS (SELECT id FROM one) SELECT max(id) FROM two", [(2,)]),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
         [(1,), (2,), (3,)]),
        ("FROM (VALUES (1), (2)) v(i), range(1) r(j) SELECT i, j", [(1, 0), (2, 0)]),
        ("SELECT main.t.id FROM main.t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)", [(1,)]),
        ("SELECT id FROM t UNION ALL (SELECT id FROM u ORDER BY id LIMIT 1)", [(1,), (10,), (2,)]),
    ],
)  # fmt: skip
def test_a_query_reads_the_duckdb_file_and_nothing_else(
    warehouse: DuckDBFile, connection: duckdb.DuckDBPyConnection, query: str, rows: list[tuple[object, ...]]
) -> None:
    assert read(warehouse, connection, query)[1] == rows
    attached = connection.execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert attached == [(1,)]


def test_types_of_a_duckdb_query_are_duckdbs(warehouse: DuckDBFile, connection: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT m.*, t.price * 2 AS twice, t.day FROM sales.moods m JOIN t USING (id)"
    types, rows = read(warehouse, connection, query)
    assert types == {
        "id": "INTEGER",
        "mood": "ENUM('sad', 'glad')",
        "pair": "STRUCT(a UTINYINT)",
        "twice": "DECIMAL(15,2)",  # DuckDB's own: five digits, and ten for an integer
        "day": "DATE",
    }
    assert len(rows) == 1
    assert warehouse.origin(asked(warehouse, query)) == ("asked",)


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ("DELETE FROM t", "query.refused", "another statement"),
        ("DELETE FROM t RETURNING id", "query.refused", "another statement"),
        ("SELECT 1; SELECT 2", "query.refused", "2 statements"),
        ("SELECT 1 /* ; */; /* */ DELETE FROM t --", "query.refused", "another statement"),
        ("SELECT 1) AS asked; DELETE FROM t; --", "query.failed", 'syntax error at or near ")"'),
        ("SELECT 1 AS a /* not closed", "query.failed", "/*"),
        ("COPY t TO '/tmp/dataflow-never'", "query.refused", "another statement"),
        ("SHOW TABLES", "query.refused", "describes tables"),
        ("SELECT id\n  FORM t u", "query.failed", "syntax error at or near"),
        ("SELECT nix FROM t", "query.failed", '"nix" not found'),
        ("SELECT * FROM secret", "query.failed", "secret"),
        ("SELECT * FROM memory.main.secret", "query.failed", "names the database"),
        ("SELECT * FROM '/etc/passwd'", "query.failed", "passwd"),
        ("SELECT (SELECT content FROM read_text('/etc/passwd'))", "query.refused", "read_text() reads something else"),
        ("SELECT * FROM query('SELECT * FROM secret')", "query.refused", "query() reads something else"),
        ("SELECT id, id AS ID FROM t", "query.columns", "called 'id' and 'ID'"),
        ("SELECT 1 AS a, 2 AS a", "query.columns", "called 'a' and 'a'"),  # one letter is one object to Python
    ],
)
def test_what_is_no_query_of_a_duckdb_file_is_refused(
    warehouse: DuckDBFile, connection: duckdb.DuckDBPyConnection, query: str, code: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(warehouse, connection, query)
    assert (caught.value.code, told in caught.value.what) == (code, True), caught.value
    # Nothing stays attached, and the engine goes on.
    assert connection.execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall() == [(1,)]


def test_types_of_a_sqlite_query_are_those_its_columns_declare(
    lite: Sqlite, connection: duckdb.DuckDBPyConnection
) -> None:
    query = (
        "SELECT t.*, price * 2 AS twice, count(u.id) AS lines FROM t LEFT JOIN u ON t_id = t.id GROUP BY t.id -- end"
    )
    types, rows = read(lite, connection, query)
    assert types == {
        "id": "BIGINT",
        "name": "VARCHAR",
        "price": "DOUBLE",
        "day": "DATE",
        "bytes": "BLOB",
        "twice": "VARCHAR",  # SQLite knows no type of what is computed
        "lines": "VARCHAR",
    }
    assert [str(value) for value in rows[0]] == ["1", "a", "1.5", "2020-01-01", "None", "3.0", "2"]
    assert [str(value) for value in rows[1]] == ["2", "None", "2.25", "None", "None", "4.5", "0"]
    as_table, _ = read(lite, connection, "SELECT * FROM t")
    scan = lite.scan(connection, Stream("t", SqliteStream()), State())
    assert as_table == dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    scan.close()
    assert read(lite, connection, "SELECT price FROM t", as_text=["price"])[0] == {"price": "VARCHAR"}
    assert read(lite, connection, "SELECT id FROM t WHERE 0") == ({"id": "BIGINT"}, [])
    assert read(lite, connection, "WITH v (n) AS (VALUES (1), (2)) SELECT n FROM v;")[1] == [("1",), ("2",)]


def test_a_value_that_is_none_of_its_type_fails_the_query(lite: Sqlite, connection: duckdb.DuckDBPyConnection) -> None:
    with closing(sqlite3.connect(lite.path)) as other, other:
        other.execute("UPDATE t SET price = 'free' WHERE id = 2")
    assert read(lite, connection, "SELECT price FROM t WHERE id = 1")[1] == [(1.5,)]
    with pytest.raises(duckdb.Error) as caught:
        read(lite, connection, "SELECT price FROM t")
    meant = lite.explain(caught.value)
    assert isinstance(meant, DataError)
    assert "1 in column 'price' (DECIMAL(5,2)), which is read as DOUBLE" in meant.what


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ("DELETE FROM t", "query.failed", 'near "DELETE": syntax error'),
        ("SELECT 1 AS a; DELETE FROM t", "query.refused", "one statement at a time"),
        ("SELECT 1 AS a /* ; */; /* */ DELETE FROM t --", "query.refused", "one statement at a time"),
        ("SELECT 1 AS a) AS asked; DELETE FROM t; --", "query.failed", 'near ")"'),
        ("SELECT 1 AS a /* not closed", "query.refused", "incomplete input"),
        ("PRAGMA table_info(t)", "query.failed", 'near "PRAGMA"'),
        ("SELECT id FORM t u", "query.failed", "syntax error"),
        ("SELECT nix FROM t", "query.failed", "no such column: nix"),
        ("SELECT * FROM secret", "query.failed", "no such table"),
        ("SELECT ? AS a", "query.failed", "parameters are not allowed"),
    ],
)
def test_what_is_no_query_of_a_sqlite_file_is_refused(
    lite: Sqlite, connection: duckdb.DuckDBPyConnection, query: str, code: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(lite, connection, query)
    assert (caught.value.code, told in caught.value.what) == (code, True), caught.value
    assert connection.execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall() == [(1,)]
    assert len(read(lite, connection, "SELECT * FROM t")[1]) == 2
