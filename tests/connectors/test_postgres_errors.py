"""What a person reads when PostgreSQL cannot be reached, refuses, or holds what DuckDB cannot."""

import contextlib
import datetime as dt
import socket
import threading
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.postgres import Postgres
from dataflow_platform.connectors.postgres import connection as postgres_connection
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.postgres_shop import DATABASE, PASSWORD, changed, rows, stream


def test_discover_and_test_connection(shop: Postgres) -> None:
    # What `reader` may read; `hidden` and schema `closed` are not among it, of `half` one column is.
    assert shop.discover() == [
        'public.Odd "Name',
        "public.child",
        "public.dirty",
        "public.half",
        "public.lengths",
        "public.orders",
        "public.parent",
        "public.recent",
        "public.types",
        "public.wide",
    ]
    told = shop.test_connection()
    assert told.startswith("PostgreSQL 18.")
    assert told.endswith(
        "database shop as reader: 10 readable tables, rows come by DuckDB's postgres_scanner, from its wheel"
    )


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
    shop: Postgres,
    connection: duckdb.DuckDBPyConnection,
    values: dict[str, Any],
    kind: type[DataflowError],
    code: str,
    words: str,
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
            stream("orders"),
            State(window=Window("tim", dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1))),
            "column.unknown",
            "unknown column 'tim'",
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
    monkeypatch.setattr(postgres_connection, "_CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]), daemon=True)
        thread.start()
        with pytest.raises(TransientError) as caught:
            changed(shop, port=listener.getsockname()[1]).test_connection()
        thread.join()
        accepted[0].close()
    assert caught.value.code == "postgres.unreachable"


def test_a_missing_scanner_is_told_and_does_without(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wheel, and no repository to fetch from: DuckDB's folder for extensions is empty and offline."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    connection.execute("SET extension_directory = '/nonexistent/extensions'")
    scan = shop.scan(connection, stream("orders"), State())
    told = f"(pip install duckdb-extension-postgres-scanner=={duckdb.__version__})"
    assert scan.notes["rows came by"].endswith(told)
    assert len(scan.relation.fetchall()) == 1000


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


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('IO Error: Failed to execute query "ROLLBACK": ', "postgres.lost"),
        ('IO Error: Failed to execute query "SELECT 1": ERROR:  permission denied for table t', "postgres.permission"),
    ],
)
def test_a_query_that_failed_without_a_reason_met_no_server(said: str, code: str) -> None:
    from dataflow_platform.connectors.postgres.meanings import meaning

    found = meaning(said, None, host="h", port=1, user="u", database="d", where=None)
    assert found is not None
    assert found.code == code
