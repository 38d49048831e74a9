"""The destinations of a campaign, set up and torn down."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import PostgresServer
from tests.reliability.rounds import Arena
from tests.reliability.warehouses import DuckDBFiles, LakeFolders, PostgresDatabases

DESTINATIONS = ("duckdb", "postgres", "delta")


@contextmanager
def opened() -> Iterator[Arena]:
    """An arena with a PostgreSQL server and a folder of its own; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-torture-"))
    folder.chmod(0o755)
    server = PostgresServer(
        folder / "postgres", free_ports(1)[0], "torture", folder / "server.log", ("fsync=off", "max_connections=50")
    )
    for part in ("files", "delta", "spill", "projects"):
        (folder / part).mkdir()
    try:
        process = server.start()
        try:
            yield Arena(
                {
                    "duckdb": DuckDBFiles(folder / "files"),
                    "postgres": PostgresDatabases(server, folder / "spill"),
                    "delta": LakeFolders(folder / "delta", "delta"),
                },
                folder / "projects",
            )
        finally:
            server.stop(process)
    finally:
        shutil.rmtree(folder)
