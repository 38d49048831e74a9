"""The sources and destinations of the matrix. One more is one more line here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataflow_platform.demo.postgres import PostgresServer
from tests.types.case import Origin
from tests.types.destinations import Arrival, InDuckDB, InPostgres
from tests.types.from_duckdb import FromDuckDB
from tests.types.from_parquet import FromParquet
from tests.types.from_postgres import FromPostgres
from tests.types.from_sqlite import FromSqlite
from tests.types.from_text_files import FromCsv, FromJson

ORIGINS: dict[str, Callable[[Path, PostgresServer, str], Origin]] = {
    "PostgreSQL": lambda folder, server, database: FromPostgres(server, database),
    "DuckDB": lambda folder, server, database: FromDuckDB(folder),
    "SQLite": lambda folder, server, database: FromSqlite(folder),
    "Parquet": lambda folder, server, database: FromParquet(folder),
    "CSV": lambda folder, server, database: FromCsv(folder),
    "JSON": lambda folder, server, database: FromJson(folder),
}
ARRIVALS: dict[str, Callable[[Path, PostgresServer, str], Arrival]] = {
    "DuckDB": lambda folder, server, database: InDuckDB(folder),
    "PostgreSQL": lambda folder, server, database: InPostgres(server, database),
}


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this module's own."""
    name = request.module.__name__.rpartition(".")[2]
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
