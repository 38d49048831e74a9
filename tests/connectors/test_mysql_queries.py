"""A SELECT as a stream of the MySQL source: types of tables, the cursor around it, and what is refused."""

import duckdb
import pytest

from dataflow_platform.connectors.mysql import MySQL, MySQLStream
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.mariadb_shop import EXPECTED, LABELS, ids, rows

pytestmark = pytest.mark.mariadb


def asked(query: str, cursor: str | None = None, **options: object) -> Stream:
    return Stream("asked", MySQLStream.model_validate({"query": query, **options}), cursor)


@pytest.mark.parametrize("query", ["SELECT * FROM types", "SELECT * FROM shop.types t WHERE id > 0 ORDER BY id # end"])
def test_a_column_of_a_table_has_the_tables_type(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, query: str
) -> None:
    # The star leaves invisible columns out.
    expected = {name: told for name, told in EXPECTED.items() if name != "hidden"}
    scan = mysql_shop.scan(engine, asked(query), State())
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        name: kind for name, (kind, _) in expected.items()
    }
    found = rows(engine, scan, ", ".join('"' + name.replace('"', '""') + '"::VARCHAR' for name in expected))
    assert dict(zip(expected, found[0], strict=True)) == {name: value for name, (_, value) in expected.items()}


def test_a_computed_column_has_the_type_the_server_says(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    query = """SELECT t.e AS renamed, t.js AS doc, count(*) AS n, sum(n_10) AS total, 1.50 * id AS money,
        concat(t.bin, 'x') AS word, u8 AS big, ts + INTERVAL 1 DAY AS later, bit12 AS bits, f8 / 2 AS half,
        sum(n_65) AS wide, unhex('00ff') AS bytes, CAST('2020-02-03' AS date) AS day
        FROM types t WHERE id = 1 GROUP BY id -- the end"""
    scan = mysql_shop.scan(engine, asked(query), State())
    # By hand: MariaDB adds 22 digits to a sum; a product of int and decimal(3,2) has their digits together.
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        "renamed": LABELS,
        "doc": "JSON",
        "n": "BIGINT",
        "total": "DECIMAL(32,0)",
        "money": "DECIMAL(13,2)",
        "word": "VARCHAR",
        "big": "UBIGINT",
        "later": "TIMESTAMP",
        "bits": "UBIGINT",
        "half": "DOUBLE",
        "wide": "VARCHAR",
        "bytes": "BLOB",
        "day": "DATE",
    }
    found = rows(engine, scan, "renamed::VARCHAR, doc::VARCHAR, n, total::VARCHAR, money::VARCHAR, word, big, day::VARCHAR")  # fmt: skip  # noqa: E501
    assert found == [
        ("it's ok", '{"a":  1}', 1, "-9999999999", "1.50", "Ärger 😀x", 18446744073709551615, "2020-02-03")
    ]


def test_the_server_applies_the_cursor_around_the_query(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    wanted = asked("SELECT id, at AS moment FROM orders WHERE id > 5 -- % and 'quoted'", "moment")
    assert ids(mysql_shop, engine, wanted, State()) == list(range(6, 1001))
    before = len(mariadb_server.logged())
    # Order 998 has minute 997, 16:37; order 1000 misses its time.
    state = State(cursor="2020-01-01 16:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert ids(mysql_shop, engine, wanted, state) == [998, 999]
    assert "WHERE `moment` >= TIMESTAMP'2020-01-01 16:37:00'" in mariadb_server.logged(before)


def test_a_union_and_values(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    both = asked("SELECT id FROM recent UNION ALL SELECT id FROM archive.orders")
    assert ids(mysql_shop, engine, both, State()) == [7, *range(991, 1001)]
    assert ids(mysql_shop, engine, asked("WITH v (id) AS (VALUES (1), (2)) SELECT id FROM v"), State()) == [1, 2]
    assert mysql_shop.origin(both) == ("asked",)


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        ("DELETE FROM orders", "query.refused", "READ ONLY transaction"),
        ("DELETE FROM orders RETURNING id", "query.refused", "READ ONLY transaction"),
        ("INSERT INTO orders (id) VALUES (0)", "query.refused", "READ ONLY transaction"),
        ("SELECT 1 AS a; DELETE FROM orders", "query.failed", "near 'DELETE FROM orders'"),
        ("SELECT 1 AS a /* ; */; /*! DELETE FROM orders */", "query.failed", "near 'DELETE FROM orders"),
        ("/*! DELETE FROM orders */", "query.refused", "READ ONLY transaction"),
        ("SELECT id FROM orders INTO OUTFILE '/tmp/dataflow-never'", "query.refused", "near 'INTO OUTFILE"),
        ("SHOW TABLES", "query.refused", "near 'SHOW TABLES"),
        ("SELECT 1 AS a) AS asked; DELETE FROM orders -- ", "query.failed", "near ') AS asked"),
        ("SELECT 1 AS a /* not closed", "query.failed", "near '/* not closed"),
        ("SELECT id FORM orders", "query.failed", "near 'orders'"),
        ("SELECT nix FROM orders", "query.failed", "Unknown column 'nix'"),
        ("SELECT * FROM archive.order_s", "query.failed", "doesn't exist"),
        ("SELECT * FROM hidden", "mysql.permission", "denied"),
        ("SELECT id, id FROM orders", "query.columns", "called 'id' and 'id'"),
        ("SELECT 1 AS a, 2 AS a", "query.columns", "called 'a' and 'a'"),  # one letter is one object to Python
        ("SELECT 1; -- the end", "query.refused", "near '; -- the end"),
        ("SELECT ? AS a", "query.failed", "it holds a ?"),
    ],
)
def test_what_is_no_query_is_refused_before_anything_is_read(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer, query: str, code: str,
    told: str,
) -> None:  # fmt: skip
    # An account that might do it all: what refuses is the way of asking.
    source = mysql_shop if code == "mysql.permission" else MySQL(
        host="127.0.0.1", port=mysql_shop.port, database="shop", user="root"
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        source.scan(engine, asked(query), State())
    assert (caught.value.code, told in caught.value.what) == (code, True), caught.value
    assert mariadb_server.execute("SELECT count(*) FROM orders", "shop") == [(1000,)]
