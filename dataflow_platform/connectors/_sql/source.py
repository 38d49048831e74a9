"""The base of the databases that answer a SELECT with rows: ask the catalogue, stream the rows.

The catalogue (or, for a query, the cursor's description) settles the columns' types before the first row
is read; no value has a say in them. The rows of one stream come from one SELECT.
"""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from dataflow_platform.connectors._sql import catalogue, keeping, kinds, selecting
from dataflow_platform.connectors._sql.facts import SqlFacts
from dataflow_platform.connectors._sql.meanings import meaning, missing_driver
from dataflow_platform.connectors._sql.rows import Reading, RowStream
from dataflow_platform.connectors._sql.stream import SqlStream, join_name, split_name
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core import server_filter
from dataflow_platform.core.base import Scan, Source, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import (
    ConfigError,
    DataflowError,
    did_you_mean,
    nearest,
    unknown_name,
)
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import duckdb
    import sqlalchemy as sa


class SqlSource(Source):
    """A database that lists its tables, describes their columns and answers one SELECT for each stream."""

    facts: ClassVar[SqlFacts]
    StreamOptions: ClassVar[type[Spec]] = SqlStream

    @abstractmethod
    def where(self) -> str:
        """The connection as errors name it, without any secret."""

    @abstractmethod
    def engine(self) -> Any:
        """What opens a connection for each scan."""

    @abstractmethod
    def connected(self) -> AbstractContextManager[Any]:
        """A connection for a few catalogue questions; its errors are the platform's."""

    @abstractmethod
    def relations(self, connection: Any) -> Iterator[tuple[str | None, str]]:
        """Schema and name of every table and view."""

    @abstractmethod
    def described(self, connection: Any, schema: str | None, table: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a table or view; [] where there is no such table."""

    @abstractmethod
    def described_query(self, connection: Any, query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a query, which is not run if the server can tell without."""

    @abstractmethod
    def reading(self, engine: Any, statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """One run of the query."""

    def explained(self, error: BaseException) -> DataflowError:
        """What an exception of the driver means."""
        if isinstance(error, ModuleNotFoundError):
            return missing_driver(error.name or str(error), self.where(), self.facts.packages)
        return meaning(error, self.secrets(), self.where())

    def filtered(self) -> frozenset[str]:
        """Kinds whose cursor or window the server applies."""
        return self.facts.filtered

    def secrets(self) -> list[str]:
        """The values no text may show."""
        named = [getattr(self, name, None) for name in self.secret_fields]
        return [value for value in named if isinstance(value, str) and value]

    def discover(self) -> list[str]:
        """Tables and views as ``schema.table``, sorted; the server's own schemas are left out."""
        with self.connected() as connection:
            return sorted(join_name(schema, table) for schema, table in self.relations(connection))

    def catalogue(self) -> list[CatalogueTable]:
        """The same with the columns, asked table by table."""
        with self.connected() as connection:
            tables = list(self.relations(connection))
            return catalogue.described(tables, partial(self.described, connection), self.facts.title)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """Schema and table; a query is named after its stream."""
        options = self._options(stream)
        if options.query:
            return (stream.name,)
        return tuple(part for part in split_name(options.table or stream.name, self.where()) if part)

    def scan(self, connection: "duckdb.DuckDBPyConnection", stream: Stream, state: State) -> Scan:
        """The rows of a table, view or query; the server applies columns, cursor and window."""
        engine = self.engine()
        columns, statement = self.plan(stream, state)

        def start() -> Reading:
            return self.reading(engine, statement, columns)

        rows = RowStream(columns, start)
        relation = connection.from_arrow(rows)
        if any(column.kind in kinds.CAST for column in columns):
            wanted = (
                f"CAST({quote(c.name)} AS {c.kind}) AS {quote(c.name)}" if c.kind in kinds.CAST else quote(c.name)
                for c in columns
            )
            relation = relation.project(", ".join(wanted))
        return Scan(relation, rows_read=rows.rows_read, bytes_read=lambda: rows.bytes, close=rows.close)

    def plan(self, stream: Stream, state: State) -> "tuple[list[Column], sa.Select[Any]]":
        """The columns of a stream and the SELECT the server will run."""
        options = self._options(stream)
        with self.connected() as connection:
            dialect = connection.dialect
            if options.query:
                schema, table = None, None
                known = self._settled(self.described_query(connection, options.query), options)
            else:
                schema, table = split_name(options.table or stream.name, self.where())
                known = self._columns_of_table(connection, schema, table, options)
        source = selecting.origin(table, schema, options.query, [column.name for column in known])
        filtered = self.filtered()
        read = selecting.condition(source, known, stream, state, self.facts, filtered, dialect, self.where())
        overruled = {*options.as_text, *options.types}
        kept = keeping.kept(source, known, stream.keeps, overruled, self.facts, filtered, dialect)
        columns = server_filter.wanted(self._chosen(known, options), stream)
        statement = selecting.select(source, columns, options.as_text, self.facts, dialect)
        return columns, statement.where(*([] if read is None else [read]), *kept)

    def _options(self, stream: Stream) -> SqlStream:
        assert isinstance(stream.options, SqlStream)
        return stream.options

    def _columns_of_table(
        self, connection: "sa.Connection", schema: str | None, table: str, options: SqlStream
    ) -> list[Column]:
        known = self.described(connection, schema, table)
        if not known:
            written = join_name(schema, table)
            there = list(self.relations(connection))
            names = [join_name(*each) for each in there]
            if written in names:
                fix = "add a column, or leave the table out"
                raise ConfigError("sql.columns", f"{written} has no column", where=self.where(), fix=fix)
            if schema is None and (meant := nearest(table, [name for _, name in there])):
                schema, table = next(each for each in there if each[1] == meant)
            raise ConfigError(
                "table.unknown",
                f"unknown table '{written}'",
                where=self.where(),
                fix=did_you_mean(join_name(schema, table), names, "dataflow connections discover"),
            )
        return self._settled(known, options)

    def _settled(self, known: Sequence[tuple[str, str | None, str]], options: SqlStream) -> list[Column]:
        """The columns with a type each: the person's word before the catalogue's; ConfigError where there is none."""
        names = [name for name, _, _ in known]
        for name in (*options.columns, *options.as_text, *options.types):
            if name not in names:
                raise unknown_name("column", name, names, "check the spelling").at_path(self.where())
        wanted = [each for each in known if not options.columns or each[0] in options.columns]
        columns, without = [], []
        for name, kind, words in known:
            settled = "VARCHAR" if name in options.as_text else options.types.get(name, kind or "")
            if settled:
                columns.append(Column(name, settled, words))
            elif any(name == each[0] for each in wanted):
                without.append(f"{name} ({words or 'type not told'})")
        if without:
            raise ConfigError(
                "sql.type",
                f"no type is known that keeps these columns exactly: {', '.join(without)}",
                where=self.where(),
                fix="give each a type (types: {column: DECIMAL(18,2)}), read it as text (as_text: [column]), or name "
                "the columns to read (columns: [...])",
            )
        return columns

    @staticmethod
    def _chosen(columns: list[Column], options: SqlStream) -> list[Column]:
        if not options.columns:
            return columns
        return [column for name in options.columns for column in columns if column.name == name]


def smells_of_secret(name: str) -> bool:
    """True for the name of a setting that holds a secret."""
    return re.search(r"(?i)pass|pwd|secret|token|credential|api_?key|private", name) is not None
