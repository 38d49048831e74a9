"""The destinations under test: how to make, copy, look into and drop a warehouse of each kind.

A new destination is one more class here and one more entry in ``kinds``.
"""

import shutil
import socket
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.lake import orphans
from tests.reliability.workload import destination

Fields = dict[str, Any]
"""The fields of a destination, ``type`` among them."""
Seen = dict[str, list[tuple[Any, ...]]]
"""What a load leaves behind, by name and without the clock; ``rows`` is the number and the md5 of the sorted rows."""

SYSTEM = {
    "_dataflow_state": "pipeline, stream, cursor_value, cursor_type, boundary, position, load_id",
    "_dataflow_loads": "load_id, pipeline, stream, target, strategy, rows_read, rows_loaded, rows_quarantined, "
    "rows_filtered, rows_inserted, rows_updated, rows_deleted, cursor_before, cursor_after, checks",
    "_dataflow_quarantine": "load_id, pipeline, stream, target, row_values, reasons, status, source_values, "
    "source_types, judged_values, source_position, strategy, clears_partition, refusal",
}
"""The system tables, each with its columns that no clock is in."""


class Kind(ABC):
    """One sort of destination."""

    name: str
    at_once_visible: tuple[str, ...] = ("rows", "state", "loads", "quarantine")
    """What must be of one and the same load at any moment, killed or not."""

    def version(self) -> str:
        """The version of the server, where there is one."""
        return ""

    @abstractmethod
    def new(self) -> Fields:
        """An empty warehouse."""

    @abstractmethod
    def copy(self, fields: Fields) -> Fields:
        """A warehouse of its own with the same content."""

    @abstractmethod
    def drop(self, fields: Fields) -> None:
        """Remove it."""

    @abstractmethod
    def seen(self, fields: Fields) -> Seen:
        """All that loads left behind; tables that are not there count as empty."""

    @abstractmethod
    def rows(self, fields: Fields) -> list[str]:
        """Each row of the target as text, sorted."""

    @abstractmethod
    def stuck(self, fields: Fields) -> list[str]:
        """Locks and open sessions that nobody alive needs."""

    @abstractmethod
    def stale(self, fields: Fields) -> list[str]:
        """Staging, temporary and spilled files or tables that no load needs any more."""


class Folders(Kind):
    """Warehouses in folders of their own, which DuckDB reads."""

    inside: str
    """What a folder holds: the warehouse's file or folder."""
    tables: str
    """SQL: ``schema.table`` of each table there, the staging tables apart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @abstractmethod
    def reader(self, fields: Fields) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection on which the tables have their names."""

    def home(self) -> Path:
        """The path of a warehouse that is not there yet."""
        return Path(tempfile.mkdtemp(dir=self._folder)) / self.inside

    def drop(self, fields: Fields) -> None:
        shutil.rmtree(Path(fields["path"]).parent)

    def seen(self, fields: Fields) -> Seen:
        with self.reader(fields) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            tables = connection.execute(self.tables).fetchall()
            there = {name for (name,) in tables}

            def ask(table: str, columns: str) -> list[tuple[Any, ...]]:
                if f"raw.{table}" not in there:
                    return []
                return connection.execute(f"SELECT {columns} FROM raw.{table} AS t ORDER BY ALL").fetchall()

            found = {
                "rows": ask("t", "count(*), md5(string_agg(t::VARCHAR, chr(10) ORDER BY t::VARCHAR))"),
                "columns": connection.execute("DESCRIBE raw.t").fetchall() if "raw.t" in there else [],
                **{name.removeprefix("_dataflow_"): ask(name, columns) for name, columns in SYSTEM.items()},
            }
        return {**found, "tables": [row for row in tables if found["loads"]]}

    def rows(self, fields: Fields) -> list[str]:
        with self.reader(fields) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return sorted(text for (text,) in connection.execute("SELECT t::VARCHAR FROM raw.t AS t").fetchall())


class DuckDBFiles(Folders):
    """DuckDB files."""

    name = "duckdb"
    inside = "w.duckdb"
    tables = (
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
        "WHERE NOT contains(table_name, '__dataflow_stage_') ORDER BY 1"
    )

    def new(self) -> Fields:
        return {"type": "duckdb", "path": str(self.home()), "threads": 2}

    def copy(self, fields: Fields) -> Fields:
        made = self.new()
        if Path(fields["path"]).exists():
            shutil.copy(fields["path"], made["path"])
        return made

    def reader(self, fields: Fields) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return duckdb.connect(fields["path"])

    def stuck(self, fields: Fields) -> list[str]:
        try:
            duckdb.connect(fields["path"]).close()
        except duckdb.Error as error:
            return [str(error).splitlines()[0]]
        return []

    def stale(self, fields: Fields) -> list[str]:
        path = Path(fields["path"])
        files = [file.name for file in path.parent.iterdir() if file != path]
        with duckdb.connect(str(path)) as connection:
            tables = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE contains(table_name, '__dataflow_stage_')"
            ).fetchall()
        return [*files, *(name for (name,) in tables)]


class LakeFolders(Folders):
    """Lakes on the local file system, read by their own reader."""

    inside = "lake"
    tables = "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE schema_name = 'raw' ORDER BY 1"

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        self.name = name

    def new(self) -> Fields:
        path = self.home()
        spill = path.parent / "spill"
        spill.mkdir()
        return {"type": self.name, "path": str(path), "spill_folder": str(spill), "threads": 2, "wait_seconds": 2}

    def copy(self, fields: Fields) -> Fields:
        made = self.new()
        if Path(fields["path"]).exists():
            shutil.copytree(fields["path"], made["path"])
        return made

    def reader(self, fields: Fields) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return destination(fields).reader()

    def stuck(self, fields: Fields) -> list[str]:
        session = destination(fields).session()
        try:
            session.lock(Table("raw", "t"))
        except DataflowError as error:
            return [error.what]
        finally:
            session.close()
        return []

    def stale(self, fields: Fields) -> list[str]:
        home = Path(fields["path"])
        spilled = [folder.name for folder in (home.parent / "spill").iterdir()]
        return [*spilled, *orphans(home / "raw" / "t")]


class PostgresDatabases(Kind):
    """Databases of one PostgreSQL server; looked into by psycopg2."""

    name = "postgres"

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._spill = folder

    def version(self) -> str:
        return str(self._server.execute("SHOW server_version")[0][0])

    def new(self, template: str = "template1", tablespace: str = "pg_default") -> Fields:
        name = f"torture_{uuid.uuid4().hex[:12]}"
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE {template} TABLESPACE {tablespace}")
        return {
            "type": "postgres",
            "host": "127.0.0.1",
            "port": self._server.port,
            "database": name,
            "user": "postgres",
            "password": self._server.password,
            "spill_folder": str(self._spill),
            "threads": 2,
            "indexes": {"t": [["id"]]},
        }

    def copy(self, fields: Fields) -> Fields:
        return self.new(fields["database"])

    def drop(self, fields: Fields) -> None:
        self._server.execute(f"DROP DATABASE {fields['database']} WITH (FORCE)")

    @contextmanager
    def tablespace(self, folder: Path) -> Iterator[str]:
        """The name of a tablespace in ``folder``, gone at the end of the block."""
        name = f"small_{uuid.uuid4().hex[:12]}"
        self._server.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        try:
            yield name
        finally:
            self._server.execute(f"DROP TABLESPACE {name}")

    def _ask(self, fields: Fields, sql: str) -> list[tuple[Any, ...]]:
        return self._server.execute(sql, fields["database"])

    def seen(self, fields: Fields) -> Seen:
        tables = self._ask(
            fields,
            "SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relkind = 'r' AND nspname !~ '^(pg_|information_schema)' ORDER BY 1",
        )
        there = {name for (name,) in tables}

        def ask(table: str, columns: str) -> list[tuple[Any, ...]]:
            return self._ask(fields, f"SELECT {columns} FROM raw.{table} AS t") if f"raw.{table}" in there else []

        found = {
            "rows": ask("t", 'count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C"))'),
            "columns": self._ask(
                fields,
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass('raw.t') AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            ),
            **{
                name.removeprefix("_dataflow_"): sorted(ask(name, columns), key=repr)
                for name, columns in SYSTEM.items()
            },
        }
        return {**found, "tables": [row for row in tables if found["loads"]]}

    def rows(self, fields: Fields) -> list[str]:
        return sorted(text for (text,) in self._ask(fields, "SELECT t::text FROM raw.t AS t"))

    def stuck(self, fields: Fields) -> list[str]:
        # A server process ends a moment after its client: looked at again for two seconds.
        deadline = time.monotonic() + 2
        while True:
            left = self._server.execute(
                "SELECT 'session ' || pid || ' ' || coalesce(state, '') FROM pg_stat_activity "
                f"WHERE datname = '{fields['database']}' UNION ALL "
                "SELECT locktype || ' lock of ' || pid FROM pg_locks WHERE locktype = 'advisory' AND "
                f"database = (SELECT oid FROM pg_database WHERE datname = '{fields['database']}') "
                f"UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts WHERE database = '{fields['database']}'"
            )
            if not left or time.monotonic() > deadline:
                return [text for (text,) in left]
            time.sleep(0.01)

    def stale(self, fields: Fields) -> list[str]:
        made = self._ask(
            fields,
            "SELECT relname FROM pg_class WHERE relpersistence = 't' OR relname LIKE '%dataflow\\_new%' "
            "OR relname LIKE '%dataflow\\_stage%' OR relname LIKE '%dataflow\\_incoming%'",
        )
        spilled = [file.name for file in self._spill.glob(f"dataflow-spill-{socket.gethostname()}-*")]
        return [*(name for (name,) in made), *spilled]
