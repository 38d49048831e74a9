"""The PostgreSQL source against a real PostgreSQL 18: exact values, what the server filters, every error."""

import datetime as dt
import uuid
from decimal import Decimal

import duckdb
import pytest

from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.postgres_shop import EXPECTED, changed, ids, rows, stream


@pytest.mark.evidence("postgres", "source", "real_server")
def test_every_type_arrives_exactly(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    every_type_arrives_exactly(shop, connection)
    ran_against(shop, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


def every_type_arrives_exactly(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    scan = shop.scan(connection, stream("types"), State())
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        name: kind for name, (kind, _) in EXPECTED.items()
    }
    written = ", ".join('"' + name.replace('"', '""') + '"::VARCHAR' for name in EXPECTED)
    found = rows(connection, scan, written)
    assert dict(zip(EXPECTED, found[0], strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    assert found[1] == ("2", *(None,) * (len(EXPECTED) - 1))


def test_python_values(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    """The same row as Python sees it, without DuckDB's text in between."""
    row = rows(connection, shop.scan(connection, stream("types"), State()), "n_38, u, tstz, bytes, a2")[0]
    assert row == (
        Decimal("1234567890123456789012345678.0123456789"),
        uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        dt.datetime(2013, 1, 1, 10, 0, 0, 123456, tzinfo=dt.UTC),
        b"\x00\xff\x10",
        [[1, 2], [3, None]],
    )


def test_types_do_not_depend_on_the_way_to_the_rows(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    """A plain table is scanned in parallel at first and queried afterwards: the types stay."""
    whole = shop.scan(connection, stream("lengths", cursor="id"), State())
    later = shop.scan(connection, stream("lengths", cursor="id"), State(cursor="1", cursor_type="INTEGER"))
    assert "POSTGRES_SCAN" in whole.relation.explain()
    assert "POSTGRES_QUERY" in later.relation.explain()
    assert whole.relation.types == later.relation.types
    whole.close()
    later.close()


def test_first_read_takes_rows_without_cursor_later_ones_the_boundary_and_what_follows(
    shop: Postgres, connection: duckdb.DuckDBPyConnection
) -> None:
    wanted = stream("orders", cursor="at")
    assert ids(shop, connection, wanted, State()) == list(range(1, 1001))
    # 2020-01-01 16:37 UTC is minute 997, so order 998; the last with a time is 999.
    state = State(cursor="2020-01-01 16:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert ids(shop, connection, wanted, state) == [998, 999]


@pytest.mark.parametrize(
    ("cursor", "value", "first"),
    [
        ("id", "990", 990),
        ("code", "k0990", 990),
        ("price", "990.00", 990),
        ("day", "2020-01-10", 900),  # 2020-01-01 + 900 / 100 days
        ("local", "2020-01-01 16:29:00", 990),
        ("at", "not a time", 1),  # cannot be said to the server: it sends everything, the engine filters
    ],
)
def test_cursor_types(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, cursor: str, value: str, first: int
) -> None:
    found = ids(shop, connection, stream("orders", cursor=cursor), State(cursor=value, cursor_type="?"))
    assert found == list(range(first, 1001))


@pytest.mark.parametrize(("column", "hours"), [("at", -1), ("local", 0)])
def test_window_is_half_open_and_in_its_own_zone(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, column: str, hours: int
) -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    start, end = dt.datetime(2020, 1, 1, 2, 0, tzinfo=berlin), dt.datetime(2020, 1, 1, 3, 0, tzinfo=berlin)
    # Berlin's 02:00 to 03:00 is 01:00 to 02:00 UTC, minutes 60 to 119, orders 61 to 120, where the column knows
    # its zone; a column without one holds Berlin's wall time, an hour later. The stored cursor does not count.
    state = State(cursor="2020-01-01 16:37:00+00", window=Window(column, start, end))
    first = 121 + 60 * hours
    assert ids(shop, connection, stream("orders", cursor="at"), state) == list(range(first, first + 60))


def test_text_is_compared_by_bytes_as_duckdb_does(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """'B' < 'a' < 'ä' by bytes. A cursor at 'a' must bring 'ä' and leave 'B', whatever the collation."""
    assert ids(shop, connection, stream("lengths", cursor="name"), State(cursor="a", cursor_type="VARCHAR")) == [1, 3]
    assert """COLLATE "C" >= 'a'""" in postgres_server.log.read_text()


@pytest.mark.evidence("postgres", "source", "real_server")
def test_the_server_filters(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    """The statement that reached the server holds the predicate: two rows travel, not 1,000."""
    before = len(postgres_server.log.read_text())
    state = State(cursor="2020-01-01 16:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert len(ids(shop, connection, stream("orders", cursor="at"), state)) == 2
    copied = [line for line in postgres_server.log.read_text()[before:].splitlines() if "COPY (" in line]
    assert len(copied) == 1
    assert """WHERE "at" >= '2020-01-01 16:37:00+00'""" in copied[0]
    ran_against(shop, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


@pytest.mark.parametrize(
    ("cursor", "until", "last", "said"),
    [
        ("id", Decimal(10), 9, """"id" < '10'"""),
        ("id", Decimal("9.5"), 1000, ""),  # no whole number: the engine filters
        ("price", Decimal("9.5"), 9, """"price" < '9.5'"""),
        ("code", Decimal(10), 1000, ""),  # text has no order of numbers
        # Order n has minute n - 1 of 2020-01-01: 10:00 is order 601.
        ("at", dt.datetime(2020, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), 600,
         """"at" < TIMESTAMPTZ '2020-01-01 10:00:00+00:00'"""),
        ("local", dt.datetime(2020, 1, 1, 10, tzinfo=dt.UTC), 600, """"local" < TIMESTAMP '2020-01-01 10:00:00'"""),
        ("day", dt.datetime(2020, 1, 3, 10, tzinfo=dt.UTC), 199, """"day" < DATE '2020-01-03'"""),
    ],
)  # fmt: skip
def test_the_server_ends_at_the_upper_bound(
    shop: Postgres,
    connection: duckdb.DuckDBPyConnection,
    postgres_server: PostgresServer,
    cursor: str,
    until: dt.datetime | Decimal,
    last: int,
    said: str,
) -> None:
    wanted, before = stream("orders", cursor=cursor), len(postgres_server.log.read_text())
    found = ids(shop, connection, wanted, State(until=until))
    # Order 1000 misses its time: a first read takes it, whatever the bound.
    assert found == [*range(1, last + 1), *([1000] if cursor == "at" else [])]
    if said:
        assert f"WHERE ({said} OR " in postgres_server.log.read_text()[before:]
        state = State(cursor="5", cursor_type="?", until=until)
        if cursor == "id":
            assert ids(shop, connection, wanted, state) == [5, 6, 7, 8, 9]


@pytest.mark.evidence("postgres", "source", "real_server")
def test_scan_reads_nothing_before_the_relation_runs(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    before = len(postgres_server.log.read_text())
    shop.scan(connection, stream("orders"), State()).close()
    assert "COPY" not in postgres_server.log.read_text()[before:]
    ran_against(shop, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


def test_scan_inside_a_transaction_leaves_it_usable_and_closes_everything(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """The engine scans, writes, closes the scan and only then commits."""
    source = changed(shop, application_name="one transaction")
    connection.execute("BEGIN")
    scan = source.scan(connection, stream("lengths"), State())
    scan.relation.create("copied")
    scan.close()
    scan.close()
    connection.execute("INSERT INTO copied VALUES (4, 'd')")
    connection.execute("COMMIT")
    # 3 rows of the table and the one inserted after the scan was closed.
    assert connection.execute("SELECT count(*) FROM copied").fetchall() == [(4,)]
    assert connection.execute("SELECT * FROM duckdb_secrets()").fetchall() == []
    names = connection.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert names == [("memory",)]
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'one transaction'"
    assert postgres_server.execute(open_ones) == [(0,)]


def test_views_inheritance_and_odd_names(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    assert ids(shop, connection, stream("public.recent"), State()) == list(range(991, 1001))
    # A parallel scan by ctid would read the child's rows wrongly: parent and child hold one each.
    assert ids(shop, connection, stream("parent"), State()) == [1, 2]
    assert rows(connection, shop.scan(connection, stream('Odd "Name'), State()), "*") == [(1, 2)]


def test_the_stream_name_is_the_table(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    unnamed = Stream(name="recent", options=PostgresStream())
    assert len(ids(shop, connection, unnamed, State())) == 10
    assert shop.origin(unnamed) == ("public", "recent")
    assert shop.origin(stream("sales.orders")) == ("sales", "orders")
    assert shop.probe(unnamed) is None
