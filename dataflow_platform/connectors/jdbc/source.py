"""The rows of any database with a JDBC driver, by its jar."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from dataflow_platform.connectors._sql import SqlFacts, SqlSource, any_dialect
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.source import smells_of_secret
from dataflow_platform.connectors._sql.stream import join_name
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.connectors.jdbc import types, virtual_machine
from dataflow_platform.connectors.jdbc.reading import JdbcReading, prepared
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable, TableKind
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.progress import Progress, report

if TYPE_CHECKING:
    import sqlalchemy as sa


class Jdbc(SqlSource):
    """Any database with a JDBC driver, by the driver's jar; needs Java 11 or newer on this machine.

    A loop in Java fills Arrow's buffers. A million rows of four columns took H2 and HSQLDB 4 to 6 seconds, Derby 6 to
    10, on two cores; the first time in a process up to 23. `JAVA_TOOL_OPTIONS=-Xmx512m` bounds Java's memory. Names
    are as the catalogue writes them, mostly in capitals.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Database by JDBC",
        family="database",
        evidence="real_server",
        evidence_note="H2, HSQLDB and Derby as servers, with their own drivers; other drivers untried. The tests skip "
        "where JPype, Java or Debian's jars are not installed, as in the locked environment",
        packages=("jpype1>=1.5,<2",),
        grants="SELECT on the tables to read",
        as_text="{0}",  # the driver writes it
        system_schemas=frozenset(
            {"information_schema", "pg_catalog", "sys", "sysibm", "syscat", "sysfun", "sysproc", "sysstat", "nullid",
             "sqlj", "syscs_diag", "syscs_util", "system_lobs"},
        ),
    )  # fmt: skip
    secret_fields: ClassVar[frozenset[str]] = frozenset({"password"})

    url: str = Field(description="JDBC URL without a secret: `jdbc:h2:tcp://localhost/shop`.")
    jars: list[str] = Field(description="Files of the driver: its jar, and those it needs.")
    driver: str | None = Field(
        default=None, description="The driver's class, such as `org.h2.Driver`; the jar's own word if absent."
    )
    user: str = Field(default="", description="User to log in as.")
    password: str = Field(default="", repr=False, description="Password of the user.")
    properties: dict[str, str] = Field(default_factory=dict, description="Further properties of the driver, no secret.")
    fetch_size: int = Field(
        default=10_000,
        description="Rows the driver asks of the server at a time. Some keep whole results without such a hint, "
        "MySQL's with every hint but -2147483648.",
    )

    @field_validator("url", mode="before")
    @classmethod
    def _without_secrets(cls, url: object) -> object:
        if isinstance(url, str) and (not url.startswith("jdbc:") or smells_of_secret(url)):
            raise ConfigError(
                "jdbc.url",
                "url is no JDBC URL without a secret",
                where="url",
                fix='write it as jdbc:<system>:<place>; leave a password out and set password: "{{ env.NAME }}"',
            )
        return url

    @field_validator("properties")
    @classmethod
    def _no_secret_property(cls, properties: dict[str, str]) -> dict[str, str]:
        for name in filter(smells_of_secret, properties):
            raise ConfigError("jdbc.properties", f"'{name}' is a secret", where="properties", fix="use `password`")
        return properties

    def where(self) -> str:
        """The connection as errors name it, without any secret."""
        return self.url.partition("?")[0].partition(";")[0]

    def _files(self) -> tuple[str, ...]:
        files = tuple(str(resolve(jar)) for jar in self.jars)
        for file in files:
            if not resolve(file).is_file():
                raise ConfigError("jdbc.jar", f"there is no file {file}", where="jars", fix="name the driver's jar")
        return files

    def engine(self) -> Any:
        """Opens connections: there is no engine of SQLAlchemy behind it."""
        self.run_prepare()
        return self._opened

    def _opened(self) -> Any:
        given = [("user", self.user), ("password", self.password), *self.properties.items()]
        # Derby takes an empty password for a wrong one.
        wanted = [(name, value) for name, value in given if value]
        connection = virtual_machine.connect(self._files(), self.driver, self.url, wanted)
        if connection is None:
            raise ConfigError(
                "jdbc.driver",
                "no driver of the jars knows this URL",
                where=self.where(),
                fix="check `url` and `jars`; name the class under `driver` if the jar does not say it",
            )
        return connection

    @contextmanager
    def connected(self) -> "Iterator[Any]":
        """A connection for a few catalogue questions; its errors are the platform's."""
        try:
            connection = self.engine()()
            try:
                yield Opened(connection)
            finally:
                virtual_machine.close(connection)
        except Exception as error:  # noqa: BLE001  # each driver has exceptions of its own; all are given a meaning
            raise self.explained(translated(error)) from None

    def test_connection(self) -> str:
        """Log in and ask the driver what it reached."""
        with self.connected() as opened:
            told = opened.java.getMetaData()
            product = f"{told.getDatabaseProductName()} {told.getDatabaseProductVersion()}"
            return f"{product} at {self.where()}, by {told.getDriverName()} {told.getDriverVersion()}"

    def relations(self, connection: Any) -> "Iterator[tuple[str | None, str]]":
        """Schema and name of every table and view."""
        for schema, table, _ in self._listed(connection):
            yield schema, table

    def _listed(self, connection: Any) -> "Iterator[tuple[str | None, str, TableKind]]":
        told = connection.java.getMetaData().getTables(connection.java.getCatalog(), None, "%", None)
        while told.next():
            kind, schema = str(told.getString("TABLE_TYPE")).upper(), told.getString("TABLE_SCHEM")
            named = None if schema is None else str(schema)
            system = "SYSTEM" in kind or (named or "").lower() in self.facts.system_schemas
            if ("TABLE" in kind or "VIEW" in kind) and not system:
                view: TableKind = "materialized_view" if "MATERIALIZED" in kind else "view"
                yield named, str(told.getString("TABLE_NAME")), view if "VIEW" in kind else "table"
        told.close()

    def catalogue(self) -> list[CatalogueTable]:
        """The same with kind, columns and key, asked table by table."""
        found, phase = [], "reading the catalogue"
        with self.connected() as connection:
            listed = list(self._listed(connection))
            for done, (schema, table, kind) in enumerate(listed):
                name = join_name(schema, table)
                report(Progress(self.facts.title, f"{phase}: {name}", fraction=done / len(listed)))
                told = self.described(connection, schema, table)
                columns = tuple(CatalogueColumn(column, words) for column, _, words in told)
                found.append(CatalogueTable(name, schema, table, kind, columns, connection.key(schema, table)))
            report(Progress(self.facts.title, phase, fraction=1.0, done=True))
        return sorted(found, key=lambda table: table.name)

    def described(self, connection: Any, schema: str | None, table: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column; [] where there is no such table."""
        name = ".".join(connection.quoted(part) for part in (schema, table) if part)
        try:
            return self._described(connection, name)
        except Exception:
            if any(table == each and schema in (None, place) for place, each in self.relations(connection)):
                raise
            return []

    def described_query(self, connection: Any, query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column of a query."""
        return self._described(connection, f"({query}) {connection.quoted('stream')}")

    def _described(self, connection: Any, origin: str) -> list[tuple[str, str | None, str]]:
        statement = connection.java.createStatement()
        try:
            return types.told(statement.executeQuery(f"SELECT * FROM {origin} WHERE 1 = 0").getMetaData())
        finally:
            statement.close()

    def reading(self, engine: Any, statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """The rows, as a loop in Java writes them."""
        try:
            connection = engine()
            try:
                rows = prepared(connection, statement, self.fetch_size)
                ways = "".join(types.way(column) for column in columns)
                reader = virtual_machine.row_texts(self._files(), rows, ways)
                return JdbcReading(
                    connection, reader, columns, lambda error: self.explained(translated(error)), self.where()
                )
            except Exception:
                virtual_machine.close(connection)
                raise
        except Exception as error:  # noqa: BLE001  # the driver's errors are given a meaning
            raise self.explained(translated(error)) from None


class Opened:
    """A connection, and how its database spells names and filters."""

    def __init__(self, connection: Any) -> None:
        self.java = connection
        mark = str(connection.getMetaData().getIdentifierQuoteString()).strip()
        self.dialect = any_dialect.dialect(mark)

    def key(self, schema: str | None, table: str) -> tuple[str, ...]:
        """The columns of a table's primary key, in its order."""
        told = self.java.getMetaData().getPrimaryKeys(self.java.getCatalog(), schema, table)
        found = []
        while told.next():
            found.append((int(told.getInt("KEY_SEQ")), str(told.getString("COLUMN_NAME"))))
        told.close()
        return tuple(name for _, name in sorted(found))

    def quoted(self, name: str) -> str:
        """The name in the database's quotes."""
        return str(self.dialect.identifier_preparer.quote(name))


def translated(error: BaseException) -> BaseException:
    """A driver's exception with its SQLSTATE; any other as it is."""
    return virtual_machine.JdbcError(error) if hasattr(error, "getMessage") else error
