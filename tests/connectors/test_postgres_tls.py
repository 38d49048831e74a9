"""Encryption to PostgreSQL. The server of the tests has none: a TLS end of ours stands before the real one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.postgres import Postgres, PostgresDestination, encryption
from dataflow_platform.connectors.postgres.connection import PostgresConnection, load_scanner
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.reach import across_the_internet
from dataflow_platform.core.ssh_tunnel import close_tunnels
from tests.fixtures.certificates import certificates
from tests.fixtures.postgres_shop import changed, ids, stream
from tests.fixtures.ssh_server import SshServer
from tests.fixtures.tls_front import TlsFront, tls_front


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's certificate for 127.0.0.1 and for no name, and a client's."""
    made = tmp_path_factory.mktemp("certificates")
    for name, content in certificates().items():
        (made / name).write_bytes(content)
        (made / name).chmod(0o600)  # libpq uses no key that others may read
    return made


@pytest.fixture
def front(shop: Postgres, folder: Path) -> Iterator[TlsFront]:
    with tls_front(shop.port, folder) as made:
        yield made


@pytest.fixture
def secured(shop: Postgres, front: TlsFront, folder: Path) -> Postgres:
    return changed(shop, port=front.port, sslrootcert=str(folder / "ca.pem"))


def test_by_default_everything_is_encrypted_where_it_is_offered(
    secured: Postgres, connection: duckdb.DuckDBPyConnection, front: TlsFront
) -> None:
    """The driver's connections and the scanner's, in both roles; the server behind refuses nothing, so we count."""
    assert secured.sslmode == "auto"
    secured.test_connection()
    asked = front.encrypted
    assert ids(secured, connection, stream("recent"), State()) == list(range(991, 1001))
    assert front.encrypted > asked
    destination = PostgresDestination(**{name: getattr(secured, name) for name in PostgresConnection.model_fields})
    with destination.reader() as reader:
        assert reader.execute("SELECT count(*) FROM public.orders").fetchall() == [(1000,)]
    assert front.clear == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sslrootcert": None}, "certificate verify failed"),
        ({"sslrootcert": None, "sslmode": "verify-ca"}, "certificate verify failed"),
        ({"host": "localhost"}, "does not match host name"),
        ({"host": "localhost", "sslmode": "verify-full"}, "does not match host name"),
        ({"sslrootcert": "/no/such/file.pem"}, "/no/such/file.pem"),
    ],
)
def test_who_cannot_be_verified_is_refused(
    secured: Postgres, front: TlsFront, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(secured, **values).test_connection()
    assert caught.value.code == "postgres.tls"
    assert words in caught.value.what
    assert "`sslrootcert`" in caught.value.fix
    assert front.clear == 0


def test_the_scanner_verifies_by_itself(
    secured: Postgres, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Not only the driver's connection, which comes first."""
    other = tmp_path / "other.pem"
    other.write_bytes(certificates()["ca.pem"])
    source = changed(secured, sslrootcert=str(other))
    load_scanner(connection)
    with pytest.raises(duckdb.Error) as caught:
        source.attach(connection, "stranger")
    told = source.explain(caught.value)
    assert told is not None
    assert told.code == "postgres.tls"


def test_what_asks_for_less_gets_less(
    secured: Postgres, connection: duckdb.DuckDBPyConnection, front: TlsFront
) -> None:
    for values in ({"sslmode": "require", "sslrootcert": None}, {"sslmode": "verify-ca", "host": "localhost"}):
        assert len(ids(changed(secured, **values), connection, stream("recent"), State())) == 10
    assert front.clear == 0
    assert len(ids(changed(secured, sslmode="disable"), connection, stream("recent"), State())) == 10
    assert front.clear > 0


def test_a_clients_certificate(shop: Postgres, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    with tls_front(shop.port, folder, ask_client=True) as front:
        source = changed(shop, port=front.port, sslrootcert=str(folder / "ca.pem"))
        with pytest.raises(ConfigError) as caught:
            source.test_connection()
        assert caught.value.code == "postgres.tls"
        known = changed(source, sslcert=str(folder / "client.pem"), sslkey=str(folder / "client.key"))
        assert len(ids(known, connection, stream("recent"), State())) == 10


def test_through_a_tunnel_the_name_that_is_verified_is_the_servers(
    secured: Postgres, connection: duckdb.DuckDBPyConnection, ssh_server: SshServer
) -> None:
    """Not that of the tunnel's end, 127.0.0.1, for which the certificate is."""
    source = changed(secured, ssh=ssh_server.settings())
    assert len(ids(source, connection, stream("recent"), State())) == 10
    with pytest.raises(ConfigError) as caught:
        changed(source, host="localhost").test_connection()
    assert caught.value.code == "postgres.tls"
    assert "does not match host name" in caught.value.what
    close_tunnels()


def test_a_server_without_tls_near_by_is_reached_and_a_far_one_is_not(
    shop: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.test_connection()
    monkeypatch.setattr(encryption, "across_the_internet", lambda _: True)
    monkeypatch.setattr(encryption, "_offers", {})
    with pytest.raises(ConfigError) as caught:
        shop.test_connection()
    assert caught.value.code == "postgres.tls"
    assert "offers no TLS, and the way to 127.0.0.1 crosses the internet" in caught.value.what
    changed(shop, sslmode="disable").test_connection()


@pytest.mark.parametrize(
    ("address", "far"),
    [
        ("127.0.0.1", False), ("::1", False), ("10.1.2.3", False), ("172.18.0.2", False), ("192.168.1.1", False),
        ("100.64.0.1", False), ("fd00::1", False), ("fe80::1%eth0", False), ("8.8.8.8", True), ("2600::1", True),
    ],
)  # fmt: skip
def test_which_addresses_are_near(address: str, far: bool) -> None:
    """Private ranges, containers' networks, carriers' shared range and link-local addresses are."""
    assert across_the_internet(address) is far
