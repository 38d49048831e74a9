"""The PostgreSQL source against a real PostgreSQL 18: exact values, what the server filters, every error."""

import contextlib
import datetime as dt
import socket
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.connectors.postgres import source as postgres_source
from dataflow_platform.core.base import Scan, State, Stream, Window
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.demo.postgres import PostgresServer

PASSWORD = "hush'hush\\ 100%"
DATABASE = "shop"
TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN free_number AS numeric;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small AS positive CHECK (VALUE < 100);
CREATE TABLE types (
    id int PRIMARY KEY, n_free numeric, n_long numeric(50,10), n_38 numeric(38,10), n_rounded numeric(5,-2),
    n_tiny numeric(3,5), i2 smallint, i8 bigint, f4 real, f8 double precision, yes boolean, "Ünï ""code"" x" text,
    fixed char(5), short varchar(5), bytes bytea, u uuid, d date, t time, tz timetz, ts timestamp, tstz timestamptz,
    span interval, e mood, js json, jb jsonb, ip inet, range int4range, stamps tstzrange, bits bit(3), cash money,
    composite pair, place point, o oid, dom positive, dom2 small, dom_free free_number, a1 int[], a2 int[][],
    a_text text[], a_free numeric[], a_fixed char(3)[], a_enum mood[], a2_times timestamptz[][]);
INSERT INTO types VALUES (
    1, 12345678901234567890123456789.123456789012345678901, 1234567890123456789012345678901234567890.0123456789,
    1234567890123456789012345678.0123456789, 12345, 0.00123, -5, 9223372036854775807, 1.1, 'NaN', true, 'a''b',
    'ab', 'cd', '\\x00ff10', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'infinity', '24:00:00', '12:34:56.123456+05:30',
    '-infinity', '2013-01-01 05:00:00.123456-05', '1 year 2 mons 3 days 04:05:06.789', 'it''s ok',
    '{"a":  1}', '{"a": 123456789012345678901234567890.10}', '10.0.0.1/24', '[1,5)', '[2020-01-01 00:00:00+00,)',
    '101', '$12.34', '(1,"x y")', '(1,2)', 42, 5, 7, 1.10, '{1,NULL,3}', '{{1,2},{3,NULL}}', '{"a,b","c\\"d",NULL}',
    '{1.10,NaN}', '{a}', '{sad,"it''s ok"}', '{{infinity,"2013-01-01 00:00:00+00"}}');
INSERT INTO types (id) VALUES (2);
"""
# What DuckDB must hold: type, and the value as DuckDB writes it. By hand from the INSERT above.
EXPECTED: dict[str, tuple[str, str]] = {
    "id": ("INTEGER", "1"),
    "n_free": ("VARCHAR", "12345678901234567890123456789.123456789012345678901"),
    "n_long": ("VARCHAR", "1234567890123456789012345678901234567890.0123456789"),
    "n_38": ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789"),
    "n_rounded": ("DECIMAL(7,0)", "12300"),  # numeric(5,-2) keeps hundreds
    "n_tiny": ("DECIMAL(5,5)", ".00123"),  # DuckDB writes no 0 where there is no digit before the point
    "i2": ("SMALLINT", "-5"),
    "i8": ("BIGINT", "9223372036854775807"),
    "f4": ("FLOAT", "1.1"),
    "f8": ("DOUBLE", "nan"),
    "yes": ("BOOLEAN", "true"),
    'Ünï "code" x': ("VARCHAR", "a'b"),
    "fixed": ("VARCHAR", "ab   "),  # char(5) keeps its blanks
    "short": ("VARCHAR", "cd"),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "u": ("UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "d": ("DATE", "infinity"),
    "t": ("TIME", "24:00:00"),
    "tz": ("TIME WITH TIME ZONE", "12:34:56.123456+05:30"),
    "ts": ("TIMESTAMP", "-infinity"),
    "tstz": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
    "span": ("INTERVAL", "1 year 2 months 3 days 04:05:06.789"),
    "e": ("ENUM('sad', 'it''s ok', 'happy')", "it's ok"),
    "js": ("JSON", '{"a":  1}'),
    "jb": ("JSON", '{"a": 123456789012345678901234567890.10}'),
    "ip": ("VARCHAR", "10.0.0.1/24"),
    "range": ("VARCHAR", "[1,5)"),
    "stamps": ("VARCHAR", '["2020-01-01 00:00:00+00",)'),  # in UTC, though the server is set to New York
    "bits": ("VARCHAR", "101"),
    "cash": ("VARCHAR", "$12.34"),
    "composite": ("VARCHAR", '(1,"x y")'),
    "place": ("VARCHAR", "(1,2)"),
    "o": ("VARCHAR", "42"),
    "dom": ("INTEGER", "5"),
    "dom2": ("INTEGER", "7"),
    "dom_free": ("VARCHAR", "1.10"),
    "a1": ("INTEGER[]", "[1, NULL, 3]"),
    "a2": ("INTEGER[][]", "[[1, 2], [3, NULL]]"),
    "a_text": ("VARCHAR[]", "['a,b', 'c\"d', NULL]"),
    "a_free": ("VARCHAR[]", "[1.10, NaN]"),
    "a_fixed": ("VARCHAR", '{"a  "}'),
    "a_enum": ("VARCHAR[]", "[sad, 'it\\'s ok']"),
    "a2_times": ("TIMESTAMP WITH TIME ZONE[][]", "[[infinity, '2013-01-01 00:00:00+00']]"),
}
# 1,000 orders, one a minute from 2020-01-01 00:00 UTC on; the last one has no time.
ORDERS = """
CREATE TABLE orders AS SELECT i AS id, timestamptz '2020-01-01 00:00+00' + (i - 1) * interval '1 minute' AS at,
    timestamp '2020-01-01 00:00' + (i - 1) * interval '1 minute' AS local,
    date '2020-01-01' + i / 100 AS day, 'k' || lpad(i::text, 4, '0') AS code,
    i::numeric(10,2) AS price, i::numeric AS free
FROM generate_series(1, 1000) i;
UPDATE orders SET at = NULL WHERE id = 1000;
CREATE INDEX ON orders (at);
CREATE VIEW recent AS SELECT id FROM orders WHERE id > 990;
CREATE TABLE lengths (id int, name text);
INSERT INTO lengths VALUES (1, 'a'), (2, 'B'), (3, 'ä');
CREATE TABLE dirty (id int, price numeric(10,2), wait interval);
INSERT INTO dirty VALUES (1, 'NaN', 'infinity');
CREATE TABLE wide (id int, cells int[]);
INSERT INTO wide VALUES (1, '{{1,2},{3,4}}');
CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
CREATE TABLE hidden (id int); CREATE TABLE half (id int, salary int);
GRANT SELECT (id) ON half TO reader;
CREATE TABLE "Odd ""Name" ("a b" int, "select" int); INSERT INTO "Odd ""Name" VALUES (1, 2);
CREATE SCHEMA closed; CREATE TABLE closed.t (id int); GRANT SELECT ON closed.t TO reader;
"""


@pytest.fixture(scope="module")
def shop(postgres_server: PostgresServer) -> Iterator[Postgres]:
    """A database of this module's own, read as role ``reader``."""
    postgres_server.execute(f"CREATE DATABASE {DATABASE}")
    quoted = PASSWORD.replace("'", "''")
    postgres_server.execute(f"CREATE ROLE reader LOGIN PASSWORD '{quoted}'")
    postgres_server.execute(TYPES + ORDERS, DATABASE)
    postgres_server.execute(
        'GRANT SELECT ON types, orders, recent, lengths, dirty, wide, parent, child, "Odd ""Name" TO reader', DATABASE
    )
    yield Postgres(
        host="127.0.0.1", port=postgres_server.port, database=DATABASE, user="reader", password=PASSWORD
    )
    postgres_server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres_server.execute("DROP ROLE reader")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def stream(table: str, cursor: str | None = None, **options: Any) -> Stream:
    return Stream(name=table, options=PostgresStream(table=table, **options), cursor=cursor)


def rows(connection: duckdb.DuckDBPyConnection, scan: Scan, columns: str = "id") -> list[tuple[Any, ...]]:
    scan.relation.create_view("scanned", replace=True)
    try:
        return connection.execute(f"SELECT {columns} FROM scanned ORDER BY ALL").fetchall()
    finally:
        scan.close()


def ids(source: Postgres, connection: duckdb.DuckDBPyConnection, wanted: Stream, state: State) -> list[int]:
    return [row[0] for row in rows(connection, source.scan(connection, wanted, state))]


def changed(source: Postgres, **values: Any) -> Postgres:
    return Postgres(**{**source.model_dump(), **values})


def test_every_type_arrives_exactly(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
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
        Decimal("1234567890123456789012345678.0123456789"), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        dt.datetime(2013, 1, 1, 10, 0, 0, 123456, tzinfo=dt.UTC), b"\x00\xff\x10", [[1, 2], [3, None]],
    )


def test_types_do_not_depend_on_the_way_to_the_rows(
    shop: Postgres, connection: duckdb.DuckDBPyConnection
) -> None:
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


@pytest.mark.parametrize("column", ["at", "local"])
def test_window_is_half_open_and_in_utc(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, column: str
) -> None:
    eastern = dt.timezone(dt.timedelta(hours=-5))
    start, end = dt.datetime(2019, 12, 31, 20, 0, tzinfo=eastern), dt.datetime(2020, 1, 1, 2, 0, tzinfo=dt.UTC)
    # 01:00 to 02:00 UTC: minutes 60 to 119, orders 61 to 120; the stored cursor does not count.
    state = State(cursor="2020-01-01 16:37:00+00", window=Window(column, start, end))
    assert ids(shop, connection, stream("orders", cursor="at"), state) == list(range(61, 121))


def test_text_is_compared_by_bytes_as_duckdb_does(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """'B' < 'a' < 'ä' by bytes. A cursor at 'a' must bring 'ä' and leave 'B', whatever the collation."""
    assert ids(shop, connection, stream("lengths", cursor="name"), State(cursor="a", cursor_type="VARCHAR")) == [1, 3]
    assert """COLLATE "C" >= 'a'""" in postgres_server.log.read_text()


def test_the_server_filters(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """The statement that reached the server holds the predicate: two rows travel, not 1,000."""
    before = len(postgres_server.log.read_text())
    state = State(cursor="2020-01-01 16:37:00+00", cursor_type="TIMESTAMP WITH TIME ZONE")
    assert len(ids(shop, connection, stream("orders", cursor="at"), state)) == 2
    copied = [line for line in postgres_server.log.read_text()[before:].splitlines() if "COPY (" in line]
    assert len(copied) == 1
    assert """WHERE "at" >= '2020-01-01 16:37:00+00'""" in copied[0]


def test_scan_reads_nothing_before_the_relation_runs(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    before = len(postgres_server.log.read_text())
    shop.scan(connection, stream("orders"), State()).close()
    assert "COPY" not in postgres_server.log.read_text()[before:]


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


def test_discover_and_test_connection(shop: Postgres) -> None:
    # What `reader` may read; `hidden` and schema `closed` are not among it, of `half` one column is.
    assert shop.discover() == [
        'public.Odd "Name', "public.child", "public.dirty", "public.half", "public.lengths", "public.orders",
        "public.parent", "public.recent", "public.types", "public.wide",
    ]
    told = shop.test_connection()
    assert told.startswith("PostgreSQL 18.")
    assert told.endswith("database shop as reader: 10 readable tables")


@pytest.mark.parametrize(
    ("values", "kind", "code", "words"),
    [
        ({"host": "no-such-host.invalid"}, TransientError, "postgres.unreachable", "no-such-host.invalid"),
        ({"port": 1}, TransientError, "postgres.unreachable", "127.0.0.1:1"),
        ({"password": "wrong'one"}, ConfigError, "postgres.login", "user 'reader'"),
        ({"password": ""}, ConfigError, "postgres.login", "user 'reader'"),
        ({"user": "nobody_known"}, ConfigError, "postgres.login", "nobody_known"),
        ({"database": "no_such_db"}, ConfigError, "postgres.database", "no_such_db"),
        ({"sslmode": "require"}, ConfigError, "postgres.tls", "SSL"),
    ],
)
def test_each_step_of_connecting_has_its_own_error(
    shop: Postgres, connection: duckdb.DuckDBPyConnection,
    values: dict[str, Any], kind: type[DataflowError], code: str, words: str,
) -> None:
    source = changed(shop, **values)
    for call in (source.test_connection, source.discover, lambda: source.scan(connection, stream("orders"), State())):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.code == code
        assert words in caught.value.what
        assert_no_password(caught.value, source.password)


def test_no_connect_right(shop: Postgres, postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE DATABASE private")
    postgres_server.execute("REVOKE CONNECT ON DATABASE private FROM PUBLIC")
    try:
        with pytest.raises(ConfigError) as caught:
            changed(shop, database="private").test_connection()
        assert caught.value.code == "postgres.permission"
    finally:
        postgres_server.execute("DROP DATABASE private")


def test_a_server_that_takes_no_more_connections_is_transient(shop: Postgres, postgres_server: PostgresServer) -> None:
    postgres_server.execute("ALTER ROLE reader CONNECTION LIMIT 0")
    try:
        with pytest.raises(TransientError) as caught:
            shop.test_connection()
        assert caught.value.code == "postgres.busy"
    finally:
        postgres_server.execute("ALTER ROLE reader CONNECTION LIMIT -1")


@pytest.mark.parametrize(
    ("wanted", "state", "code", "words"),
    [
        (stream("order"), State(), "table.unknown", "did you mean 'public.orders'"),
        (stream("sales.orders"), State(), "table.unknown", "did you mean 'public.orders'"),
        (stream("hidden"), State(), "postgres.permission", 'GRANT SELECT ON "public"."hidden" TO "reader"'),
        (stream("half"), State(), "postgres.permission", "columns salary of public.half"),
        (stream("closed.t"), State(), "postgres.permission", 'GRANT USAGE ON SCHEMA "closed"'),
        (stream("orders", cursor="att"), State(), "column.unknown", "did you mean 'at'"),
        (stream("orders", as_text=("prise",)), State(), "column.unknown", "did you mean 'price'"),
        (
            stream("orders"), State(window=Window("tim", dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1))),
            "column.unknown", "unknown column 'tim'",
        ),
        # As text '9' would be after '10', and rows would be lost.
        (stream("orders", cursor="free"), State(), "postgres.cursor", "'free'"),
    ],
)
def test_wrong_tables_and_columns(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, wanted: Stream, state: State, code: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        shop.scan(connection, wanted, state)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert_no_password(caught.value, PASSWORD)
    assert str(caught.value.where) == f"postgresql://127.0.0.1:{shop.port}/shop"


@pytest.mark.parametrize(
    ("table", "column", "code", "as_text"),
    [
        ("dirty", "price", "postgres.value", "NaN"),
        ("dirty", "wait", "postgres.value", "infinity"),
        ("wide", "cells", "postgres.array", "{{1,2},{3,4}}"),
    ],
)
def test_values_duckdb_cannot_hold_fail_by_name_and_can_be_read_as_text(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, table: str, column: str, code: str, as_text: str
) -> None:
    """The scanner alone would read NaN as 0."""
    with pytest.raises(duckdb.Error) as caught:
        rows(connection, shop.scan(connection, stream(table), State()), column)
    told = shop.explain(caught.value)
    assert isinstance(told, DataError)
    assert told.code == code
    assert "as_text" in told.fix
    scan = shop.scan(connection, stream(table, as_text=(column,)), State())
    assert rows(connection, scan, column) == [(as_text,)]


def test_value_error_names_the_column(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error) as caught:
        rows(connection, shop.scan(connection, stream("dirty", as_text=("wait",)), State()), "price")
    told = shop.explain(caught.value)
    assert told is not None
    assert '"price"' in told.what


def test_a_connection_lost_while_reading_is_transient(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """The server ends the session between describing and reading."""
    source = changed(shop, application_name="to be lost")
    killed = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'to be lost'"
    connection.execute("BEGIN")
    try:
        scan = source.scan(connection, stream("orders", cursor="id"), State(cursor="1"))
        ended = postgres_server.execute(killed)
        with pytest.raises(duckdb.Error) as caught:
            scan.relation.fetchall()
    finally:
        # The rollback cannot reach the server. It must be tried all the same, as the engine's session does:
        # closing a connection whose transaction is open would end the whole process.
        with contextlib.suppress(duckdb.Error):
            connection.execute("ROLLBACK")
    scan.close()
    assert (True,) in ended
    told = source.explain(caught.value)
    assert isinstance(told, TransientError)
    assert told.code == "postgres.lost"
    assert_no_password(told, PASSWORD)


def test_a_table_dropped_after_the_scan_was_opened(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    postgres_server.execute("CREATE TABLE short (id int); GRANT SELECT ON short TO reader", DATABASE)
    scan = shop.scan(connection, stream("short", cursor="id"), State(cursor="1"))
    postgres_server.execute("DROP TABLE short", DATABASE)
    with pytest.raises(duckdb.Error) as caught:
        scan.relation.fetchall()
    told = shop.explain(caught.value)
    assert isinstance(told, ConfigError)
    assert told.code == "table.unknown"
    scan.close()


def test_the_repeated_query_is_not_taken_for_the_complaint(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """DuckDB repeats the query before the server's words; here a column is called like another error."""
    postgres_server.execute('CREATE TABLE words (id int, "permission denied" int)', DATABASE)
    postgres_server.execute("GRANT SELECT ON words TO reader", DATABASE)
    scan = shop.scan(connection, stream("words", cursor="id"), State(cursor="1"))
    postgres_server.execute("DROP TABLE words", DATABASE)
    with pytest.raises(duckdb.Error) as caught:
        scan.relation.fetchall()
    scan.close()
    assert "permission denied" in str(caught.value)
    told = shop.explain(caught.value)
    assert told is not None
    assert told.code == "table.unknown"


def test_explain_leaves_other_errors_alone(shop: Postgres) -> None:
    assert shop.explain(ValueError("something else")) is None
    mine = ConfigError("a.b", "c", fix="d")
    assert shop.explain(mine) is mine


def test_a_server_that_says_the_password_is_not_quoted(shop: Postgres) -> None:
    """An error text may carry the password as it is, as SQL or as libpq quotes it."""
    libpq = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    echoed = f"connection refused for {PASSWORD} / {PASSWORD.replace(chr(39), chr(39) * 2)} / password='{libpq}'"
    told = shop.explain(RuntimeError(f"permission denied: {echoed}"))
    assert told is not None
    assert_no_password(told, PASSWORD)
    assert told.what.count("***") == 3


def test_a_host_that_never_answers(shop: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that accepts and stays silent: the connection gives up after its timeout."""
    monkeypatch.setattr(postgres_source, "_CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]), daemon=True)
        thread.start()
        with pytest.raises(TransientError) as caught:
            changed(shop, port=listener.getsockname()[1]).test_connection()
        thread.join()
        accepted[0].close()
    assert caught.value.code == "postgres.unreachable"


def test_a_missing_scanner_says_what_to_install(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wheel, and no repository to fetch from: DuckDB's folder for extensions is empty and offline."""
    monkeypatch.setattr(postgres_source.importlib.util, "find_spec", lambda name: None)
    connection.execute("SET extension_directory = '/nonexistent/extensions'")
    with pytest.raises(ConfigError) as caught:
        shop.scan(connection, stream("orders"), State())
    assert caught.value.code == "postgres.scanner"
    assert caught.value.fix == f"pip install duckdb-extension-postgres-scanner=={duckdb.__version__}"


def test_the_password_is_a_secret_field_and_not_shown(shop: Postgres) -> None:
    assert Postgres.secret_fields == frozenset({"password"})
    assert PASSWORD not in repr(shop)
    assert repr(PASSWORD) not in repr(shop)


def assert_no_password(error: BaseException, password: str) -> None:
    """Neither the text nor what it is chained to holds the password."""
    seen: BaseException | None = error
    while seen is not None and password:
        assert password not in str(seen)
        assert password not in repr(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
