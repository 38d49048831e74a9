"""A connection to a PostgreSQL server: the fields both roles share, and the ways to open it."""

from contextlib import closing
from typing import Any, ClassVar, Literal

import duckdb
from pydantic import Field

from dataflow_platform.connectors.postgres.meanings import meaning
from dataflow_platform.core.base import Connector
from dataflow_platform.core.duckdb_extension import load_extension
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.sql import literal

# The text of ranges and composites must not depend on the server's settings.
_SESSION = "-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=postgres -c standard_conforming_strings=on"
_CONNECT_SECONDS = 10


class PostgresConnection(Connector):
    """How a server is reached, for reading and for loading."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"password"})

    host: str = Field(description="Name or address of the server.")
    port: int = Field(default=5432, description="TCP port of the server.")
    database: str = Field(description="Database to connect to.")
    user: str = Field(
        description="Role to log in as. To read it needs CONNECT, USAGE and SELECT; to load, CREATE on the database "
        "or on schemas that exist."
    )
    password: str = Field(default="", repr=False, description="Password of the role.")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="How much encryption is asked for, in libpq's words."
    )
    application_name: str = Field(default="dataflow", description="Name shown in the server's pg_stat_activity.")

    def settings(self) -> str:
        """The settings every session begins with, as libpq's ``options``."""
        return _SESSION

    def connect(self, options: str = "") -> Any:
        """A psycopg2 connection; ``options`` are further settings of the session. Raises the driver's errors."""
        import psycopg2

        return psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=self.user,
            password=self.password,
            sslmode=self.sslmode,
            application_name=self.application_name,
            client_encoding="UTF8",
            connect_timeout=_CONNECT_SECONDS,
            # A load may leave the connection silent for long: routers forget silent ones.
            keepalives_idle=30,
            options=f"{self.settings()} {options}",
        )

    def ask(self, question: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one catalogue question, over a connection of its own."""
        import psycopg2

        self.run_prepare()
        try:
            connection = self.connect()
            with closing(connection), connection.cursor() as cursor:
                connection.set_session(readonly=True, autocommit=True)
                cursor.execute(question, parameters or None)
                return list(cursor.fetchall())
        except psycopg2.Error as error:
            raise self.explained(error) from None

    def attach(self, connection: duckdb.DuckDBPyConnection, alias: str) -> None:
        """Attach the database. The password is a bound value, never SQL text; its secret is gone on return."""
        words = {
            "sslmode": self.sslmode,
            "application_name": self.application_name,
            "options": self.settings(),
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

    def meant(self, error: BaseException) -> DataflowError | None:
        """What an error of the driver or the engine means; None where it is none of this server."""
        if isinstance(error, DataflowError):
            return error
        return meaning(
            self.scrubbed(str(error)),
            getattr(error, "pgcode", None),
            where=self.where(),
            host=self.host,
            port=self.port,
            user=self.user,
            database=self.database,
        )

    def explained(self, error: BaseException) -> DataflowError:
        """The same, with words for what is not known."""
        return self.meant(error) or ConfigError(
            "postgres.failed",
            self.scrubbed(str(error)).strip()[:500],
            where=self.where(),
            fix="look into the server's log for the same minute",
        )

    def where(self) -> Location:
        """The server and database, as errors name them."""
        return Location(path=f"postgresql://{self.host}:{self.port}/{self.database}")

    def scrubbed(self, text: str) -> str:
        """``text`` without the password, also as SQL and libpq quote it."""
        written = {self.password, literal(self.password)[1:-1], _libpq(self.password)[1:-1]} - {""}
        for secret in sorted(written, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _libpq(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def load_scanner(connection: duckdb.DuckDBPyConnection) -> str:
    """Make DuckDB speak to the server; which way the scanner came. ConfigError ``postgres.scanner`` where none did."""
    return load_extension(connection, "postgres_scanner", "postgres", "postgres.scanner")
