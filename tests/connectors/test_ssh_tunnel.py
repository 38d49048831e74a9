"""Databases behind an SSH server: a real one on 127.0.0.1 leads to the real databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.connectors.postgres import Postgres, PostgresDestination
from dataflow_platform.connectors.postgres.connection import PostgresConnection
from dataflow_platform.core import ssh_tunnel
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError
from dataflow_platform.core.ssh_tunnel import SshTunnel
from dataflow_platform.demo.environment import free_ports
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures import mariadb_shop
from tests.fixtures.postgres_shop import changed, ids, stream
from tests.fixtures.ssh_server import PASSWORD, SshServer, start


@pytest.fixture(autouse=True)
def _no_tunnel_is_left() -> Iterator[None]:
    yield
    ssh_tunnel.close_tunnels()


def through(server: SshServer, **settings: Any) -> dict[str, Any]:
    return {"ssh": server.settings(**settings)}


def test_postgres_by_driver_and_scanner_in_both_roles(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, ssh_server: SshServer
) -> None:
    """`localhost` is the SSH server's own; one tunnel serves every connection."""
    source = Postgres(**{**shop.model_dump(exclude={"ssh"}), "host": "localhost", **through(ssh_server)})
    assert "at localhost:" in source.test_connection()
    assert ids(source, connection, stream("recent"), State()) == list(range(991, 1001))
    fields = {name: getattr(source, name) for name in PostgresConnection.model_fields}
    with PostgresDestination(**fields).reader() as reader:
        assert reader.execute("SELECT count(*) FROM public.orders").fetchall() == [(1000,)]
    assert ssh_server.connections() == 1
    (tunnel,) = ssh_tunnel._tunnels.values()
    ssh_tunnel.close_tunnels()
    assert tunnel.process.returncode is not None


@pytest.mark.mariadb
def test_mysql_by_driver_and_scanner(
    mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection, ssh_server: SshServer
) -> None:
    source = MySQL(**{**mysql_shop.model_dump(exclude={"ssh"}), **through(ssh_server)})
    assert source.test_connection().startswith("MariaDB 10.")
    assert mariadb_shop.ids(source, engine, mariadb_shop.stream("recent"), State())
    assert ssh_server.connections() == 1


def test_a_password_instead_of_a_key_and_a_file_of_hosts(shop: Postgres, ssh_server: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{ssh_server.port} {ssh_server.host_key}\n")
    settings = {
        "private_key": None,
        "passphrase": "",
        "password": PASSWORD,
        "host_key": None,
        "known_hosts": str(known),
    }
    changed(shop, **through(ssh_server, **settings)).test_connection()


def test_each_step_of_the_tunnel_has_its_own_error(shop: Postgres, ssh_server: SshServer) -> None:
    stranger = str(ssh_server.folder / "stranger")
    cases: list[tuple[dict[str, Any], type[DataflowError], str, str]] = [
        ({"port": free_ports(1)[0]}, TransientError, "ssh.tcp", "127.0.0.1"),
        ({"private_key": stranger, "passphrase": ""}, ConfigError, "ssh.login", "refuses user 'tunneller'"),
        ({"private_key": None, "password": "wrong'one"}, ConfigError, "ssh.login", "refuses user 'tunneller'"),
        ({"passphrase": "wrong'one"}, ConfigError, "ssh.key", "key"),
        ({"host_key": (ssh_server.folder / "stranger.pub").read_text()}, ConfigError, "ssh.host_key", "prove who"),
        ({"host_key": None, "known_hosts": "/no/such/file"}, ConfigError, "ssh.host_key", "no file /no/such/file"),
    ]
    for settings, kind, code, words in cases:
        with pytest.raises(kind) as caught:
            changed(shop, **through(ssh_server, **settings)).test_connection()
        assert (caught.value.code, settings) == (code, settings)
        assert words in caught.value.what
        assert "wrong'one" not in str(caught.value)
        assert "locked" not in str(caught.value)


def test_a_database_the_ssh_server_does_not_reach(shop: Postgres, ssh_server: SshServer) -> None:
    with pytest.raises(TransientError) as caught:
        changed(shop, port=free_ports(1)[0], **through(ssh_server)).test_connection()
    assert caught.value.code == "ssh.target"


def test_a_tunnel_that_broke_is_opened_anew(shop: Postgres, ssh_server: SshServer) -> None:
    source = changed(shop, **through(ssh_server))
    source.test_connection()
    (tunnel,) = ssh_tunnel._tunnels.values()
    ssh_server.process.kill()
    ssh_server.process.wait()
    tunnel.process.wait(20)  # it notices by itself
    again = start(ssh_server.folder, ssh_server.port)
    try:
        source.test_connection()
    finally:
        with again.process as process:
            process.kill()
    assert ssh_server.connections() == 2


def test_a_tunnel_ends_with_its_input_as_when_its_owner_is_killed(shop: Postgres, ssh_server: SshServer) -> None:
    changed(shop, **through(ssh_server)).test_connection()
    (tunnel,) = ssh_tunnel._tunnels.values()
    assert tunnel.process.stdin is not None
    tunnel.process.stdin.close()
    assert tunnel.process.wait(20) is not None


def test_secrets_are_not_shown_and_not_taken_in_clear_text(ssh_server: SshServer, tmp_path: Path) -> None:
    settings = ssh_server.settings()
    assert "locked" not in repr(SshTunnel(**settings))
    source = {"type": "postgres", "host": "h", "database": "d", "user": "u", "ssh": settings}
    written = {"name": "copy", "source": source, "streams": [{"name": "t"}], "destination": "w"}
    connections = {"connections": {"w": {"type": "duckdb", "path": "w.duckdb"}}}
    documents = [
        {"type": "dataflow_platform.Connections", "attributes": connections},
        {"type": "dataflow_platform.Pipeline", "attributes": written},
    ]
    (tmp_path / "defs").mkdir()
    (tmp_path / "defs" / "defs.yaml").write_text(yaml.safe_dump_all(documents))
    (problem,) = load_folder(tmp_path / "defs").built.problems
    assert problem.code == "secret.literal"
    assert "ssh.passphrase" in str(problem)
    assert "locked" not in str(problem)
