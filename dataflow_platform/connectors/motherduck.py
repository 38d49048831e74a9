"""MotherDuck: DuckDB as a service, by connection string. Nobody has run this against the service: see ``facts``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import duckdb
from pydantic import Field

from dataflow_platform.connectors.duckdb.destination import DuckDBSession
from dataflow_platform.core.base import Destination, DestinationFacts, Table
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError


class MotherDuck(Destination):
    """A MotherDuck database as destination, over the sessions of the DuckDB destination."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"token"})
    facts: ClassVar[DestinationFacts] = DestinationFacts(
        title="MotherDuck",
        family="warehouse",
        evidence="unverified",
        evidence_note="never run against the service; the session is DuckDB's, which every test runs on a local file",
        dialect="duckdb",
        identifier_limit=1024,
        load_strategies=frozenset({"append", "replace", "merge", "delta", "partition", "scd1", "scd2", "scd3"}),
        evolutions=frozenset({"add_column", "widen_type"}),
        transaction="full",
        single_writer=True,
    )

    database: str = Field(pattern="^md:", description="Connection string: `md:` and the database's name.")
    token: str | None = Field(
        default=None, repr=False, description="Access token; the variable `motherduck_token` when absent."
    )
    memory_limit: str = Field(default="512MB", description="What the local engine may hold before it spills to disk.")

    def test_connection(self) -> str:
        """Log in; the engine's version."""
        with self.reader() as connection:
            row = connection.execute("SELECT version()").fetchone()
        return f"DuckDB {row[0] if row else ''}, {self._name()}"

    def session(self) -> "MotherDuckSession":
        """Log in and begin a transaction."""
        return MotherDuckSession(self._connect())

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to read tables with; closed at the end of the block."""
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()

    def _name(self) -> str:
        # A connection string may carry the token behind a question mark.
        return self.database.partition("?")[0]

    def _connect(self) -> duckdb.DuckDBPyConnection:
        self.run_prepare()
        settings: dict[str, str | bool | int | float | list[str]] = {"memory_limit": self.memory_limit}
        if self.token:
            settings["motherduck_token"] = self.token
        try:
            connection = duckdb.connect(self.database, config=settings)
        except duckdb.Error as error:
            raise self._explained(str(error)) from None
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def _explained(self, text: str) -> DataflowError:
        for secret in (self.token, self.database.partition("?")[2]):
            text = text.replace(secret, "***") if secret else text
        line = " ".join(text.split())[:300]
        # The engine fetches the extension; without a network that is what fails.
        if "extension" in text.lower():
            return TransientError(
                "motherduck.extension",
                f"DuckDB {duckdb.__version__} cannot load its motherduck extension: {line}",
                where=self._name(),
                fix="it is fetched from extensions.duckdb.org: check the network, and the versions MotherDuck supports",
            )
        return ConfigError(
            "motherduck.open", f"cannot connect: {line}", where=self._name(), fix="check the database and the token"
        )


class MotherDuckSession(DuckDBSession):
    """DuckDB's session. The service has many writers: staging tables of other sessions are left alone."""

    def fill(self, staged: Table, query: str) -> None:
        """The rows go to the service by INSERT; MERGE was not tried there."""
        self.append(staged, query)

    def _drop_staging(self, there: Sequence[Table], unwanted: Callable[[str], bool]) -> None:
        super()._drop_staging(there, lambda name: name.endswith(self._suffix) and unwanted(name))
