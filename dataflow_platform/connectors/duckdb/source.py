"""A DuckDB file of others as source: attached for reading, its tables stay where they are."""

import os
import uuid
from typing import ClassVar

import duckdb
from pydantic import Field

from dataflow_platform.connectors.duckdb.destination import when_free
from dataflow_platform.connectors.duckdb.querying import in_database
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable
from dataflow_platform.core.errors import ConfigError, DataflowError, Location, did_you_mean
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.sql import literal, qualified
from dataflow_platform.core.table_or_query import TableOrQuery

_CATALOGUE = """
WITH known AS (
    SELECT schema_name, table_name, table_oid, 'table' AS kind, estimated_size AS estimated FROM duckdb_tables()
    WHERE database_name = 'source' AND NOT internal
    UNION ALL SELECT schema_name, view_name, view_oid, 'view', NULL FROM duckdb_views()
    WHERE database_name = 'source' AND NOT internal)
SELECT schema_name, table_name, kind, any_value(estimated), list(column_name ORDER BY column_index),
    list(data_type ORDER BY column_index),
    any_value((SELECT constraint_column_names FROM duckdb_constraints() k WHERE k.database_name = 'source'
        AND k.schema_name = known.schema_name AND k.table_name = known.table_name
        AND k.constraint_type = 'PRIMARY KEY'))
FROM known JOIN duckdb_columns() c USING (schema_name, table_name)
WHERE c.database_name = 'source' GROUP BY ALL ORDER BY ALL
"""


class DuckDBStream(TableOrQuery):
    """What a stream of a DuckDB file sets."""

    table: str | None = Field(
        default=None, description="`schema.table`, or `table` in schema `main`; the stream's name if absent."
    )


class DuckDBFile(Source):
    """A DuckDB database file as source, opened for reading only."""

    StreamOptions: ClassVar[type[Spec]] = DuckDBStream
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="DuckDB", family="database", evidence="real_server", evidence_note="the engine itself runs in every test"
    )

    path: str = Field(description="The database file; relative paths start at the project root.")
    wait_seconds: float = Field(
        default=60, description="How long to wait for a process that writes the file before failing."
    )

    def test_connection(self) -> str:
        """Open the file; how many tables and views it has."""
        return f"{len(self.discover())} tables in {self.path}, DuckDB {duckdb.__version__}"

    def discover(self) -> list[str]:
        """The tables and views as ``schema.table``, sorted."""
        with duckdb.connect() as connection:
            self._attach(connection, "source")
            return sorted(f"{schema}.{name}" for schema, name in _tables(connection, "source"))

    def catalogue(self) -> list[CatalogueTable]:
        """The same with kind, columns, key and the rows DuckDB estimates."""
        with duckdb.connect() as connection:
            self._attach(connection, "source")
            rows = connection.execute(_CATALOGUE).fetchall()
        return [
            CatalogueTable(
                f"{schema}.{name}", schema, name, kind,
                tuple(CatalogueColumn(*each) for each in zip(names, types, strict=True)), tuple(key or ()), estimated,
            )
            for schema, name, kind, estimated, names, types, key in rows
        ]  # fmt: skip

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """Schema and table; a query is named after its stream."""
        return (stream.name,) if _options(stream).query else self._table(stream)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The rows of a table, view or query; DuckDB itself pushes the engine's filter down to it."""
        alias = f"duckdb_{uuid.uuid4().hex[:12]}"
        # A connection of its own: ATTACH and DETACH inside the caller's transaction could abort that.
        side = connection.cursor()
        opened = [side]

        def close() -> None:
            if opened:
                opened.pop().execute(f"DETACH DATABASE IF EXISTS {alias}")
                side.close()

        try:
            self._refuse_own_file(side)
            self._attach(side, alias)
            return Scan(connection.sql(self._rows(side, alias, stream)), close=close)
        except BaseException:
            close()
            raise

    def explain(self, error: BaseException) -> DataflowError | None:
        """What an error raised while the relation was read means; None where it is none of this source."""
        return error if isinstance(error, DataflowError) else None

    def _rows(self, connection: duckdb.DuckDBPyConnection, alias: str, stream: Stream) -> str:
        """A SELECT over the attached file; a query's macros and types have to be DuckDB's own."""
        query = _options(stream).query
        if query:
            return in_database(connection, query, alias, Location(path=self.path))
        schema, table = self._table(stream)
        known = _tables(connection, alias)
        if (schema, table) not in known:
            raise ConfigError(
                "table.unknown",
                f"unknown table '{schema}.{table}'",
                where=self.path,
                fix=did_you_mean(f"{schema}.{table}", [".".join(name) for name in known], "check `table`"),
            )
        return f"SELECT * FROM {alias}.{qualified(schema, table)}"

    def _table(self, stream: Stream) -> tuple[str, str]:
        written = _options(stream).table or stream.name
        schema, dot, table = written.partition(".")
        return (schema, table) if dot else ("main", written)

    def _refuse_own_file(self, connection: duckdb.DuckDBPyConnection) -> None:
        path = os.path.realpath(resolve(self.path))
        attached = connection.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
        if path in {os.path.realpath(row[0]) for row in attached}:
            raise ConfigError(
                "duckdb.same_file",
                f"{self.path} is source and destination at once",
                where="path",
                fix="read the table by a dbt model or a Python asset of the warehouse, or load into another file",
            )

    def _attach(self, connection: duckdb.DuckDBPyConnection, alias: str) -> None:
        path = resolve(self.path)
        if not path.is_file():
            raise ConfigError("duckdb.path", f"there is no file {path}", where="path", fix="check `path`")
        # TYPE said: another kind of file would be opened by another extension, silently.
        attach = f"ATTACH {literal(str(path))} AS {alias} (TYPE duckdb, READ_ONLY)"
        when_free(path, self.wait_seconds, lambda: connection.execute(attach))


def _options(stream: Stream) -> DuckDBStream:
    return stream.options if isinstance(stream.options, DuckDBStream) else DuckDBStream()


def _tables(connection: duckdb.DuckDBPyConnection, alias: str) -> list[tuple[str, str]]:
    listed = " UNION ALL ".join(
        f"SELECT schema_name, {kind}_name FROM duckdb_{kind}s() WHERE database_name = {literal(alias)} AND NOT internal"
        for kind in ("table", "view")
    )
    return connection.execute(listed).fetchall()
