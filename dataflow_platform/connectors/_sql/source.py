"""The base of the databases SQLAlchemy reaches: connect, ask the catalogue, stream the rows.

The catalogue (or, for a query, the cursor's description) settles the columns' types before the first row
is read; no value has a say in them. The rows of one stream come from one SELECT.
"""

import os
import re
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from dataflow_platform.connectors._sql import catalogue, keeping, kinds, selecting
from dataflow_platform.connectors._sql.driver_types import begin_session, keep_texts, told_by_cursor
from dataflow_platform.connectors._sql.facts import SqlFacts
from dataflow_platform.connectors._sql.meanings import meaning, missing_driver
from dataflow_platform.connectors._sql.reading import CursorReading
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
from dataflow_platform.core.reach import reach
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import duckdb
    import sqlalchemy as sa


class SqlSource(Source):
    """A database reached through SQLAlchemy. A system is a subclass with its facts and its fields."""

    facts: ClassVar[SqlFacts]
    StreamOptions: ClassVar[type[Spec]] = SqlStream

    @abstractmethod
    def address(self) -> "sa.URL":
        """SQLAlchemy's URL of this connection; the driver is not imported yet."""

    def connect_args(self) -> dict[str, Any]:
        """What the driver's ``connect`` is given besides the URL."""
        return {}

    def engine_args(self) -> dict[str, Any]:
        """What SQLAlchemy's ``create_engine`` is given for this dialect."""
        return {}

    def filtered(self) -> frozenset[str]:
        """Kinds whose cursor or window the server applies."""
        return self.facts.filtered

    def secrets(self) -> list[str]:
        """The values no text may show."""
        named = [getattr(self, name, None) for name in self.secret_fields]
        return [value for value in named if isinstance(value, str) and value]

    def where(self) -> str:
        """The connection as errors name it, without any secret."""
        url = self.address()
        return str(url.set(password=None, query={}).render_as_string())

    def explained(self, error: BaseException) -> DataflowError:
        """What an exception of the driver or of SQLAlchemy means."""
        if isinstance(error, ModuleNotFoundError):
            return missing_driver(error.name or str(error), self.where(), self.facts.packages)
        if type(error).__name__ == "NoSuchModuleError":  # SQLAlchemy's word for a dialect that is not installed
            return missing_driver(self.address().drivername, self.where(), self.facts.packages)
        return meaning(error, self.secrets(), self.where())

    def engine(self) -> "sa.Engine":
        """An engine without a pool: a scan has a connection of its own and closes it."""
        import sqlalchemy as sa

        self.run_prepare()
        try:
            engine = sa.create_engine(
                self.address(), poolclass=sa.NullPool, connect_args=self.connect_args(), **self.engine_args()
            )
            if engine.dialect.driver == "psycopg2":
                sa.event.listen(engine, "connect", keep_texts)
            if self.facts.session:
                sa.event.listen(engine, "connect", partial(begin_session, self.facts.session))
            return engine
        except Exception as error:  # noqa: BLE001  # a driver may look for its credentials here already
            raise self.explained(error) from None

    @contextmanager
    def connected(self) -> "Iterator[sa.Connection]":
        """A connection for a few catalogue questions; its errors are the platform's."""
        engine = self.engine()
        try:
            self.reach()
            with engine.connect() as connection:
                yield connection
        except Exception as error:  # noqa: BLE001  # each driver has exceptions of its own; all are given a meaning
            raise self.explained(error) from None
        finally:
            engine.dispose()

    def reach(self) -> None:
        """Resolve the name and open the port, within seconds: drivers may try for minutes."""
        url = self.address()
        proxied = self.facts.over_http and any(os.environ.get(f"{word}_proxy") for word in ("https", "http", "all"))
        proxied = proxied or (self.facts.over_http and any(os.environ.get(f"{w}_PROXY") for w in ("HTTPS", "ALL")))
        if not url.host or not url.port or proxied:
            return
        reach(url.host, url.port, "sql", self.where())

    def test_connection(self) -> str:
        """Resolve, connect, log in and ask for 1; the error's code says which step failed."""
        import sqlalchemy as sa

        with self.connected() as connection:
            connection.execute(sa.select(sa.literal_column("1"))).scalar()
            version = connection.dialect.server_version_info
        told = ".".join(str(part) for part in version) if version else ""
        return f"{self.facts.title} {told}".strip() + f" at {self.where()}"

    def discover(self) -> list[str]:
        """Tables and views as ``schema.table``, sorted; the server's own schemas are left out."""
        with self.connected() as connection:
            return sorted(join_name(schema, table) for schema, table in self.relations(connection))

    def catalogue(self) -> list[CatalogueTable]:
        """The same with what the catalogue tells: kind and key by SQLAlchemy's inspector, else the columns alone."""
        with self.connected() as connection:
            if not self.facts.list_tables:
                return catalogue.inspected(connection, self.facts.system_schemas, self.facts.title)
            tables = list(self.relations(connection))
            return catalogue.described(tables, partial(self.described, connection), self.facts.title)

    def relations(self, connection: "sa.Connection") -> Iterator[tuple[str | None, str]]:
        """Schema and name of every table and view."""
        import sqlalchemy as sa

        if self.facts.list_tables:
            for schema, name in connection.execute(sa.text(self.facts.list_tables)):
                if schema.lower() not in self.facts.system_schemas:
                    yield schema, name
            return
        inspector = sa.inspect(connection)
        try:
            schemas: Sequence[str | None] = inspector.get_schema_names()
        except NotImplementedError:
            schemas = [None]
        for schema in schemas:
            if (schema or "").lower() in self.facts.system_schemas:
                continue
            yield from ((schema, name) for name in inspector.get_table_names(schema))
            for views in (inspector.get_view_names, inspector.get_materialized_view_names):
                try:
                    yield from ((schema, name) for name in views(schema))
                except NotImplementedError:
                    continue

    def described(
        self, connection: "sa.Connection", schema: str | None, table: str
    ) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a table or view; [] where there is no such table."""
        import sqlalchemy as sa

        told: list[tuple[str, str | None, str]] = []
        if self.facts.describe_table:
            given = {"schema": schema or "", "table": table}
            for name, words in connection.execute(sa.text(self.facts.describe_table), given):
                told.append((name, kinds.kind_of_words(words, self.facts.kinds), words.lower()))
            return told
        try:
            with warnings.catch_warnings():
                # The column is refused below, by name.
                warnings.filterwarnings("ignore", "Did not recognize type", sa.exc.SAWarning)
                found = sa.inspect(connection).get_columns(table, schema)
        except sa.exc.NoSuchTableError:
            return []
        for column in found:
            told.append((column["name"], *kinds.kind_of_type(column["type"], connection.dialect, self.facts.kinds)))
        return told

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

    def reading(self, engine: "sa.Engine", statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """One run of the query; a system whose driver hands out Arrow overrides this."""
        return CursorReading(engine, statement, columns, self.explained, self.where())

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

    def described_query(self, connection: "sa.Connection", query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a query, which is not run if the server can tell without."""
        import sqlalchemy as sa

        if self.facts.describe_query:
            rows = connection.execute(sa.text(self.facts.describe_query), {"query": query})
            described = [(name, kinds.kind_of_words(words, self.facts.kinds), words.lower()) for name, words in rows]
            if described:
                return described
        whole: sa.ColumnClause[Any] = sa.literal_column("*")
        empty = sa.select(whole).select_from(selecting.origin(None, None, query, []))
        with connection.execute(empty.where(sa.text("1 = 0"))) as result:
            told = told_by_cursor(connection.dialect.driver, result.cursor.description or ())
            # By place: a dialect may spell the names otherwise than its driver.
            return [
                (name, kinds.kind_of_words(words, self.facts.kinds), words)
                for name, words in zip(result.keys(), told, strict=True)
            ]

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
