"""A SELECT as a stream of the PostgreSQL source: types of tables, the cursor around it, and what is refused."""

import duckdb
import pytest

from dataflow_platform.connectors.postgres import Postgres, PostgresStream, source
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.postgres_shop import EXPECTED, ids, rows


def asked(query: str, cursor: str | None = None, **options: object) -> Stream:
    return Stream("asked", PostgresStream.model_validate({"query": query, **options}), cursor)


@pytest.mark.parametrize("scanner", [True, False])
@pytest.mark.parametrize("query", ["SELECT * FROM types", "WITH t AS (SELECT * FROM types) SELECT t.* FROM t;  "])
def test_a_column_of_a_table_has_the_tables_type(
    shop: Postgres,
    connection: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    scanner: bool,
) -> None:
    if not scanner:
        monkeypatch.setattr(source, "_scanner", lambda _: (False, "psycopg2"))
    scan = shop.scan(connection, asked(query), State())
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        name: kind for name, (kind, _) in EXPECTED.items()
    }
    found = rows(connection, scan, "COLUMNS(*)::VARCHAR")
    assert dict(zip(EXPECTED, found[0], strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}


def test_a_computed_column_has_the_type_the_server_says(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    query = """
        SELECT 7 AS whole, 1.50::numeric(6,2) AS money, (-1234)::numeric(3,-2) AS hundreds, 0.1::numeric AS free,
               'ab'::char(4) AS fixed, 'sad'::mood AS e, 5::small AS dom, ARRAY[1, 2] AS list, 'x' AS word,
               '{"a": 1.10}'::jsonb AS doc, '{{1},{2}}'::int[] AS joined FROM types WHERE id = 1 -- the end"""
    scan = shop.scan(connection, asked(query, as_text=["joined"]), State())
    # By hand: numeric(3,-2) keeps hundreds of up to five digits.
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        "whole": "INTEGER",
        "money": "DECIMAL(6,2)",
        "hundreds": "DECIMAL(5,0)",
        "free": "VARCHAR",
        "fixed": "VARCHAR",
        "e": "ENUM('sad', 'it''s ok', 'happy')",
        "dom": "INTEGER",
        "list": "INTEGER[]",
        "word": "VARCHAR",
        "doc": "JSON",
        "joined": "VARCHAR",
    }
    assert rows(connection, scan, "COLUMNS(*)::VARCHAR") == [
        ("7", "1.50", "-1200", "0.1", "ab  ", "sad", "5", "[1, 2]", "x", '{"a": 1.10}', "{{1},{2}}")
    ]


def test_the_server_applies_the_cursor_around_the_query(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    wanted = asked("SELECT id, at + interval '1 hour' AS later FROM orders WHERE id > 5 -- % and 'quoted'", "later")
    assert ids(shop, connection, wanted, State()) == list(range(6, 1001))
    before = len(postgres_server.log.read_text())
    # Order 998 has minute 997, 16:37, an hour later 17:37; order 1000 misses its time.
    state = State(cursor="2020-01-01 17:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert ids(shop, connection, wanted, state) == [998, 999]
    assert """WHERE "later" >= '2020-01-01 17:37:00+00'""" in postgres_server.log.read_text()[before:]


def test_values_and_an_empty_result(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    assert rows(connection, shop.scan(connection, asked("VALUES (1, 'a'), (2, 'b')"), State()), "*") == [
        (1, "a"),
        (2, "b"),
    ]
    nothing = asked("SELECT id FROM orders WHERE false")
    assert ids(shop, connection, nothing, State()) == []
    assert shop.origin(nothing) == ("asked",)


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ("DELETE FROM orders", "query.refused", "cannot open DELETE query as cursor"),
        ("DELETE FROM orders RETURNING id", "query.refused", "syntax error"),
        ("WITH gone AS (DELETE FROM orders RETURNING id) TABLE gone", "query.refused", "must be at the top level"),
        ("SELECT 1 AS a; DELETE FROM orders", "query.refused", "multi-query plan"),
        ("SELECT 1 AS a; SELECT 2 AS b", "query.refused", "multi-query plan"),
        ("SELECT 1 AS a /* ; */; /* */ DROP TABLE orders --", "query.refused", "multi-query plan"),
        ("SELECT id INTO copied FROM orders", "query.refused", "cannot open SELECT INTO query"),
        ("SELECT id FROM orders FOR UPDATE", "query.refused", "read-only"),
        ("CREATE TABLE made (id int)", "query.refused", "cannot open CREATE TABLE query"),
        ("EXPLAIN SELECT 1", "query.refused", "syntax error"),
        # Neither ends the subselect and goes on behind it.
        ('SELECT 1 AS a) AS asked; DELETE FROM orders; --', "query.failed", "at or near \")\", line 1, column 14"),
        ("SELECT 1 AS a /* not closed", "query.failed", "unterminated /* comment"),
        ("SELECT id\n  FORM orders", "query.failed", 'at or near "orders", line 2, column 8'),
        ("SELECT nix FROM orders", "query.failed", 'column "nix" does not exist'),
        ("SELECT * FROM order_s", "query.failed", 'relation "order_s" does not exist'),
        ("SELECT $1", "query.failed", "no parameter $1"),
        ("SELECT * FROM hidden", "postgres.permission", "permission denied for table hidden"),
        ("SELECT a.id, b.id FROM orders a, orders b", "query.columns", "called 'id' and 'id'"),
        ('SELECT 1 AS a, 2 AS "A"', "query.columns", "called 'a' and 'A'"),
        ("SELECT 1 AS a, 2 AS a", "query.columns", "called 'a' and 'a'"),  # one letter is one object to Python
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused_before_anything_is_read(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, query: str, code: str,
    told: str,
) -> None:  # fmt: skip
    # A role that might do it all: what refuses is the way of asking.
    postgres_server.execute("ALTER ROLE reader SUPERUSER" if code != "postgres.permission" else "SELECT 1")
    try:
        with pytest.raises(ConfigError) as caught:
            shop.scan(connection, asked(query), State())
    finally:
        postgres_server.execute("ALTER ROLE reader NOSUPERUSER")
    assert caught.value.code == code
    assert told in caught.value.what
    assert postgres_server.execute("SELECT count(*) FROM orders", "shop") == [(1000,)]
    assert postgres_server.execute("SELECT to_regclass('copied'), to_regclass('made')", "shop") == [(None, None)]


def test_options_that_contradict_each_other_or_say_nothing() -> None:
    with pytest.raises(ConfigError, match="both set"):
        PostgresStream(table="orders", query="SELECT 1")
    with pytest.raises(ConfigError, match="query is empty"):
        PostgresStream(query=" ; ")
