"""The MySQL source: connect, describe, and hand DuckDB a relation.

The rows of a scan come from one SELECT over one connection, streamed as the engine takes them. That one
statement is the snapshot: on InnoDB it sees what was committed when it began, and nothing later. A second
execution of the relation would be a second statement: the rows count as streaming past once.
"""

from typing import ClassVar

import duckdb
from pydantic import Field

from dataflow_platform.connectors.mysql.catalogue import TABLES, catalogue, table_definition
from dataflow_platform.connectors.mysql.columns import COLUMNS, SourceColumn, source_column
from dataflow_platform.connectors.mysql.connection import Ask, MySQLConnection
from dataflow_platform.connectors.mysql.dialect import DIALECT, ticked
from dataflow_platform.connectors.mysql.querying import query_columns
from dataflow_platform.connectors.mysql.reading import RowStream
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import ConfigError, DataflowError, did_you_mean, nearest
from dataflow_platform.core.server_filter import condition, find, wanted
from dataflow_platform.core.table_or_query import TableOrQuery, as_table

# A server may be told to cut every SELECT that names no limit.
_ALL_ROWS = " LIMIT 18446744073709551615"
_DENIED = (1142, 1143, 1044)
_NO_TABLE = 1146


class MySQLStream(TableOrQuery):
    """What a stream of a MySQL source sets."""

    table: str | None = Field(
        default=None, description="`database.table`, or `table` in the connection's; the stream's name if absent."
    )
    as_text: tuple[str, ...] = Field(
        default=(),
        description="Columns to read as text, for values DuckDB cannot hold (the date 0000-00-00); binary ones as "
        "hexadecimal digits.",
    )


class MySQL(MySQLConnection, Source):
    """MySQL and MariaDB: a table, a view or a query is a stream."""

    StreamOptions: ClassVar[type[Spec]] = MySQLStream
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="MySQL and MariaDB",
        family="database",
        evidence="real_server",
        evidence_note="MariaDB 10.11 of Debian, started by the tests, with and without TLS; MySQL 8, Aurora, TiDB and "
        "other relatives were not tried",
        extra="mysql",
    )

    def test_connection(self) -> str:
        """Log in and count what can be read; the error's code says which step failed."""
        self.knock()
        with self.asking() as ask:
            version, comment = ask("SELECT VERSION(), @@version_comment")[0]
            tables = ask(f"SELECT COUNT(*) FROM ({TABLES}) readable")[0][0]
            secured = "TLS" if _encrypted(ask) else "no TLS"
        product = "MariaDB" if "mariadb" in f"{version} {comment}".lower() else "MySQL"
        place = f"{self.host}:{self.port}, database {self.database} as {self.user}, {secured}"
        return f"{product} {version.split('-')[0]} at {place}: {tables} readable tables"

    def discover(self) -> list[str]:
        """The readable tables and views as ``database.table``, sorted."""
        with self.asking() as ask:
            return sorted(f"{schema}.{table}" for schema, table in ask(TABLES))

    def catalogue(self) -> list[CatalogueTable]:
        """The same with kind, columns, key and the rows the storage engine guesses."""
        with self.asking() as ask:
            return catalogue(ask)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """Database and table; a query is named after its stream."""
        return (stream.name,) if _options(stream).query else self._table(stream)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """A relation over the table, view or query; the server's session lives until ``close``."""
        options = _options(stream)
        with self.asking() as ask:
            if options.query:
                name, columns = as_table(options.query), query_columns(self, ask, options.query, options.as_text)
            else:
                schema, table, columns = self._describe(ask, *self._table(stream), stream)
                name = f"{ticked(schema)}.{ticked(table)}"
            encrypted = _encrypted(ask)
        where = condition(DIALECT, columns, stream, state, self.where())
        columns = wanted(columns, stream)
        expressions = ", ".join(sql for column in columns for sql in column.sql)
        asked = f"SELECT {expressions} FROM {name}{where}{_ALL_ROWS}"
        rows = RowStream(self, asked, encrypted)
        try:
            relation = connection.from_arrow(rows).project(", ".join(column.cast for column in columns))
        except BaseException:
            rows.close()
            raise
        return Scan(relation, rows_read=rows.rows_read, close=rows.close, streams=True)

    def explain(self, error: BaseException) -> DataflowError | None:
        """What an error raised while the relation was read means; None where it is none of this source."""
        return self.meant(error)

    def _table(self, stream: Stream) -> tuple[str, str]:
        written = _options(stream).table or stream.name
        schema, dot, table = written.partition(".")
        return (schema, table) if dot else (self.database, written)

    def _describe(self, ask: Ask, schema: str, table: str, stream: Stream) -> tuple[str, str, list[SourceColumn]]:
        """The table's own spelling and its columns; ConfigError where it is not there or not readable."""
        rows = ask(COLUMNS, schema, table)
        # A server on a file system without cases answers to every spelling; else the spelling tells tables apart.
        spelled = {(row[0], row[1]) for row in rows}
        if len(spelled) == 1 and ask("SELECT @@lower_case_table_names")[0][0]:
            ((schema, table),) = spelled
        rows = [row for row in rows if (row[0], row[1]) == (schema, table)]
        self._require_readable(ask, schema, table)
        if not rows:
            raise ConfigError(
                "mysql.permission",
                f"the server's catalogue tells user '{self.user}' no column of {schema}.{table}",
                where=self.where(),
                fix=f"where the view calls functions: GRANT EXECUTE ON them TO {ticked(self.user)};",
            )
        as_text = _options(stream).as_text
        definition = table_definition(ask, schema, table)
        columns = [
            source_column(row[2:], position, as_text, definition, self.where()) for position, row in enumerate(rows)
        ]
        for name in as_text:
            find(columns, name, self.where())
        return schema, table, columns

    def _require_readable(self, ask: Ask, schema: str, table: str) -> None:
        """The catalogue hides what an account may not read: columns would be missing without a word."""
        import pymysql

        name, ticks = f"{schema}.{table}", f"{ticked(schema)}.{ticked(table)}"
        try:
            ask("PREPARE dataflow FROM %s", f"SELECT * FROM {ticks}")
        except pymysql.Error as error:
            if error.args[0] == _NO_TABLE:
                raise ConfigError(
                    "table.unknown",
                    f"unknown table '{name}'",
                    where=self.where(),
                    fix=did_you_mean(name, self.discover(), "dataflow connections discover"),
                ) from None
            if error.args[0] not in _DENIED:
                raise
            # The server says the same of a table that is not there where the account has rights to some only.
            near = nearest(name, self.discover())
            raise ConfigError(
                "mysql.permission",
                f"user '{self.user}' may not read all of {name}, or there is no such table: {error.args[1]}",
                where=self.where(),
                fix=(f"did you mean '{near}'? Else " if near and near != name else "")
                + f"GRANT SELECT ON {ticks} TO {ticked(self.user)};",
            ) from None


def _options(stream: Stream) -> MySQLStream:
    return stream.options if isinstance(stream.options, MySQLStream) else MySQLStream()


def _encrypted(ask: Ask) -> bool:
    return bool(ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])
