"""A read replica of PostgreSQL: streams are read from a real standby, which allows neither writes nor locks."""

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import Postgres, PostgresDestination, PostgresStream
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import PostgresServer, as_nobody
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from tests.fixtures.rows import Rows, RowsOptions

# Rows of half a page: more than the 1,000 pages one reader takes; the numeric column makes it ranges of our own.
TABLES = """
CREATE TABLE big (id int PRIMARY KEY, at int, amount numeric(9, 2), filler text);
ALTER TABLE big ALTER filler SET STORAGE PLAIN;
INSERT INTO big SELECT i, i, i / 4.0, repeat('x', 4000) FROM generate_series(1, 2400) i; ANALYZE big;
"""


class Standby(PostgresServer):
    """A server whose data is a base backup of another one."""

    def _settle_password(self, binaries: Path) -> None:
        """It has the passwords of the primary."""

    def copy_of(self, primary: PostgresServer) -> None:
        """Take the data of a running server, and follow it from then on."""
        self._own_folder()
        self.data.mkdir(mode=0o700)
        rights = as_nobody()
        if rights:
            shutil.chown(self.data, rights["user"], rights["group"])
        login = f"host=127.0.0.1 port={primary.port} user=postgres password='{primary.password}'"
        escaped = login.replace("\\", "\\\\").replace("S3cret'of", "S3cret\\'of")
        binaries = self._binaries()
        words = [
            str(binaries / "pg_basebackup"),
            "-d",
            escaped,
            "-D",
            str(self.data),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder, check=False, **rights)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def standby(postgres_server: PostgresServer) -> Iterator[tuple[PostgresServer, PostgresServer, str]]:
    """The primary, its standby, and a database with tables."""
    name = f"standby_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    postgres_server.execute(TABLES, name)
    folder = Path(tempfile.mkdtemp(prefix="dataflow-test-standby-"))
    folder.chmod(0o755)
    settings = ("log_statement=all", "max_connections=50", "hot_standby=on")
    server = Standby(folder, free_ports(1)[0], postgres_server.password, folder / "server.log", settings)
    try:
        server.copy_of(postgres_server)
        process = server.start()
        try:
            yield postgres_server, server, name
        finally:
            server.stop(process)
    finally:
        shutil.rmtree(folder)
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def login(server: PostgresServer, name: str) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": server.port, "database": name, "user": "postgres", "password": server.password,
    }  # fmt: skip


def load(source: Postgres, file: Path, options: PostgresStream, cursor: str | None = None) -> LoadRecord:
    stream = Stream("big", options, cursor, ("id",))
    warehouse = DuckDB(path=str(file))
    with source.consistent():
        return publish(
            stage(StreamLoad("p", stream, source, warehouse, Table("raw", "big"), Append(), "append", uuid.uuid4().hex))
        )


def test_tables_and_queries_are_read_from_a_standby(
    standby: tuple[PostgresServer, PostgresServer, str], tmp_path: Path
) -> None:
    primary, replica, name = standby
    assert replica.execute("SELECT pg_is_in_recovery()", name) == [(True,)]
    source = Postgres(**login(replica, name))
    assert "PostgreSQL" in source.test_connection()
    assert [table.name for table in source.catalogue()] == ["public.big"]
    file = tmp_path / "w.duckdb"
    assert load(source, file, PostgresStream(table="big"), cursor="at").rows_loaded == 2400
    primary.execute("INSERT INTO big SELECT i, i, 1, 'y' FROM generate_series(2401, 2410) i", name)
    _await(replica, name, 2410)
    # Rows at the cursor are read again and recognised: ten are new.
    assert load(source, file, PostgresStream(table="big"), cursor="at").rows_loaded == 10
    query = PostgresStream(query="SELECT id, amount FROM big WHERE id <= 4")
    assert load(source, tmp_path / "q.duckdb", query).rows_loaded == 4
    with DuckDB(path=str(file)).reader() as connection:
        # A quarter of 1 to 2400, and ten ones.
        wanted = (2410, 2400 * 2401 / 2 / 4 + 10)
        assert connection.execute("SELECT count(*), sum(amount)::DOUBLE FROM raw.big").fetchone() == wanted
    said = replica.log.read_text(errors="replace")
    assert "COPY" in said  # the log has what was asked
    for word in ("ERROR:", "during recovery", "LOCK TABLE", "CREATE TEMP", "FOR UPDATE", "FOR SHARE"):
        assert word not in said, word


def test_a_standby_is_no_destination(standby: tuple[PostgresServer, PostgresServer, str]) -> None:
    _, replica, name = standby
    destination = PostgresDestination(**login(replica, name))
    with pytest.raises(ConfigError) as tested:
        destination.test_connection()
    with pytest.raises(ConfigError) as loaded:
        stage(StreamLoad("p", Stream("t", RowsOptions()), Rows().with_rows(pa.table({"id": [1]})), destination,
                         Table("raw", "t"), Append(), "append", "1"))  # fmt: skip
    assert {tested.value.code, loaded.value.code} == {"postgres.standby"}


def _await(replica: PostgresServer, name: str, rows: int) -> None:
    deadline = time.monotonic() + 30
    while replica.execute("SELECT count(*) FROM big", name) != [(rows,)]:
        assert time.monotonic() < deadline, "the standby does not follow"
        time.sleep(0.1)
