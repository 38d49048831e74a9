"""One transaction on a PostgreSQL server, with a DuckDB engine of its own beside it."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from dataflow_platform.connectors.postgres.complaints import is_refused
from dataflow_platform.connectors.postgres.copying import copy_rows
from dataflow_platform.connectors.postgres.dialect import check_name, translated
from dataflow_platform.connectors.postgres.reading_back import comparable, copy_out, typed
from dataflow_platform.connectors.postgres.same_types import shapes, spelled
from dataflow_platform.connectors.postgres.server import Server
from dataflow_platform.connectors.postgres.swapping import Carried, carried, take_over
from dataflow_platform.connectors.postgres.target_questions import COLUMNS, HOLDER
from dataflow_platform.connectors.postgres.types import StoredType, stored, word_of
from dataflow_platform.core import injection
from dataflow_platform.core.base import Ahead, Column, Session, Table
from dataflow_platform.core.errors import DataError, DataflowError, TransientError
from dataflow_platform.core.sql import qualified, quote

_LOCK_TIMEOUT = "55P03"


class PostgresSession(Session):
    """One transaction on a PostgreSQL server. Rows are staged in a DuckDB of the session's own."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, server: Server) -> None:
        self.connection = engine
        self._server = server
        self._postgres = server.connect()
        self._open = True
        self._exposed: list[Callable[[], None]] = []
        self._awaited: dict[Table, Table] = {}
        self._brought = 0
        self._read_back: Path | None = None
        self._loaded: set[Table] = set()
        # Tables that were written ahead, and whether they take over what hangs on the target.
        self._ahead: dict[Table, bool] = {}

    @contextmanager
    def _served(self) -> Iterator[Any]:
        """A cursor; what goes wrong on the server in the platform's words, and errors of the engine as they are."""
        import psycopg2

        try:
            with self._postgres.cursor() as cursor:
                yield cursor
        except (psycopg2.Error, ValueError) as error:
            raise self._server.explained(error) from error

    @contextmanager
    def _told(self) -> Iterator[Any]:
        """A cursor; what goes wrong inside the block in the platform's words."""
        try:
            with self._served() as cursor:
                yield cursor
        except duckdb.Error as error:
            raise self._server.explained(error) from error

    def lock(self, target: Table) -> None:
        """Keep other loads of ``target`` out until this transaction ends."""
        import psycopg2

        check_name(target.schema)
        check_name(target.name)
        key = _lock_key(target)
        try:
            with self._postgres.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
                # Rows that others refer to may go before the new ones come.
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        except psycopg2.Error as error:
            if error.pgcode != _LOCK_TIMEOUT:
                raise self._server.explained(error) from error
            self._postgres.rollback()
            raise self._held(target, key) from error
        self._loaded.add(target)

    def _held(self, target: Table, key: int) -> TransientError:
        with self._told() as cursor:
            cursor.execute(HOLDER, [key])
            holder = cursor.fetchone()
        who = f"process {holder[0]} of the server ({holder[1] or 'no application name'})" if holder else "another load"
        stop = f", or end it: SELECT pg_terminate_backend({holder[0]})" if holder else ""
        return TransientError(
            "postgres.locked",
            f"{who} is loading {target.schema}.{target.name}; waited {self._server.wait_seconds:g} s",
            where=self._server.name,
            fix=f"wait for it{stop}",
        )

    def stored(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """``columns`` with the types they have once they are in PostgreSQL; ConfigError where it has none."""
        found = []
        for column in columns:
            check_name(column.name)
            try:
                found.append(Column(column.name, stored(column.type).word))
            except DataflowError as error:
                raise error.at_path(f"columns.{column.name}") from None
        return tuple(found)

    def stage(self, query: str, target: Table) -> Table:
        """Run ``query`` once in the engine; beside no schema's name, as some (temp, system) are DuckDB's own."""
        return super().stage(query, Table("main", target.name))

    def expose(self, table: Table) -> None:
        """Let the engine read ``table`` as others see it: committed rows, through DuckDB's scanner."""
        try:
            self._exposed.append(self._server.expose(self.connection, table))
        except duckdb.Error as error:
            raise self._server.explained(error) from error

    def columns(self, table: Table) -> tuple[Column, ...] | None:
        """The columns in order, as this transaction sees them; None where there is no such table."""
        rows = self._catalogue(table)
        return tuple(Column(name, word_of(kind, dims), nullable=free) for name, kind, dims, free in rows) or None

    def _catalogue(self, table: Table) -> list[tuple[str, str, int, bool]]:
        with self._told() as cursor:
            cursor.execute(COLUMNS, [table.schema, table.name])
            return list(cursor.fetchall())

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it touched (0 for DDL).

        CREATE ... and ADD COLUMN IF NOT EXISTS commit by themselves: streams that share a new schema need not
        wait for one another's rows, and an empty table or column of ours shows nobody anything.
        """
        statement = translated(sql)
        if statement.ensures is not None:
            self._ensure(statement.ensures, statement.sql)
            return 0
        transfer = statement.transfer
        if transfer is not None and transfer.origin in self._awaited:
            selected = ", ".join(quote(name) for name in transfer.selected)
            staged = self._awaited[transfer.origin]
            query = f"SELECT {selected} FROM {qualified(staged.schema, staged.name)}"
            with self._told():
                return self._append(transfer.target, transfer.columns, query)
        with self._told() as cursor:
            self._fetch_awaited(statement.tables)
            cursor.execute(*((statement.with_parameters, list(parameters)) if parameters else (statement.sql,)))
            return max(int(cursor.rowcount), 0)

    def _ensure(self, table: Table, create: str) -> None:
        if table.name and create.startswith("CREATE") and self._catalogue(table):
            return
        with self._told() as cursor:
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [table.schema])
            # Asked first: a role that may not create schemas is refused even where the schema exists.
            if not table.name and cursor.fetchone():
                return
        self._beside(table.schema, create)

    def _beside(self, schema: str, statement: str) -> None:
        """Run and commit one statement of a schema's set-up on a connection of its own."""
        with self._told():
            side = self._server.connect()
            try:
                with side.cursor() as other:
                    other.execute("SELECT pg_advisory_xact_lock(%s)", [_lock_key(Table(schema, ""))])
                    other.execute(statement)
                    injection.reach("side_transaction")
                side.commit()
            finally:
                side.close()

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT and fetch all of its (few) rows."""
        statement = translated(sql)
        with self._told() as cursor:
            self._fetch_awaited(statement.tables)
            cursor.execute(*((statement.with_parameters, list(parameters)) if parameters else (statement.sql,)))
            return list(cursor.fetchall())

    def append(self, table: Table, query: str) -> int:
        """COPY the rows of an engine query to the end of ``table``."""
        names = [name for name, *_ in self._catalogue(table)]
        with self._told():
            return self._append(table, names[: len(self._described(query))], query)

    def _append(self, table: Table, names: Sequence[str], query: str) -> int:
        described = self._described(query)
        there = {name: spelled(kind) for name, kind, *_ in self._catalogue(table)}
        into = qualified(table.schema, table.name)
        kinds = [spelled(stored(column.type).landed) for column in described]
        if [there.get(name) for name in names] == kinds:
            return self._copy(into, names, described, query)
        # The binary form is that of one type only; the server casts what arrived in another.
        landed = Table("pg_temp", self._incoming())
        self._land(landed, described, query)
        listed = ", ".join(quote(name) for name in names)
        with self._served() as cursor:
            cursor.execute(f"INSERT INTO {into} ({listed}) SELECT * FROM {qualified(landed.schema, landed.name)}")
            return int(cursor.rowcount)

    def bring(self, staged: Table) -> Table:
        """COPY the staged rows into a temporary table that ends with the transaction.

        That is put off until a statement needs it: one that only inserts the rows gets them by COPY itself.
        """
        incoming = Table("pg_temp", self._incoming())
        self._awaited[incoming] = staged
        return incoming

    def _fetch_awaited(self, named: frozenset[Table]) -> None:
        for incoming in named & self._awaited.keys():
            staged = self._awaited.pop(incoming)
            query = f"SELECT * FROM {qualified(staged.schema, staged.name)}"
            self._land(incoming, self._described(query), query)

    def _incoming(self) -> str:
        self._brought += 1
        return f"_dataflow_incoming_{self._brought}"

    def _land(self, table: Table, columns: Sequence[Column], query: str) -> None:
        with self._served() as cursor:
            cursor.execute(f"CREATE TEMP TABLE {quote(table.name)} ({_declared(columns)}) ON COMMIT DROP")
        self._fill(qualified(table.schema, table.name), columns, query)
        with self._served() as cursor:  # without statistics the planner guesses how to join it
            cursor.execute(f"ANALYZE {qualified(table.schema, table.name)}")

    def can_write_ahead(self, columns: Sequence[Column], target: Table) -> Ahead:
        """Into a table of the open transaction, which nobody else sees: the engine neither."""
        return "hidden"

    def write_ahead(
        self, query: str, target: Table, readers: Sequence[duckdb.DuckDBPyConnection] = ()
    ) -> tuple[Table, int]:
        """COPY the rows into a new table, which will take the target's name: the old one stays readable.

        Its indexes and constraints are made again. A table that more hangs on (grants, views, comments, foreign keys
        of others, ...) keeps it all: its rows are deleted and the new ones copied in, which readers do not see before
        the commit either.
        """
        columns, name = self._described(query), qualified(target.schema, target.name)
        kept = self.stored(columns)
        self.lock(target)
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(target.schema)}")
        old = self.columns(target)
        own = self._own(target) if old is not None and shapes(old) == shapes(kept) else []
        if old is not None and own is None:
            self.execute(f"DELETE FROM {name}")
            listed = ", ".join(quote(column.name) for column in old)
            fresh, inserted = target, f"SELECT {listed} FROM ({query}) AS rows"
            rows = self._append(target, [column.name for column in old], inserted)
        else:
            passing = f"_dataflow_new_{_lock_key(target) & 0xFFFFFFFF:08x}"
            fresh = target if old is None else Table(target.schema, passing)
            new = qualified(fresh.schema, fresh.name)
            with self._served() as cursor:
                cursor.execute(f"CREATE TABLE {new} ({_declared(columns)})")
            rows = self._fill(new, columns, query)
        self._ahead[fresh] = old is not None and shapes(old) == shapes(kept)
        return fresh, rows

    def explain(self, error: duckdb.Error) -> DataflowError | None:
        """A value that PostgreSQL does not hold."""
        return self._server.explained(error) if is_refused(error) else None

    def publish_as_new(self, staged: Table, target: Table) -> None:
        """Give the rows the target's name, those of the engine once they are written."""
        if staged not in self._ahead:
            with self._told():
                staged, _ = self.write_ahead(f"SELECT * FROM {qualified(staged.schema, staged.name)}", target)
        if staged != target:
            with self._told() as cursor:
                take_over(cursor, staged, target, self._to_carry(target) if self._ahead[staged] else [])

    def _own(self, table: Table) -> list[Carried] | None:
        with self._told() as cursor:
            return carried(cursor, table)

    def _to_carry(self, target: Table) -> list[Carried]:
        own = self._own(target)
        if own is None:
            raise TransientError(
                "postgres.changed",
                "somebody hung something on the table (a view, a grant, ...) while its rows were written",
                where=f"{target.schema}.{target.name}",
                fix="run it again",
            )
        return own

    def _described(self, query: str) -> list[Column]:
        rows = self.connection.execute(f"DESCRIBE {query}").fetchall()
        return [Column(str(name), str(kind)) for name, kind, *_ in rows]

    def _fill(self, table: str, columns: Sequence[Column], query: str) -> int:
        """Copy into a table just made by ``_declared``, then give the columns their lasting types; the rows."""
        rows = self._copy(table, [column.name for column in columns], columns, query)
        kinds = [(quote(column.name), stored(column.type)) for column in columns]
        changes = [
            f"ALTER COLUMN {name} TYPE {kind.declared} USING {name}::{kind.declared}"
            for name, kind in kinds
            if kind.landed != kind.declared
        ]
        if changes:
            with self._served() as cursor:
                cursor.execute(f"ALTER TABLE {table} {', '.join(changes)}")
        return rows

    def _copy(self, table: str, names: Sequence[str], columns: Sequence[Column], query: str) -> int:
        """COPY ``query``, whose columns are ``columns``, into ``names`` of ``table`` (quoted); the rows."""
        wires = ", ".join(
            f"{stored(column.type).wire.format(f'r.{quote(column.name)}')} AS {quote(column.name)}"
            for column in columns
        )
        with self._served() as cursor:
            sent, taken = copy_rows(self.connection, cursor, table, names, f"SELECT {wires} FROM ({query}) AS r")
        # Invariant 2, nothing lost: both ends of the pipe counted.
        if sent != taken:
            raise DataError(
                "postgres.copy",
                f"{sent} rows were sent and {taken} arrived",
                where=self._server.name,
                fix="nothing was published; look into the server's log",
            )
        return taken

    def written(self, table: Table, columns: Sequence[Column], whole: bool) -> str:
        """The rows as the server holds them, by way of a file; without columns whose text says less than the value."""
        if self._read_back is None:
            self._read_back = Path(tempfile.mkdtemp(prefix="dataflow-read-back-"))
        file = self._read_back / f"{self._incoming()}.csv"
        compared = comparable(columns)
        with self._told() as cursor:
            copy_out(cursor, table, compared, whole, file)
        return typed(compared, file)

    def commit(self) -> None:
        """Make everything of this session visible at once.

        A connection that breaks here leaves it open whether the server committed: the load record tells.
        """
        import psycopg2

        with self._told() as cursor:
            # Now rather than by COMMIT, after which nothing can be said; and what waits for it forbids any DDL.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in self._loaded:
            if self._server.declared.any_of(table) and (columns := self.columns(table)):
                with self._told() as cursor:
                    self._server.declared.create_missing(cursor, table, columns)
        self._open = False
        try:
            self._postgres.commit()
        except psycopg2.Error as error:
            if not self._postgres.closed:
                raise self._server.explained(error) from error
            raise TransientError(
                "postgres.commit_unknown",
                "the connection broke during COMMIT: the server may have published the load or not",
                where=self._server.name,
                fix="run it again (re-execute the run from its failure): the load keeps its id, and where "
                "_dataflow_loads holds that id already nothing is moved twice",
            ) from error

    def close(self) -> None:
        """Roll back what was not committed and free both connections."""
        import psycopg2

        if self._open:
            self._open = False
            with suppress(psycopg2.Error):
                self._postgres.rollback()
        self._postgres.close()
        while self._exposed:
            with suppress(duckdb.Error):
                self._exposed.pop()()
        self.connection.close()
        if self._read_back is not None:
            shutil.rmtree(self._read_back, ignore_errors=True)


def _declared(columns: Sequence[Column]) -> str:
    kinds: list[tuple[str, StoredType]] = [(column.name, stored(column.type)) for column in columns]
    return ", ".join(f"{quote(name)} {kind.landed}" for name, kind in kinds)


def _lock_key(table: Table) -> int:
    """The advisory lock of a table (or, with an empty name, of a schema's set-up): a signed 64-bit number."""
    digest = hashlib.sha256(f"dataflow\0{table.schema}\0{table.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
