"""The sources and destinations of the matrix. One more is one more line here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.rest_api import Stub
from tests.types.case import Origin
from tests.types.destinations import Arrival, InDuckDB, InPostgres
from tests.types.from_delta import FromDelta
from tests.types.from_duckdb import FromDuckDB
from tests.types.from_mariadb import FromMariaDB
from tests.types.from_parquet import FromParquet
from tests.types.from_postgres import FromPostgres
from tests.types.from_rest import FromRest
from tests.types.from_sqlite import FromSqlite
from tests.types.from_text_files import FromCsv, FromJson
from tests.types.lakes import InDelta, InParquet


@dataclass(frozen=True)
class Place:
    """What a source may keep its originals in."""

    folder: Path
    server: PostgresServer
    database: str
    api: Stub
    mariadb: Callable[[], MariaDBServer]
    """Skips the test where there is no such server."""


MARIADB = "MariaDB"
"""The one origin whose server need not be there."""
ORIGINS: dict[str, Callable[[Place], Origin]] = {
    "PostgreSQL": lambda place: FromPostgres(place.server, place.database),
    "DuckDB": lambda place: FromDuckDB(place.folder),
    "SQLite": lambda place: FromSqlite(place.folder),
    "Parquet": lambda place: FromParquet(place.folder),
    "CSV": lambda place: FromCsv(place.folder),
    "JSON": lambda place: FromJson(place.folder),
    "REST": lambda place: FromRest(place.api),
    "Delta": lambda place: FromDelta(place.folder),
    # The last one: its section of the page is kept where there is no server.
    MARIADB: lambda place: FromMariaDB(place.mariadb()),
}
ARRIVALS: dict[str, Callable[[Path, PostgresServer, str], Arrival]] = {
    "DuckDB": lambda folder, server, database: InDuckDB(folder),
    "PostgreSQL": lambda folder, server, database: InPostgres(server, database),
    "Delta": lambda folder, server, database: InDelta(folder),
    "Parquet dataset": lambda folder, server, database: InParquet(folder),
}


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this module's own."""
    name = request.module.__name__.rpartition(".")[2]
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
