"""DuckDB: the embedded warehouse, one file and no server."""

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from shutil import rmtree
from typing import Any, ClassVar, TypeVar

import duckdb
from pydantic import Field

from dataflow_platform.core import injection
from dataflow_platform.core.base import Column, Destination, DestinationFacts, Session, Table
from dataflow_platform.core.errors import ConfigError, TransientError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.spilling_engine import only_tables
from dataflow_platform.core.sql import literal, qualified, quote

T = TypeVar("T")


class DuckDB(Destination):
    """A DuckDB database file as destination."""

    facts: ClassVar[DestinationFacts] = DestinationFacts(
        title="DuckDB",
        family="warehouse",
        evidence="real_server",
        evidence_note="the engine itself runs in every test",
        dialect="duckdb",
        identifier_limit=1024,
        load_strategies=frozenset({"append", "replace", "merge", "delta", "partition", "scd1", "scd2", "scd3"}),
        evolutions=frozenset({"add_column", "rename_column", "widen_type", "grow_nested", "drop_not_null"}),
        transaction="full",
        single_writer=True,
        read_back="in_place",
    )

    path: str = Field(description="The database file; relative paths start at the project root.")
    memory_limit: str = Field(default="512MB", description="What the engine may hold before it spills to disk.")
    threads: int | None = Field(default=None, description="Worker threads; all cores when absent.")
    wait_seconds: float = Field(
        default=60, description="How long to wait for another process that holds the file before failing."
    )

    def test_connection(self) -> str:
        """Open the file; the engine's version and the file's size."""
        with self.reader() as connection:
            row = connection.execute("SELECT version()").fetchone()
        size = resolve(self.path).stat().st_size
        return f"DuckDB {row[0] if row else ''}, {self.path}, {size:,} bytes"

    def session(self) -> "DuckDBSession":
        """Open the file for writing and begin a transaction."""
        connection = self.connect()
        with _closed_if_it_fails(connection):
            only_tables(connection)
            return DuckDBSession(connection)

    def preview(self) -> "DuckDBSession":
        """A session to look with; a file that is not there yet is not made."""
        return self.session() if resolve(self.path).exists() else DuckDBSession(duckdb.connect(":memory:"))

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to read tables with; closed at the end of the block."""
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.close()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection with the engine's settings, waiting while another process holds the file."""
        path = resolve(self.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                "duckdb.folder",
                f"cannot create the folder of {path}: {error.strerror}",
                where="path",
                fix="choose a folder this user may write to",
            ) from error
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self.memory_limit,
            "preserve_insertion_order": "false",
            # Invariant 4, bounded memory: what does not fit is spilled beside the file, never beyond the limit.
            "temp_directory": str(path.with_name(_spill_folder(path))),
        }
        if self.threads:
            settings["threads"] = str(self.threads)
        connection = self._open_when_free(path, settings)
        with _closed_if_it_fails(connection):
            # DuckDB answers a CSV or Parquet file with a database in memory: loads into it would vanish.
            if connection.execute(
                "SELECT 1 FROM duckdb_databases() WHERE database_name = current_database() AND path IS NULL"
            ).fetchall():
                raise _not_a_database(path)
            _sweep(path)
            connection.execute("SET TimeZone = 'UTC'")
        return connection

    def _open_when_free(
        self, path: Path, settings: dict[str, str | bool | int | float | list[str]]
    ) -> duckdb.DuckDBPyConnection:
        return when_free(path, self.wait_seconds, lambda: duckdb.connect(str(path), config=settings))


@contextmanager
def _closed_if_it_fails(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A connection nobody gets to hold would keep the file, and its settings, for as long as the error lives."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


_FILE = re.compile(r"(^|\.)(csv|tsv|txt|parquet|json|jsonl|ndjson|geojson|avro|xlsx|shp)(\.(gz|zst))?$", re.IGNORECASE)
"""Tables whose name, behind that of their schema, reads like a file: DuckDB would look for `raw.csv` on the disk."""
_PROCESS = uuid.uuid4().hex[:8]  # process numbers are given again: in a container each start may have the same


def _spill_folder(path: Path) -> str:
    return f"{path.name}.spill-{os.getpid()}-{_PROCESS}"


def _sweep(path: Path) -> None:
    """Remove what killed processes spilled. Nobody alive needs it: this process holds the file."""
    for left in path.parent.glob(f"{escape(path.name)}.spill*"):
        known = re.fullmatch(r"\.spill(-\d+-[0-9a-f]{8})?", left.name.removeprefix(path.name))
        if known and left.name != _spill_folder(path):
            rmtree(left, ignore_errors=True)


def when_free(path: Path, wait_seconds: float, opened: Callable[[], T]) -> T:
    """What ``opened`` gives, called again while another process holds ``path``; a DataflowError if it fails."""
    deadline = time.monotonic() + wait_seconds
    pause = 0.05
    while True:
        try:
            return opened()
        except duckdb.Error as error:
            text = str(error)
            if not re.search("Could not set lock|Unique file handle conflict", text):
                raise _cannot_open(path, text) from error
            if time.monotonic() >= deadline:
                raise _held_by_another(path, text, wait_seconds) from error
        time.sleep(pause)
        pause = min(pause * 2, 1.0)


def _held_by_another(path: Path, text: str, waited: float) -> TransientError:
    holder = re.search(r"held in (\S+) \(PID (\d+)\)", text)
    who = f"process {holder[2]} ({holder[1]})" if holder else "another process"
    if "Unique file handle" in text:
        who = "another load of this process"
    stop = f"wait for it, or stop it (kill {holder[2]})" if holder else "wait for it, or stop it"
    return TransientError(
        "duckdb.locked",
        f"{who} holds {path.name}; waited {waited:g} s",
        where=str(path),
        fix=f"{stop}; for many writers use a PostgreSQL destination",
    )


def _cannot_open(path: Path, text: str) -> ConfigError:
    if path.is_dir():
        return ConfigError(
            "duckdb.path", f"{path} is a folder", where="path", fix="name a file, such as warehouse.duckdb"
        )
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return ConfigError(
            "duckdb.permission", f"{path} may not be read and written", where="path", fix="give this user the rights"
        )
    if "not a valid DuckDB" in text:
        return _not_a_database(path)
    return ConfigError(
        "duckdb.open",
        f"cannot open {path}: {text.splitlines()[0]}",
        where="path",
        fix="check the file and the settings",
    )


def _not_a_database(path: Path) -> ConfigError:
    return ConfigError(
        "duckdb.not_a_database", f"{path} is not a DuckDB database", where="path", fix="name another file"
    )


_STAGE = "__dataflow_stage_"
_OWN_SCHEMAS = frozenset({"system", "temp", "information_schema", "pg_catalog"})
_FIRST_OWN_ROW = 36028797018960000
"""DuckDB numbers the rows a transaction adds from here on until it commits."""
_staging: set[str] = set()
"""Names of the staging tables of this process's open sessions."""


class DuckDBSession(Session):
    """One transaction on a DuckDB file. The engine's connection is the transaction: rows never leave it.

    Staging tables are committed ahead, under names only their session knows: DuckDB writes a table
    of its own transaction a second time at COMMIT once any of its rows was deleted. What counts
    (rows under the target's name, quarantine, state, load record) still commits in one transaction;
    a staging table that a killed process left behind is dropped by the next session.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._open = True
        self._suffix = _STAGE + uuid.uuid4().hex[:12]
        _staging.add(self._suffix)
        connection.execute("BEGIN TRANSACTION")
        self._there = self._tables()
        self._drop_staging(self._there, lambda name: not name.endswith(tuple(_staging)))

    def stage(self, query: str, target: Table) -> Table:
        """Write the rows of ``query`` once, under a name of this session's own."""
        staged = Table(target.schema, target.name + self._suffix)
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(staged.schema)}")
        self.connection.execute(f"CREATE TABLE {qualified(staged.schema, staged.name)} AS {query}")
        return staged

    def stage_apart(self, query: str, target: Table) -> Table:
        """Keep the rows in a temporary table: writing and compressing what never becomes the target costs double."""
        staged = Table("temp", target.name + self._suffix)
        self.connection.execute(f"CREATE TEMP TABLE {qualified(staged.schema, staged.name)} AS {query}")
        return staged

    def settle(self) -> None:
        """Commit the staging table and begin anew."""
        self.connection.execute("COMMIT")
        self.connection.execute("BEGIN TRANSACTION")

    def _tables(self) -> list[Table]:
        """Every table of the file; '' names the schema itself."""
        rows = self.connection.execute(
            "SELECT schema_name, '' FROM duckdb_schemas() WHERE database_name = current_database() UNION ALL "
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
        ).fetchall()
        return [Table(schema, name) for schema, name in rows]

    def _drop_staging(self, there: Sequence[Table], unwanted: Callable[[str], bool]) -> None:
        for table in there:
            if _STAGE in table.name and unwanted(table.name):
                self.connection.execute(f"DROP TABLE {qualified(table.schema, table.name)}")

    def lock(self, target: Table) -> None:
        """Nobody else is here: one process writes. Names DuckDB would take for something else are refused."""
        row = self.connection.execute("SELECT current_database()").fetchone()
        file = row[0] if row else ""
        if target.schema.lower() in {file.lower(), *_OWN_SCHEMAS}:
            what = (
                "the name of the database file" if target.schema.lower() == file.lower() else "a name of DuckDB's own"
            )
            raise ConfigError(
                "duckdb.schema",
                f"schema '{target.schema}' has {what}: DuckDB cannot tell them apart",
                where=f"{target.schema}.{target.name}",
                fix="load into another schema, or give the file another name",
            )
        self._refuse_hidden(target)

    def _refuse_hidden(self, target: Table) -> None:
        """A load of "Orders" would find no such table, make it anew and drop "orders" for it."""
        for table in self._there:
            if target.hidden_by(table):
                raise ConfigError(
                    "duckdb.alike",
                    f"'{table.name if table.schema == target.schema else table.schema}' is there already and differs "
                    "only in case: DuckDB cannot tell them apart",
                    where=f"{target.schema}.{target.name}",
                    fix="write the name as it is there, or give the new one another name",
                )

    def expose(self, table: Table) -> None:
        """Nothing to do: the engine is the destination."""

    def columns(self, table: Table) -> tuple[Column, ...] | None:
        """The columns of ``table`` in order, or None where there is no such table."""
        if _FILE.search(table.name):
            return self._listed_columns(table)
        try:
            # `duckdb_columns()` looks at every column of the file, and took 14 of the 80 ms of a load of no rows.
            rows = self.connection.execute(f"DESCRIBE {qualified(table.schema, table.name)}").fetchall()
        except duckdb.CatalogException:
            return None
        return tuple(Column(name, kind, nullable=null == "YES") for name, kind, null, *_ in rows)

    def _listed_columns(self, table: Table) -> tuple[Column, ...] | None:
        """The same for a table whose name DuckDB takes for that of a file where there is no such table."""
        rows = self.connection.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE database_name = current_database() "
            f"AND lower(schema_name) = {literal(table.schema.lower())} "
            f"AND lower(table_name) = {literal(table.name.lower())} ORDER BY column_index"
        ).fetchall()
        return tuple(Column(name, kind, nullable=nullable) for name, kind, nullable in rows) or None

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it touched (0 for DDL)."""
        answer = self.connection.execute(sql, list(parameters) or None).fetchall()
        return int(answer[0][0]) if answer and isinstance(answer[0][0], int) else 0

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT and fetch all of its (few) rows."""
        return self.connection.execute(sql, list(parameters) or None).fetchall()

    def append(self, table: Table, query: str) -> int:
        """Insert the rows of ``query``."""
        return self.execute(f"INSERT INTO {qualified(table.schema, table.name)} {query}")

    def bring(self, staged: Table) -> Table:
        """The staging table itself: rows never leave DuckDB."""
        return staged

    def publish_as_new(self, staged: Table, target: Table) -> None:
        """Swap the staging table in under the target's name; nothing is copied."""
        self.connection.execute(f"DROP TABLE IF EXISTS {qualified(target.schema, target.name)}")
        injection.reach("swapping")
        self.connection.execute(f"ALTER TABLE {qualified(staged.schema, staged.name)} RENAME TO {quote(target.name)}")

    def written(self, table: Table, columns: Sequence[Column], whole: bool) -> str:
        """The rows as the table holds them, cast back where it keeps them wider."""
        kept = {column.name.lower(): column.type for column in self.columns(table) or ()}
        listed = ", ".join(
            quote(column.name)
            if kept.get(column.name.lower()) == column.type
            else f"TRY_CAST({quote(column.name)} AS {column.type}) AS {quote(column.name)}"
            for column in columns
        )
        where = "" if whole else f" WHERE rowid >= {_FIRST_OWN_ROW}"
        return f"SELECT {listed} FROM {qualified(table.schema, table.name)}{where}"

    def commit(self) -> None:
        """Make everything of this session visible at once."""
        self.connection.execute("COMMIT")
        self._open = False

    def close(self) -> None:
        """Roll back what was not committed and release the file."""
        if self._open:
            self._open = False
            # A statement that failed may have ended the transaction already; closing undoes it as well.
            with suppress(duckdb.Error):
                self.connection.execute("ROLLBACK")
                self._drop_staging(self._tables(), lambda name: name.endswith(self._suffix))
        _staging.discard(self._suffix)
        self.connection.close()
