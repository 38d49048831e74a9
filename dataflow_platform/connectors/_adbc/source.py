"""A database reached by an ADBC driver: the SELECT of the SQL databases, answered with Arrow's record batches."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._adbc import types
from dataflow_platform.connectors._adbc.reading import AdbcReading
from dataflow_platform.connectors._sql import SqlSource, any_dialect
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.table_or_query import refuse_repeated

if TYPE_CHECKING:
    import sqlalchemy as sa


class AdbcSource(SqlSource):
    """A database with an ADBC driver. Its columns have the types the server tells of a SELECT that finds no row."""

    @abstractmethod
    def opened(self) -> Any:
        """A connection of the driver (its DBAPI), where every statement is a transaction of its own."""

    @abstractmethod
    def reach(self) -> None:
        """Resolve the name and open the port, within seconds."""

    def dialect(self) -> Any:
        """How the server's SELECTs are written."""
        return any_dialect.dialect('"')

    def engine(self) -> Any:
        """Opens connections: there is no engine of SQLAlchemy behind it."""
        self.run_prepare()
        return self.opened

    @contextmanager
    def connected(self) -> "Iterator[Any]":
        """A connection for a few catalogue questions; its errors are the platform's."""
        try:
            open_connection = self.engine()
            self.reach()
            with open_connection() as driver:
                yield Opened(driver, self.dialect())
        except Exception as error:  # noqa: BLE001  # each driver has exceptions of its own; all are given a meaning
            raise self.explained(error) from None

    def test_connection(self) -> str:
        """Resolve, connect, log in and ask for 1; the error's code says which step failed."""
        with self.connected() as connection:
            connection.answered("SELECT 1 AS one")
            told = connection.driver.adbc_get_info()
        product = f"{told.get('vendor_name') or ''} {told.get('vendor_version') or ''}"
        return f"{self.facts.title} at {self.where()}, which calls itself {product.strip()}"

    def relations(self, connection: Any) -> "Iterator[tuple[str | None, str]]":
        """Schema and name of every table and view; ConfigError ``sql.catalogue`` where the server lists none."""
        for schema, table in sorted(self._listed(connection)):
            if (schema or "").lower() not in self.facts.system_schemas:
                yield schema or None, table

    def _listed(self, connection: Any) -> set[tuple[str, str]]:
        if self.facts.list_tables:
            return {tuple(row.values()) for row in connection.answered(self.facts.list_tables).to_pylist()}
        try:
            return connection.listed()  # type: ignore[no-any-return]
        except Exception as error:
            meant = self.explained(error)
            if meant.code != "sql.failed":
                raise
            raise ConfigError(
                "sql.catalogue",
                f"the server does not list its tables: {meant.what}",
                where=self.where(),
                fix="name the tables of the streams: they can be read all the same",
            ) from None

    def described(self, connection: Any, schema: str | None, table: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column; [] where the server's list has no such table."""
        try:
            return connection.columns(connection.named(schema, table))  # type: ignore[no-any-return]
        except Exception as error:
            meant = self.explained(error)
            if meant.code != "table.unknown" or not self._lists(connection):
                raise
            return []

    def _lists(self, connection: Any) -> bool:
        try:
            next(self.relations(connection), None)
        except Exception:  # noqa: BLE001  # whatever it says: it cannot help with the name
            return False
        return True

    def described_query(self, connection: Any, query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a query, of which no row is asked."""
        found = connection.columns(f"({query}\n) {connection.named(None, 'stream')}")
        refuse_repeated([name for name, _, _ in found], self.where())
        return found  # type: ignore[no-any-return]

    def reading(self, engine: Any, statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """The rows as the server sends them."""
        text = str(statement.compile(dialect=self.dialect(), compile_kwargs={"literal_binds": True}))
        try:
            connection = engine()
            try:
                return AdbcReading(connection, text, columns, self.explained, self.where())
            except BaseException:
                connection.close()
                raise
        except Exception as error:  # noqa: BLE001  # the driver's errors are given a meaning
            raise self.explained(error) from None


class Opened:
    """A connection of the driver, and how its server's SQL is written."""

    def __init__(self, driver: Any, dialect: Any) -> None:
        self.driver = driver
        self.dialect = dialect

    def answered(self, text: str) -> Any:
        """The whole answer of a short question, as an Arrow table."""
        with self.driver.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetch_record_batch().read_all()

    def columns(self, origin: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of what follows FROM."""
        # Some servers send the schema with the first batch of rows, and none where there is no row.
        return self._told(f"SELECT * FROM {origin} WHERE 1 = 0") or self._told(f"SELECT * FROM {origin} LIMIT 1")

    def _told(self, text: str) -> list[tuple[str, str | None, str]]:
        with self.driver.cursor() as cursor:
            cursor.execute(text)
            with cursor.fetch_record_batch() as reader:
                return types.told(reader.schema)

    def named(self, schema: str | None, table: str) -> str:
        """The table as the server reads it."""
        preparer = self.dialect.identifier_preparer
        return ".".join([*([preparer.quote_schema(schema)] if schema else []), preparer.quote(table)])

    def listed(self) -> set[tuple[str, str]]:
        """Schema and name of every table by ADBC's own question."""
        told = self.driver.adbc_get_objects(depth="tables").read_all().to_pylist()
        return {
            (schema["db_schema_name"] or "", table["table_name"])
            for catalog in told
            for schema in catalog["catalog_db_schemas"] or ()
            for table in schema["db_schema_tables"] or ()
        }
