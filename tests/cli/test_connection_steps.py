"""`dataflow connections test` says which step to a server failed, and what to do; over real servers on 127.0.0.1."""

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.connectors.postgres import Postgres
from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures import postgres_shop
from tests.fixtures.certificates import certificates
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.tls_front import tls_front

NOWHERE = "no-such-host.invalid"


class Project:
    """A defs folder that declares one connection, ``shop_db``."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (home / "defs").mkdir()
        self._file = home / "defs" / "defs.yaml"
        self._environment = monkeypatch
        monkeypatch.setenv("DATAFLOW_HOME", str(home))
        monkeypatch.setenv("DATAFLOW_DEFS", "defs")

    def test(self, fields: dict[str, Any], *options: str) -> Result:
        password = fields.get("password")
        if password:
            self._environment.setenv("SHOP_PASSWORD", password)
            fields = {**fields, "password": "{{ env.SHOP_PASSWORD }}"}
        connections = {"connections": {"shop_db": fields}}
        self._file.write_text(yaml.safe_dump({"type": "dataflow_platform.Connections", "attributes": connections}))
        result = CliRunner().invoke(group, ["connections", "test", "shop_db", *options])
        assert not password or password not in result.output
        return result

    def failed_step(self, fields: dict[str, Any], *options: str) -> str:
        """The step the source failed at."""
        result = self.test(fields, *options)
        assert result.exit_code == 1, result.output
        assert "  fix: " in result.output
        (line,) = [line for line in result.output.splitlines() if line.startswith("failed  shop_db as source")]
        return line.removeprefix("failed  shop_db as source, ").removesuffix(" failed:")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def _postgres(shop: Postgres) -> dict[str, Any]:
    return {"type": "postgres", **shop.model_dump(include={"host", "port", "database", "user", "password"})}


def test_each_step_to_postgres(project: Project, shop: Postgres, postgres_server: PostgresServer) -> None:
    fields = _postgres(shop)
    result = project.test(fields, "--table", "orders")
    assert result.exit_code == 0, result.output
    assert "ok      shop_db: read orders: 7 columns, at least one row" in result.output
    assert project.failed_step({**fields, "host": NOWHERE}) == "DNS"
    assert project.failed_step({**fields, "port": free_ports(1)[0]}) == "TCP"
    assert project.failed_step({**fields, "sslmode": "require"}) == "TLS"
    assert project.failed_step({**fields, "password": "wrong'one"}) == "login"
    assert project.failed_step({**fields, "database": "no_such_db"}) == "login"
    # `hidden` may not be read by this role; a value of `dirty` is none DuckDB can hold.
    assert project.failed_step(fields, "--table", "hidden") == "permission"
    assert project.failed_step(fields, "--table", "dirty") == "query"
    assert project.failed_step(fields, "--table", "oders") == "query"
    postgres_server.execute("CREATE ROLE outsider LOGIN PASSWORD 'out''side'")
    try:
        assert project.failed_step({**fields, "user": "outsider", "password": "out'side"}) == "permission"
    finally:
        postgres_server.execute("DROP ROLE outsider")


def test_an_unknown_authority_is_the_step_of_tls(project: Project, shop: Postgres, tmp_path: Path) -> None:
    for name, content in certificates().items():
        (tmp_path / name).write_bytes(content)
    with tls_front(shop.port, tmp_path) as front:
        fields = {**_postgres(shop), "port": front.port}
        assert project.failed_step(fields) == "TLS"
        assert project.test({**fields, "sslrootcert": str(tmp_path / "ca.pem")}).exit_code == 0


@pytest.mark.mariadb
def test_each_step_to_mysql(project: Project, mysql_shop: MySQL, mariadb_server: MariaDBServer) -> None:
    fields = {"type": "mysql", **mysql_shop.model_dump(include={"host", "port", "database", "user", "password"})}
    result = project.test(fields, "--table", "orders")
    assert result.exit_code == 0, result.output
    assert project.failed_step({**fields, "host": NOWHERE}) == "DNS"
    assert project.failed_step({**fields, "port": free_ports(1)[0]}) == "TCP"
    assert project.failed_step({**fields, "ssl_mode": "required"}) == "TLS"
    assert project.failed_step({**fields, "password": "wrong'one"}) == "login"
    assert project.failed_step({**fields, "database": "closed"}) == "permission"
    assert project.failed_step(fields, "--table", "hidden") == "permission"
    assert project.failed_step(fields, "--table", "oders") == "permission"  # the server tells no difference


def test_each_step_to_a_sql_source(project: Project, shop: Postgres) -> None:
    def fields(host: str = "127.0.0.1", port: int = shop.port, query: str = "", **other: Any) -> dict[str, Any]:
        url = f"postgresql+psycopg2://reader@{host}:{port}/{postgres_shop.DATABASE}{query}"
        return {"type": "sql", "url": url, "password": postgres_shop.PASSWORD, **other}

    assert project.test(fields(), "--table", "public.recent").exit_code == 0
    assert project.failed_step(fields(host=NOWHERE)) == "DNS"
    assert project.failed_step(fields(port=free_ports(1)[0])) == "TCP"
    assert project.failed_step(fields(query="?sslmode=require")) == "TLS"
    assert project.failed_step(fields(password="wrong'one")) == "login"
    assert project.failed_step(fields(), "--table", "public.hidden") == "permission"
    assert project.failed_step(fields(), "--table", "public.oders") == "query"


def test_a_port_that_is_open_and_silent_is_the_step_of_tcp(
    project: Project, shop: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataflow_platform.connectors.postgres import connection

    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # nobody ever accepts
        assert project.failed_step({**_postgres(shop), "port": listener.getsockname()[1]}) == "TCP"


def test_what_is_no_server_has_no_step(project: Project) -> None:
    result = project.test({"type": "files", "root": "nowhere"})
    assert "failed  shop_db as source:" in result.output
