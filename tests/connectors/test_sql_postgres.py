"""The `sql` connector on a real PostgreSQL: server-side cursor, types, and each step that can fail."""

import datetime as dt
import socket
import time
from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from dataflow_platform.connectors import sql
from dataflow_platform.connectors._sql import ServerFields
from dataflow_platform.connectors.citus import Citus
from dataflow_platform.connectors.questdb import QuestDb
from dataflow_platform.connectors.risingwave import RisingWave
from dataflow_platform.connectors.sql import Sql
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

DATABASE = "sql_shop"
PASSWORD = "hush'hush\\ 100%@/:"
TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE types (id int PRIMARY KEY, i2 smallint, i8 bigint, n numeric(10,2), n_free numeric, n_long numeric(50,10),
    f4 real, f8 double precision, yes boolean, "Odd ""name: 100%" text, fixed char(5), bytes bytea, u uuid, d date,
    t time, ts timestamp, tstz timestamptz, e mood, js json, jb jsonb, dom positive, ints int[]);
INSERT INTO types VALUES (1, -5, 9223372036854775807, 12.30, 12345678901234567890123456789.123456789012345678901,
    1234567890123456789012345678901234567890.0123456789, 1.1, 0.1, true, 'a''b', 'ab', '\\x00ff10',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2020-02-29', '12:34:56.123456', '2020-01-01 00:00:00.123456',
    '2013-01-01 05:00:00.123456-05', 'happy', '{"a":  1}', '{"a": 123456789012345678901234567890.10}', 5, '{1,NULL,3}');
INSERT INTO types (id) VALUES (2);
CREATE TABLE orders AS SELECT i AS id, timestamptz '2020-01-01 00:00+00' + (i - 1) * interval '1 minute' AS at,
    timestamp '2020-01-01 00:00' + (i - 1) * interval '1 minute' AS local, date '2020-01-01' + i / 100 AS day,
    i::numeric(10,2) AS price, (ARRAY['a', 'B', 'ä'])[1 + i % 3] AS name FROM generate_series(1, 50000) i;
CREATE TABLE endless (d date, ts timestamptz); INSERT INTO endless VALUES ('infinity', '-infinity');
CREATE TABLE nan (n numeric(10,2)); INSERT INTO nan VALUES ('NaN');
CREATE TABLE odd (id int, wait interval, spot point);
CREATE TABLE hidden (id int); CREATE TABLE half (id int, salary int);
CREATE VIEW recent AS SELECT id FROM orders WHERE id > 49990;
CREATE VIEW broken AS SELECT 1 / (id - 500) AS q FROM orders;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM orders;
"""
# Type and value of each column of `types`, by hand from the INSERT.
EXPECTED: dict[str, tuple[str, str]] = {
    "id": ("BIGINT", "1"),  # the generic connector does not know how wide a dialect's INTEGER is
    "i2": ("SMALLINT", "-5"),
    "i8": ("BIGINT", "9223372036854775807"),
    "n": ("DECIMAL(10,2)", "12.30"),
    "n_free": ("VARCHAR", "12345678901234567890123456789.123456789012345678901"),
    "n_long": ("VARCHAR", "1234567890123456789012345678901234567890.0123456789"),
    "f4": ("DOUBLE", "1.1"),
    "f8": ("DOUBLE", "0.1"),
    "yes": ("BOOLEAN", "true"),
    'Odd "name: 100%': ("VARCHAR", "a'b"),
    "fixed": ("VARCHAR", "ab   "),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "u": ("UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "d": ("DATE", "2020-02-29"),
    "t": ("TIME", "12:34:56.123456"),
    "ts": ("TIMESTAMP", "2020-01-01 00:00:00.123456"),
    "tstz": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
    "e": ("VARCHAR", "happy"),
    "js": ("JSON", '{"a":  1}'),
    "jb": ("JSON", '{"a": 123456789012345678901234567890.10}'),
    "dom": ("BIGINT", "5"),
    "ints": ("JSON", "[1,null,3]"),
}


@pytest.fixture(scope="module")
def shop(postgres_server: PostgresServer) -> Iterator[Sql]:
    postgres_server.execute(f"CREATE DATABASE {DATABASE}")
    postgres_server.execute(f"CREATE ROLE sql_reader LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    postgres_server.execute(TABLES, DATABASE)
    readable = "types, orders, endless, nan, odd, recent, broken, kept"
    postgres_server.execute(
        f"GRANT SELECT ON {readable} TO sql_reader; GRANT SELECT (id) ON half TO sql_reader", DATABASE
    )
    url = f"postgresql+psycopg2://sql_reader@127.0.0.1:{postgres_server.port}/{DATABASE}"
    yield Sql(url=url, password=PASSWORD)
    postgres_server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres_server.execute("DROP ROLE sql_reader")


def changed(source: Sql, before: str, after: str, password: str = PASSWORD) -> Sql:
    return Sql(url=source.url.replace(before, after), password=password)


@pytest.mark.evidence("sql", "source", "real_server")
def test_every_type_arrives_exactly(
    shop: Sql, engine: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    scan = shop.scan(engine, stream("types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f'CAST("{name.replace(chr(34), chr(34) * 2)}" AS VARCHAR)' for name in EXPECTED)
    first, second = scan.relation.project(texts).fetchall()
    assert dict(zip(EXPECTED, first, strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    assert second == ("2", *[None] * 21)
    ran_against(shop, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


def test_a_query_takes_its_types_from_the_cursor(shop: Sql, engine: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT n, n_free, tstz, u, jb, 'a:b' || '100%' AS word FROM types WHERE id = 1"
    scan = shop.scan(engine, stream(query=query), State())
    assert list(map(str, scan.relation.types)) == [
        *(EXPECTED[name][0] for name in ("n", "n_free", "tstz", "u", "jb")),
        "VARCHAR",
    ]
    found = rows(scan)
    assert found[0][0] == Decimal("12.30")
    assert found[0][5] == "a:b100%"


@pytest.mark.evidence("sql", "source", "real_server")
def test_rows_come_by_a_cursor_on_the_server_in_bounded_pieces(
    shop: Sql, engine: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    before = len(postgres_server.log.read_text())
    assert rows(shop.scan(engine, stream("orders", columns=("id",)), State()), "count(*), sum(id)") == [
        (50_000, 1_250_025_000)  # 50,000 * 50,001 / 2
    ]
    log = postgres_server.log.read_text()[before:]
    assert "DECLARE" in log
    # One row to see the columns, then 1,000 and four times as many each time up to 20,000.
    fetched = [int(line.split("FETCH FORWARD ")[1].split()[0]) for line in log.splitlines() if "FETCH FORWARD" in line]
    assert max(fetched) == 20_000
    assert sum(fetched) >= 50_000
    ran_against(shop, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


@pytest.mark.parametrize(
    ("wanted", "state", "count"),
    [
        (stream("orders", "id", columns=("id",)), State("49999"), 2),
        (stream("orders", "price", columns=("id",)), State("49999.50"), 1),
        (stream("orders", "local", columns=("id",)), State("2020-02-04 17:19:00"), 1),  # minute 49,999 of the year
        (stream("orders", "day", columns=("id",)), State("2021-05-14"), 100 + 1),  # 2020-01-01 + 499 days, and + 500
        (stream("orders", "at", columns=("id",)), State("2020-02-04 17:19:00+00"), 50_000),  # not sent by this one
        (stream("orders", "local", columns=("id",)), State(until=dt.datetime(2020, 1, 1, 10, tzinfo=dt.UTC)), 600),
        (stream("orders", "price", columns=("id",)), State("10", until=Decimal("12.5")), 3),
        (
            stream("orders", columns=("id",)),
            State(window=Window("local", dt.datetime(2020, 1, 1, 1), dt.datetime(2020, 1, 1, 2))),
            60,
        ),
    ],
)
def test_the_server_applies_cursor_and_window(
    shop: Sql, engine: duckdb.DuckDBPyConnection, wanted: Stream, state: State, count: int
) -> None:
    assert len(read(shop, engine, wanted, state)) == count


def test_an_entry_that_says_more_of_its_system_sends_zones_and_texts_too(
    shop: Sql, engine: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """Citus is a PostgreSQL with an extension: its entry reads a plain one as well."""
    source = Citus(
        host="127.0.0.1", port=postgres_server.port, database=DATABASE, user="sql_reader", password=PASSWORD,
        sslmode="disable",
    )  # fmt: skip
    at = State("2020-02-04 17:19:00+00")
    assert read(source, engine, stream("public.orders", "at", columns=("id",)), at) == [(50_000,)]  # type: ignore[arg-type]
    # In bytes 'B' < 'a' < 'ä'; the server's own collation would put 'B' between them.
    found = read(source, engine, stream("orders", "name", columns=("name",)), State("a"))  # type: ignore[arg-type]
    assert {name for (name,) in found} == {"a", "ä"}
    assert source.test_connection().startswith("Citus 18.")


def test_a_cursor_by_plain_statements(
    engine: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, shop: Sql
) -> None:
    """RisingWave's way to the rows, on PostgreSQL: its DECLARE takes no word of psycopg2's."""
    source = RisingWave(
        host="127.0.0.1", port=postgres_server.port, database=DATABASE, user="sql_reader", password=PASSWORD,
        sslmode="disable",
    )  # fmt: skip
    before = len(postgres_server.log.read_text())
    found = rows(source.scan(engine, stream("public.orders", columns=("id",)), State()), "count(*), sum(id)")
    assert found == [(50_000, 1_250_025_000)]  # 50,000 * 50,001 / 2
    log = postgres_server.log.read_text()[before:]
    assert "DECLARE dataflow CURSOR FOR SELECT" in log
    fetched = [int(line.split("FETCH ")[1].split()[0]) for line in log.splitlines() if "FETCH " in line]
    assert max(fetched) == 20_000
    assert "HOLD" not in log
    at = State("2020-02-04 17:19:00+00")
    assert read(source, engine, stream("public.orders", "at", columns=("id",)), at) == [(50_000,)]  # type: ignore[arg-type]
    name = 'Odd "name: 100%'
    assert read(source, engine, stream("types", "id", columns=(name,)), State("1")) == [("a'b",), (None,)]  # type: ignore[arg-type]
    with pytest.raises(DataflowError) as broken:
        read(source, engine, stream("broken"))  # type: ignore[arg-type]
    assert "division by zero" in broken.value.what


def test_rows_streamed_without_a_cursor(
    shop: Sql, engine: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    """QuestDB's way to the rows, on PostgreSQL: no DECLARE, and parameters written into the statement."""
    pytest.importorskip("psycopg", reason="needs pip install 'psycopg[binary]>=3.2,<4'")

    class OnPostgres(QuestDb):
        described = ServerFields.described  # PostgreSQL has no table_columns()

    source = OnPostgres(
        host="127.0.0.1", port=postgres_server.port, database=DATABASE, user="sql_reader", password=PASSWORD
    )
    before = len(postgres_server.log.read_text())
    found = rows(source.scan(engine, stream("orders", columns=("id",)), State()), "count(*), sum(id)")
    assert found == [(50_000, 1_250_025_000)]  # 50,000 * 50,001 / 2
    at = State("2020-02-04 17:19:00")
    assert read(source, engine, stream("orders", "local", columns=("id",)), at) == [(50_000,)]  # type: ignore[arg-type]
    log = postgres_server.log.read_text()[before:]
    assert "DECLARE" not in log
    assert "WHERE orders.local >= '2020-02-04 17:19:00'" in log
    with pytest.raises(DataflowError) as broken:
        read(source, engine, stream("broken"))  # type: ignore[arg-type]
    assert "division by zero" in broken.value.what


def test_the_password_reaches_nobody(shop: Sql, engine: duckdb.DuckDBPyConnection) -> None:
    assert PASSWORD not in repr(shop)
    assert PASSWORD not in shop.test_connection()
    assert "public.orders" in shop.discover()
    assert "public.kept" in shop.discover()
    assert PASSWORD not in shop.where()


@pytest.mark.parametrize(
    ("before", "after", "password", "kind", "code"),
    [
        ("127.0.0.1", "no-such-host.invalid", PASSWORD, TransientError, "sql.dns"),
        ("127.0.0.1:", "127.0.0.1:1#", PASSWORD, TransientError, "sql.tcp"),
        ("sql_reader", "sql_reader", "wrong'one", ConfigError, "sql.login"),
        ("sql_reader", "nobody_known", PASSWORD, ConfigError, "sql.login"),
        (DATABASE, "no_such_db", PASSWORD, ConfigError, "sql.database"),
        (DATABASE, f"{DATABASE}?sslmode=require", PASSWORD, ConfigError, "sql.tls"),
    ],
)
def test_each_step_of_connecting_has_its_own_error(
    shop: Sql,
    engine: duckdb.DuckDBPyConnection,
    before: str,
    after: str,
    password: str,
    kind: type[DataflowError],
    code: str,
) -> None:
    if "#" in after:  # a port nobody listens on
        before, after = shop.url.split("@")[1].split("/")[0], "127.0.0.1:1"
    source = changed(shop, before, after, password)
    for call in (source.test_connection, source.discover, lambda: source.scan(engine, stream("orders"), State())):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.code == code
        assert password not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "code"),
    [("hidden", "sql.permission"), ("half", "sql.permission"), ("broken", "sql.value"), ("nan", "sql.value"),
     ("endless", "sql.value")],
)  # fmt: skip
def test_what_fails_while_rows_are_read(shop: Sql, engine: duckdb.DuckDBPyConnection, table: str, code: str) -> None:
    """psycopg2 alone would make 9999-12-31 of infinity."""
    with pytest.raises((ConfigError, DataError)) as caught:
        read(shop, engine, stream(table))
    assert caught.value.code == code


def test_columns_without_an_exact_type_are_named_and_can_be_read_as_text(
    shop: Sql, engine: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(ConfigError) as caught:
        shop.scan(engine, stream("odd"), State())
    assert caught.value.code == "sql.type"
    assert "wait (interval)" in caught.value.what
    assert "spot" in caught.value.what
    assert read(shop, engine, stream("odd", as_text=("wait", "spot"))) == []
    assert read(shop, engine, stream("endless", as_text=("d", "ts"))) == [("infinity", "-infinity")]


def test_a_connection_lost_in_the_middle_is_transient(shop: Sql, postgres_server: PostgresServer) -> None:
    columns, statement = shop.plan(stream("orders"), State())
    reading = shop.reading(shop.engine(), statement, columns)
    first = reading.next(100)
    assert first is not None
    assert first.num_rows == 100
    killed = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'sql_reader'"
    assert (True,) in postgres_server.execute(killed)
    with pytest.raises(TransientError) as caught:
        reading.next(100)
    assert caught.value.code == "sql.lost"
    reading.close()


def test_a_host_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full never completes the connection."""
    from dataflow_platform.core import reach

    monkeypatch.setattr(reach, "CONNECT_SECONDS", 0.5)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        with pytest.raises(TransientError) as caught:
            sql.Sql(url=f"postgresql+psycopg2://u@127.0.0.1:{port}/d").test_connection()
        for each in waiting:
            each.close()
    assert caught.value.code == "sql.tcp"


def test_a_table_without_a_column_is_told_from_one_that_is_not_there(
    postgres_server: PostgresServer, shop: Sql, engine: duckdb.DuckDBPyConnection
) -> None:
    postgres_server.execute("CREATE TABLE bare ()", DATABASE)
    try:
        with pytest.raises(ConfigError, match=r"\[sql\.columns\] public\.bare has no column"):
            read(shop, engine, stream("public.bare"))
    finally:
        postgres_server.execute("DROP TABLE bare", DATABASE)
