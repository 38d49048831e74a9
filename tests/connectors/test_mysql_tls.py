"""Encryption against a MariaDB that offers TLS with a certificate of an authority made for the test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.ssh_tunnel import close_tunnels
from tests.fixtures.certificates import certificates
from tests.fixtures.mariadb import MariaDBServer, running
from tests.fixtures.mariadb_shop import changed, ids, stream
from tests.fixtures.ssh_server import SshServer

pytestmark = pytest.mark.mariadb


@pytest.fixture(scope="module")
def tls_server() -> Iterator[MariaDBServer]:
    """Its certificate is for 127.0.0.1 and not for any name."""
    files = certificates()
    # The server reads its files relative to its data folder.
    settings = ("--ssl-ca=../ca.pem", "--ssl-cert=../server.pem", "--ssl-key=../server.key")
    with running(*settings, files=files) as server:
        server.execute(
            "CREATE DATABASE shop; CREATE TABLE shop.t (id int); INSERT INTO shop.t VALUES (1), (2); "
            "CREATE USER reader IDENTIFIED BY 'secret' REQUIRE SSL; GRANT SELECT ON shop.* TO reader; "
            "CREATE USER known IDENTIFIED BY 'secret' REQUIRE X509; GRANT SELECT ON shop.* TO known"
        )
        yield server


@pytest.fixture
def secured(tls_server: MariaDBServer) -> MySQL:
    return MySQL(
        host="127.0.0.1", port=tls_server.port, database="shop", user="reader", password="secret",
        ssl_ca=str(tls_server.folder / "ca.pem"),
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "required", "verify_ca", "verify_identity"])
def test_rows_and_questions_travel_encrypted(secured: MySQL, engine: duckdb.DuckDBPyConnection, mode: str) -> None:
    """The account is refused without TLS, over the driver's connection and over the scanner's."""
    source = changed(secured, ssl_mode=mode)
    assert "as reader, TLS: 1 readable tables" in source.test_connection()
    assert ids(source, engine, stream("t"), State()) == [1, 2]


def test_a_clients_certificate(secured: MySQL, engine: duckdb.DuckDBPyConnection, tls_server: MariaDBServer) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(secured, user="known").test_connection()
    assert caught.value.code == "mysql.login"
    files = {"ssl_cert": str(tls_server.folder / "client.pem"), "ssl_key": str(tls_server.folder / "client.key")}
    assert ids(changed(secured, user="known", **files), engine, stream("t"), State()) == [1, 2]


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"ssl_mode": "disabled"}, "mysql.login", "reader"),
        ({"ssl_ca": None}, "mysql.tls", "certificate verify failed"),
        ({"ssl_ca": None, "ssl_mode": "verify_ca"}, "mysql.tls", "certificate verify failed"),
        ({"host": "localhost"}, "mysql.tls", "Hostname mismatch"),
        ({"host": "localhost", "ssl_mode": "verify_identity"}, "mysql.tls", "Hostname mismatch"),
    ],
)
def test_what_cannot_be_verified_is_refused(secured: MySQL, values: dict[str, Any], code: str, words: str) -> None:
    """By default a server that offers TLS has to prove who it is."""
    with pytest.raises(ConfigError) as caught:
        changed(secured, **values).test_connection()
    assert caught.value.code == code
    assert words in caught.value.what
    assert "secret" not in str(caught.value)


def test_required_checks_nothing_and_verify_ca_no_name(secured: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    for values in ({"ssl_ca": None, "ssl_mode": "required"}, {"host": "localhost", "ssl_mode": "verify_ca"}):
        assert ids(changed(secured, **values), engine, stream("t"), State()) == [1, 2]


def test_the_scanner_verifies_by_itself(secured: MySQL, engine: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Not only the driver's connection, which comes first: the rows' own connection refuses a stranger too."""
    other = tmp_path / "other.pem"
    other.write_bytes(certificates()["ca.pem"])
    source = changed(secured, ssl_ca=str(other))
    with pytest.raises(duckdb.Error) as caught:
        _attach(source, engine)
    told = source.explain(caught.value)
    assert told is not None
    assert told.code == "mysql.tls"


def _attach(source: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    from dataflow_platform.connectors.mysql.connection import load_scanner

    load_scanner(engine)
    source.attach(engine, "stranger", encrypted=True)


def test_through_a_tunnel_the_name_that_is_verified_is_the_servers(
    secured: MySQL, engine: duckdb.DuckDBPyConnection, ssh_server: SshServer
) -> None:
    """Not that of the tunnel's end, 127.0.0.1, for which the certificate is."""
    source = changed(secured, ssh=ssh_server.settings())
    assert ids(source, engine, stream("t"), State()) == [1, 2]
    with pytest.raises(ConfigError) as caught:
        changed(source, host="localhost").test_connection()
    assert caught.value.code == "mysql.tls"
    assert "Hostname mismatch" in caught.value.what
    close_tunnels()
