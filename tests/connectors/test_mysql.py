"""The MySQL source against a real MariaDB 10.11: exact values, what the server filters, many rows."""

import datetime as dt
from decimal import Decimal

import duckdb
import pytest

from dataflow_platform.connectors.mysql import MySQL, MySQLStream
from dataflow_platform.core.base import State, Stream, Window
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.mariadb_shop import EXPECTED, ids, resident, resident_from_here, rows, stream

pytestmark = pytest.mark.mariadb


@pytest.mark.evidence("mysql", "source", "real_server")
def test_every_type_arrives_exactly(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer, ran_against: RanAgainst
) -> None:
    scan = mysql_shop.scan(engine, stream("types"), State())
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        name: kind for name, (kind, _) in EXPECTED.items()
    }
    written = ", ".join('"' + name.replace('"', '""') + '"::VARCHAR' for name in EXPECTED)
    found = rows(engine, scan, written)
    assert dict(zip(EXPECTED, found[0], strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    # Row 2 has nothing but its key and what is computed from it.
    assert dict(zip(EXPECTED, found[1], strict=True)) == dict.fromkeys(EXPECTED) | {"id": "2", "made": "3"}
    ran_against(mysql_shop, f"MariaDB {mariadb_server.execute('SELECT VERSION()')[0][0].partition('-')[0]}")


def test_python_values(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    """The same row as Python sees it, without DuckDB's text in between."""
    row = rows(engine, mysql_shop.scan(engine, stream("types"), State()), "n_38, ts, t_neg, vb, u8")[0]
    assert row == (
        Decimal("-1234567890123456789012345678.0123456789"),
        dt.datetime(2013, 1, 1, 10, 0, 0, 123456, tzinfo=dt.UTC),
        dt.timedelta(microseconds=-500_000),
        b"\x00\xff\x10",
        2**64 - 1,
    )


def test_first_read_takes_rows_without_cursor_later_ones_the_boundary_and_what_follows(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection
) -> None:
    wanted = stream("orders", cursor="at")
    assert ids(mysql_shop, engine, wanted, State()) == list(range(1, 1001))
    # 2020-01-01 16:37 UTC is minute 997, so order 998; the last with a time is 999.
    state = State(cursor="2020-01-01 16:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert ids(mysql_shop, engine, wanted, state) == [998, 999]


@pytest.mark.parametrize(
    ("cursor", "value", "first"),
    [
        ("id", "990", 990),
        ("code", "k0990", 990),
        ("name", "k0990", 990),
        ("price", "990.00", 990),
        ("ratio", "990.1", 990),
        ("day", "2020-01-10", 900),  # 2020-01-01 + 900 / 100 days
        ("local", "2020-01-01 16:29:00", 990),
        ("u", "00000000-0000-0000-0000-000000000990", 990),
        ("at", "not a time", 1),  # cannot be said to the server: it sends everything, the engine filters
        ("at", "2020-01-01 16:29:00+01", 1),  # neither can a zone that is not UTC
    ],
)
def test_cursor_types(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, cursor: str, value: str, first: int
) -> None:
    found = ids(mysql_shop, engine, stream("orders", cursor=cursor), State(cursor=value, cursor_type="?"))
    assert found == list(range(first, 1001))


@pytest.mark.parametrize(("column", "hours"), [("at", -1), ("local", 0)])
def test_window_is_half_open_and_in_its_own_zone(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, column: str, hours: int
) -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    start, end = dt.datetime(2020, 1, 1, 2, 0, tzinfo=berlin), dt.datetime(2020, 1, 1, 3, 0, tzinfo=berlin)
    # Berlin's 02:00 to 03:00 is 01:00 to 02:00 UTC, minutes 60 to 119, orders 61 to 120, where the column knows
    # its zone; a column without one holds Berlin's wall time, an hour later. The stored cursor does not count.
    state = State(cursor="2020-01-01 16:37:00+00", window=Window(column, start, end))
    first = 121 + 60 * hours
    assert ids(mysql_shop, engine, stream("orders", cursor="at"), state) == list(range(first, first + 60))


def test_text_is_compared_by_bytes_as_duckdb_does(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    """'B' < '`' < 'a' < 'a\\t' < 'ä' by bytes; the server's collation pads and folds: 'B' > 'a', 'a\\t' < 'a'."""
    assert ids(mysql_shop, engine, stream("names", cursor="name"), State(cursor="a")) == [1, 3, 4]


@pytest.mark.evidence("mysql", "source", "real_server")
def test_the_server_filters_and_uses_its_index(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer, ran_against: RanAgainst
) -> None:
    """The statement that reached the server holds the predicate: two rows travel, not 1,000."""
    before = len(mariadb_server.logged())
    state = State(cursor="2020-01-01 16:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert len(ids(mysql_shop, engine, stream("orders", cursor="at"), state)) == 2
    run = [line for line in mariadb_server.logged(before).splitlines() if "Execute\t" in line and "`orders`" in line]
    assert len(run) == 1
    assert "WHERE `at` >= TIMESTAMP'2020-01-01 16:37:00'" in run[0]
    plan = mariadb_server.execute("SET time_zone = '+00:00'; EXPLAIN " + run[0].split("Execute\t")[1], "shop")
    assert plan[0][3:6] == ("range", "at", "at")  # type, possible keys, key
    ran_against(mysql_shop, f"MariaDB {mariadb_server.execute('SELECT VERSION()')[0][0].partition('-')[0]}")


@pytest.mark.parametrize(
    ("cursor", "until", "last"),
    [
        ("id", Decimal(10), 9),
        ("price", Decimal("9.5"), 9),
        ("code", Decimal(10), 1000),  # text has no order of numbers
        # Order n has minute n - 1 of 2020-01-01: 10:00 is order 601.
        ("at", dt.datetime(2020, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), 600),
        ("local", dt.datetime(2020, 1, 1, 10, tzinfo=dt.UTC), 600),
        ("day", dt.datetime(2020, 1, 3, 10, tzinfo=dt.UTC), 199),
    ],
)
def test_the_server_ends_at_the_upper_bound(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, cursor: str, until: dt.datetime | Decimal, last: int
) -> None:
    # Order 1000 misses its time: a first read takes it, whatever the bound.
    found = ids(mysql_shop, engine, stream("orders", cursor=cursor), State(until=until))
    assert found == [*range(1, last + 1), *([1000] if cursor == "at" else [])]


def test_scan_reads_nothing_before_the_relation_runs(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    before = len(mariadb_server.logged())
    mysql_shop.scan(engine, stream("orders"), State()).close()
    # Prepared, which tells the types, and not executed.
    assert "Prepare\tSELECT `id`" in mariadb_server.logged(before)
    assert "Execute\tSELECT `id`" not in mariadb_server.logged(before)


def test_scan_inside_a_transaction_leaves_it_usable_and_closes_everything(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    """The engine scans, writes, closes the scan and only then commits."""
    engine.execute("DROP TABLE IF EXISTS copied")
    engine.execute("BEGIN")
    scan = mysql_shop.scan(engine, stream("names"), State())
    scan.relation.create("copied")
    scan.close()
    scan.close()
    engine.execute("INSERT INTO copied VALUES (6, 'd')")
    engine.execute("COMMIT")
    # 5 rows of the table and the one inserted after the scan was closed.
    assert engine.execute("SELECT count(*) FROM copied").fetchall() == [(6,)]
    assert engine.execute("SELECT * FROM duckdb_secrets()").fetchall() == []
    names = engine.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert names == [("memory",)]
    assert _sessions(mariadb_server) == []


def test_rows_of_a_scan_are_one_statements_snapshot(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    """Rows committed while a scan is being read do not show in it, though most of it is still to come."""
    scan = mysql_shop.scan(engine, stream("many"), State())
    reader = scan.relation.to_arrow_reader(1000)
    found = reader.read_next_batch().num_rows
    mariadb_server.execute("INSERT INTO many (id) VALUES (900001); DELETE FROM many WHERE id = 300000", "shop")
    try:
        last = 0
        for batch in reader:
            found, last = found + batch.num_rows, batch.column(0)[-1].as_py()
    finally:
        mariadb_server.execute(
            "DELETE FROM many WHERE id > 900000; INSERT INTO many SELECT 300000, "
            "TIMESTAMP'2020-01-01 00:00:00' + INTERVAL 300000 SECOND, 3000, REPEAT(MD5(300000), 15)", "shop",
        )  # fmt: skip
        scan.close()
    assert (found, last) == (300_000, 300_000)


def test_a_limit_the_server_sets_for_everybody_loses_no_rows(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    mariadb_server.execute("SET GLOBAL sql_select_limit = 10")
    try:
        assert len(ids(mysql_shop, engine, stream("orders"), State())) == 1000
    finally:
        mariadb_server.execute("SET GLOBAL sql_select_limit = DEFAULT")


@pytest.mark.evidence("mysql", "source", "real_server")
def test_many_rows_in_bounded_memory(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer, ran_against: RanAgainst
) -> None:
    scan = mysql_shop.scan(engine, stream("many"), State())
    before = resident_from_here()
    # 300,000 rows with ids 1 to 300,000: their sum is 300,000 * 300,001 / 2.
    found = rows(engine, scan, "count(*), sum(id), sum(length(filler)), max(price)")
    assert found == [(300_000, 45_000_150_000, 300_000 * 480, Decimal("3000.00"))]
    # 150 MB travel; a client that kept them would grow by more than that.
    assert resident() - before < 75
    ran_against(mysql_shop, f"MariaDB {mariadb_server.execute('SELECT VERSION()')[0][0].partition('-')[0]}")


def test_views_empty_tables_and_odd_names(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    assert ids(mysql_shop, engine, stream("shop.recent"), State()) == list(range(991, 1001))
    assert ids(mysql_shop, engine, stream("empty", cursor="at"), State()) == []
    odd = mysql_shop.scan(engine, stream("odd `\"n'ame ü"), State())
    assert odd.relation.columns == ["a b", "select"]
    assert rows(engine, odd, "*") == [(1, 2)]
    # Tables that differ in case only are two.
    assert ids(mysql_shop, engine, stream("Names"), State()) == [42]
    assert ids(mysql_shop, engine, stream("names"), State()) == [1, 2, 3, 4, 5]
    assert ids(mysql_shop, engine, stream("archive.orders"), State()) == [7]


def test_the_stream_name_is_the_table(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    unnamed = Stream(name="recent", options=MySQLStream())
    assert len(ids(mysql_shop, engine, unnamed, State())) == 10
    assert mysql_shop.origin(unnamed) == ("shop", "recent")
    assert mysql_shop.origin(stream("archive.orders")) == ("archive", "orders")
    assert mysql_shop.probe(unnamed) is None


@pytest.mark.parametrize(("compression", "compressed"), [(False, "OFF"), (True, "ON")])
def test_rows_are_compressed_only_where_that_is_asked_for(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, compression: bool, compressed: str
) -> None:
    """The server's word for the session that brings the rows: it costs it several times the CPU of reading them."""
    source = MySQL(**{**mysql_shop.model_dump(), "password": mysql_shop.password, "compression": compression})
    query = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Compression'"
    asked = Stream("q", MySQLStream(query=query))
    assert rows(engine, source.scan(engine, asked, State()), "*") == [(compressed,)]


def _sessions(server: MariaDBServer) -> list[tuple[object, ...]]:
    return server.execute("SELECT id FROM information_schema.processlist WHERE user = 'reader'")
