"""Databases that SQLAlchemy has a dialect for: connecting, and what its inspector tells."""

import os
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql import catalogue, kinds, selecting
from dataflow_platform.connectors._sql.driver_types import begin_session, keep_texts, told_by_cursor
from dataflow_platform.connectors._sql.meanings import missing_driver
from dataflow_platform.connectors._sql.reading import CursorReading
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.source import SqlSource
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.reach import reach

if TYPE_CHECKING:
    import sqlalchemy as sa


class SqlAlchemySource(SqlSource):
    """A database reached through SQLAlchemy. A system is a subclass with its facts and its fields."""

    @abstractmethod
    def address(self) -> "sa.URL":
        """SQLAlchemy's URL of this connection; the driver is not imported yet."""

    def connect_args(self) -> dict[str, Any]:
        """What the driver's ``connect`` is given besides the URL."""
        return {}

    def engine_args(self) -> dict[str, Any]:
        """What SQLAlchemy's ``create_engine`` is given for this dialect."""
        return {}

    def where(self) -> str:
        """The connection as errors name it, without any secret."""
        url = self.address()
        return str(url.set(password=None, query={}).render_as_string())

    def explained(self, error: BaseException) -> DataflowError:
        """What an exception of the driver or of SQLAlchemy means."""
        if type(error).__name__ == "NoSuchModuleError":  # SQLAlchemy's word for a dialect that is not installed
            return missing_driver(self.address().drivername, self.where(), self.facts.packages)
        return super().explained(error)

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

    def reading(self, engine: "sa.Engine", statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """One run of the query; a system whose driver hands out Arrow overrides this."""
        return CursorReading(engine, statement, columns, self.explained, self.where())
