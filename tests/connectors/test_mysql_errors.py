"""What a person reads when MySQL cannot be reached, refuses, breaks off, or holds what DuckDB cannot."""

import contextlib
import datetime as dt
import re
import socket
import threading
import time
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.core.base import Scan, State, Stream, Window
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.mariadb_shop import PASSWORD, changed, rows, stream

pytestmark = pytest.mark.mariadb


def test_discover_and_test_connection(mysql_shop: MySQL) -> None:
    # What `reader` may read; `hidden` and database `closed` are not among it, of `half` one column is.
    assert mysql_shop.discover() == [
        "archive.orders",
        "shop.Names",
        "shop.dirty",
        "shop.empty",
        "shop.half",
        "shop.many",
        "shop.names",
        "shop.odd `\"n'ame ü",
        "shop.orders",
        "shop.recent",
        "shop.types",
    ]
    told = mysql_shop.test_connection()
    assert told.startswith("MariaDB 10.")
    assert told.endswith("database shop as reader, no TLS: 11 readable tables")


@pytest.mark.parametrize(
    ("values", "kind", "code", "words"),
    [
        ({"host": "no-such-host.invalid"}, TransientError, "mysql.dns", "no-such-host.invalid"),
        ({"port": 1}, TransientError, "mysql.tcp", "127.0.0.1:1"),
        ({"password": "wrong'one"}, ConfigError, "mysql.login", "user 'reader'"),
        ({"password": ""}, ConfigError, "mysql.login", "user 'reader'"),
        ({"user": "nobody_known"}, ConfigError, "mysql.login", "nobody_known"),
        ({"database": "no_such_db"}, ConfigError, "mysql.permission", "no_such_db"),
        ({"database": "closed"}, ConfigError, "mysql.permission", "closed"),
        ({"ssl_mode": "required"}, ConfigError, "mysql.tls", "SSL"),
        ({"ssl_ca": "/no/such/file"}, ConfigError, "mysql.tls", "No such file"),
    ],
)
def test_each_step_of_connecting_has_its_own_error(
    mysql_shop: MySQL,
    engine: duckdb.DuckDBPyConnection,
    values: dict[str, Any],
    kind: type[DataflowError],
    code: str,
    words: str,
) -> None:
    source = changed(mysql_shop, **values)
    for call in (source.test_connection, source.discover, lambda: source.scan(engine, stream("orders"), State())):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.code == code
        assert words in caught.value.what
        assert_no_password(caught.value, source.password)


def test_an_account_that_sees_all_is_told_there_is_no_database(
    mysql_shop: MySQL, mariadb_server: MariaDBServer
) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(mysql_shop, user="root", password="", database="no_such_db").test_connection()
    assert caught.value.code == "mysql.database"


def test_a_locked_account(mysql_shop: MySQL, mariadb_server: MariaDBServer) -> None:
    mariadb_server.execute("ALTER USER reader ACCOUNT LOCK")
    try:
        with pytest.raises(ConfigError) as caught:
            mysql_shop.test_connection()
    finally:
        mariadb_server.execute("ALTER USER reader ACCOUNT UNLOCK")
    assert caught.value.code == "mysql.login"


def test_an_account_with_all_its_connections_in_use_is_transient(
    mysql_shop: MySQL, mariadb_server: MariaDBServer
) -> None:
    mariadb_server.execute("ALTER USER reader WITH MAX_USER_CONNECTIONS 1")
    try:
        with contextlib.closing(mysql_shop.connect()), pytest.raises(TransientError) as caught:
            mysql_shop.test_connection()
    finally:
        mariadb_server.execute("ALTER USER reader WITH MAX_USER_CONNECTIONS 0")
    assert caught.value.code == "mysql.busy"


@pytest.mark.parametrize(
    ("wanted", "state", "code", "words"),
    [
        # Of a database it may read as a whole the account is told that a table is not there ...
        (stream("archive.order"), State(), "table.unknown", "did you mean 'archive.orders'"),
        # ... of others the server says the same for a table that is hidden and one that is not there.
        (stream("order"), State(), "mysql.permission", "did you mean 'shop.orders'"),
        (stream("Orders"), State(), "mysql.permission", "did you mean 'shop.orders'"),
        (stream("hidden"), State(), "mysql.permission", "GRANT SELECT ON `shop`.`hidden` TO `reader`"),
        (stream("half"), State(), "mysql.permission", "GRANT SELECT ON `shop`.`half`"),
        (stream("closed.t"), State(), "mysql.permission", "GRANT SELECT ON `closed`.`t`"),
        (stream("orders", cursor="att"), State(), "column.unknown", "did you mean 'at'"),
        (stream("orders", as_text=("prise",)), State(), "column.unknown", "did you mean 'price'"),
        (
            stream("orders"),
            State(window=Window("tim", dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1))),
            "column.unknown",
            "unknown column 'tim'",
        ),
        # The text of a float need not compare as the float does; a span has no order the engine keeps.
        (stream("orders", cursor="rough"), State(), "mysql.cursor", "'rough'"),
        (stream("orders", cursor="span"), State(), "mysql.cursor", "'span'"),
    ],
)
def test_wrong_tables_and_columns(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, wanted: Stream, state: State, code: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        mysql_shop.scan(engine, wanted, state)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert_no_password(caught.value, PASSWORD)
    assert str(caught.value.where) == f"mysql://127.0.0.1:{mysql_shop.port}/shop"


@pytest.mark.parametrize(
    ("column", "as_text"),
    [
        ("zero", "0000-00-00"),
        ("part", "2020-00-15"),
        ("at", "2020-05-00 10:00:00"),
        ("stamp", "0000-00-00 00:00:00"),
        ("mood", ""),  # what the server keeps for a label that is none
        # SRID 4326 (little-endian, 4 bytes), then WKB of POINT(1 2): the server's own form.
        ("place", "E6100000" + "0101000000000000000000F03F0000000000000040"),
    ],
)
def test_values_duckdb_cannot_hold_fail_by_name_and_can_be_read_as_text(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, column: str, as_text: str
) -> None:
    """The scanner alone would read 0000-00-00 as NULL."""
    with pytest.raises(duckdb.Error) as caught:
        rows(engine, mysql_shop.scan(engine, stream("dirty"), State()), f'"{column}"')
    told = mysql_shop.explain(caught.value)
    assert isinstance(told, DataError)
    assert told.code == "mysql.value"
    assert "as_text" in told.fix
    if column != "mood":  # there it is DuckDB that complains, which knows no names
        assert f'"{column}" is ' in told.what
    scan = mysql_shop.scan(engine, stream("dirty", as_text=(column,)), State())
    assert rows(engine, scan, f'"{column}"') == [(as_text,)]


def test_everything_can_be_read_as_text(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    names = ("yes", "bit12", "t_neg", "ts", "vb", "bin", "n_38", "u", "y")
    scan = mysql_shop.scan(engine, stream("types", as_text=names), State())
    assert {
        str(kind) for name, kind in zip(scan.relation.columns, scan.relation.types, strict=True) if name in names
    } == {"VARCHAR"}
    row = rows(engine, scan, ", ".join(name for name in names if name != "bit12"))[0]
    written = ("2", "-00:00:00.500000", "2013-01-01 10:00:00.123456", "00FF10", "Ärger 😀")
    assert row == (*written, "-1234567890123456789012345678.0123456789", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2155")


@pytest.mark.parametrize("ending", ["KILL {0}", "KILL QUERY {0}"])
def test_a_read_broken_in_the_middle_is_transient(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer, ending: str
) -> None:
    """Some rows have come, then the server ends the session, or only the statement."""
    engine.execute("BEGIN")
    scan = mysql_shop.scan(engine, stream("many"), State())
    reader = scan.relation.to_arrow_reader(1000)
    reader.read_next_batch()
    running = mariadb_server.execute(
        "SELECT id FROM information_schema.processlist WHERE user = 'reader' AND info LIKE 'SELECT `id`%'"
    )
    assert len(running) == 1
    mariadb_server.execute(ending.format(running[0][0]))
    # The Arrow stream hands DuckDB's error on as one of its own.
    with pytest.raises(OSError, match=r"mysql\.lost"):
        reader.read_all()
    told = told_by(scan)
    del reader
    engine.execute("ROLLBACK")
    scan.close()
    assert told.code == "mysql.lost"
    assert engine.execute("SELECT 1").fetchall() == [(1,)]


def test_a_server_that_stops_the_query_is_told(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    mariadb_server.execute("CREATE VIEW shop.slow AS SELECT SLEEP(30) AS id; GRANT SELECT ON shop.slow TO reader")
    scan = mysql_shop.scan(engine, stream("slow"), State())
    stopper = threading.Thread(target=_kill_sleeper, args=[mariadb_server])
    stopper.start()
    try:
        with pytest.raises(duckdb.Error):
            scan.relation.fetchall()
    finally:
        stopper.join()
        scan.close()
        mariadb_server.execute("DROP VIEW shop.slow")
    assert told_by(scan).code == "mysql.lost"


def test_a_query_over_the_servers_time_limit_is_told(mysql_shop: MySQL) -> None:
    stopped = "Query execution was interrupted (max_statement_time exceeded)"
    text = f'Failed to fetch result row for MySQL query "SELECT 1": {stopped}'
    told = mysql_shop.explain(duckdb.IOException(text))
    assert isinstance(told, TransientError)
    assert told.code == "mysql.timeout"


def test_a_server_gone_between_describing_and_reading_is_transient(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection
) -> None:
    """A relay in front of the server is closed: nothing answers any more."""
    with Relay(mysql_shop.port) as relay:
        source = changed(mysql_shop, port=relay.port)
        scan = source.scan(engine, stream("orders"), State())
    with pytest.raises(duckdb.Error):
        scan.relation.fetchall()
    told = told_by(scan)
    scan.close()
    assert told.code in ("mysql.lost", "mysql.tcp")
    assert_no_password(told, PASSWORD)


def test_what_is_not_the_servers_is_not_explained(mysql_shop: MySQL) -> None:
    assert mysql_shop.explain(duckdb.ConversionException("Could not convert string 'x' to INT32")) is None


def test_words_of_the_query_are_no_complaint(mysql_shop: MySQL) -> None:
    """DuckDB repeats the query: a table called "Access denied for user" must not look like a refusal."""
    echoed = "Failed to prepare MySQL query \"SELECT 1 FROM `Access denied for user`\": Unknown column 'c'"
    told = mysql_shop.explain(duckdb.IOException(echoed))
    assert told is not None
    assert told.code == "column.unknown"


def test_without_scanner_the_fix_names_the_package(mysql_shop: MySQL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a wheel nor a way to fetch one: the folder for extensions is empty and offline."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        duckdb.connect(config={"extension_directory": "/nonexistent/extensions"}) as bare,
        pytest.raises(ConfigError) as caught,
    ):
        mysql_shop.scan(bare, stream("orders"), State())
    assert caught.value.code == "mysql.scanner"
    assert caught.value.fix == f"pip install duckdb-extension-mysql-scanner=={duckdb.__version__}"


def test_the_password_is_a_secret_field_and_not_shown(mysql_shop: MySQL) -> None:
    assert MySQL.secret_fields == {"password", "ssh.password", "ssh.passphrase"}
    assert PASSWORD not in repr(mysql_shop)
    assert repr(PASSWORD) not in repr(mysql_shop)


def told_by(scan: Scan) -> TransientError:
    """The error that ended the reading of ``scan``, as the engine asks for it."""
    assert scan.rows_read is not None
    with pytest.raises(TransientError) as caught:
        scan.rows_read()
    return caught.value


def _kill_sleeper(server: MariaDBServer) -> None:
    """Wait until the account's query sleeps, then end its session."""
    deadline = time.monotonic() + 30
    asleep = "SELECT id FROM information_schema.processlist WHERE user = 'reader' AND state = 'User sleep'"
    while not (found := server.execute(asleep)) and time.monotonic() < deadline:
        time.sleep(0.1)
    server.execute(f"KILL {found[0][0]}")


class Relay:
    """Passes bytes between a port of its own and the server's until it is left; then both sides are closed."""

    def __init__(self, target: int) -> None:
        self._target, self._open = target, list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)


def assert_no_password(error: BaseException, password: str) -> None:
    """Neither the text nor what it is chained to holds the password."""
    seen: BaseException | None = error
    while seen is not None and password:
        assert password not in str(seen)
        assert re.escape(password) not in repr(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def test_by_default_no_rows_cross_the_internet_in_the_clear(mysql_shop: MySQL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow_platform.connectors.mysql.connection.across_the_internet", lambda _: True)
    with pytest.raises(ConfigError) as caught:
        mysql_shop.test_connection()
    assert caught.value.code == "mysql.tls"
    assert "crosses the internet" in caught.value.what
    changed(mysql_shop, ssl_mode="disabled").test_connection()
