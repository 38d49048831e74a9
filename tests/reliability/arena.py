"""The destinations of a campaign, set up and torn down."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import PostgresServer
from tests.reliability.rounds import Arena
from tests.reliability.warehouses import DuckDBFiles, Kind, LakeFolders, PostgresDatabases

DESTINATIONS = ("duckdb", "postgres", "delta", "parquet_dataset")


@contextmanager
def opened() -> Iterator[Arena]:
    """An arena with a PostgreSQL server and a folder of its own; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-torture-"))
    folder.chmod(0o755)
    server = PostgresServer(
        folder / "server", free_ports(1)[0], "torture", folder / "server.log", ("fsync=off", "max_connections=50")
    )
    try:
        process = server.start()
        try:
            yield arena(folder, server)
        finally:
            server.stop(process)
    finally:
        shutil.rmtree(folder)


def arena(folder: Path, server: PostgresServer) -> Arena:
    """An arena of every kind of destination, with their files below ``folder``."""
    (folder / "projects").mkdir()
    return Arena(kinds(folder, server), folder / "projects")


def kinds(folder: Path, server: PostgresServer) -> dict[str, Kind]:
    """The kinds of destinations by name, with their files below ``folder``."""
    for name in ("duckdb", "delta", "parquet_dataset", "spill"):
        (folder / name).mkdir()
    return {
        "duckdb": DuckDBFiles(folder / "duckdb"),
        "postgres": PostgresDatabases(server, folder / "spill"),
        **{name: LakeFolders(folder / name, name) for name in ("delta", "parquet_dataset")},
    }
