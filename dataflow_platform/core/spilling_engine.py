"""A DuckDB in memory that spills: the engine of sessions whose destination is no DuckDB."""

import os
import re
import socket
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb


def spilling_engine(
    system: str, memory_limit: str, threads: int | None, spill_folder: str
) -> "duckdb.DuckDBPyConnection":
    """An empty DuckDB that spills into a folder of its own below ``spill_folder`` (the system's temporary one).

    ``system`` is the first part of the error's code.
    """
    import duckdb

    folder = Path(spill_folder or tempfile.gettempdir())
    mine = f"dataflow-spill-{socket.gethostname()}-{os.getpid()}"
    _sweep(folder)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "preserve_insertion_order": "false",
        # Invariant 4, bounded memory: what does not fit is spilled, never held beyond the limit.
        "temp_directory": str(folder / f"{mine}-{uuid.uuid4().hex[:8]}"),
    }
    if threads:
        settings["threads"] = str(threads)
    try:
        connection = duckdb.connect(":memory:", config=settings)
    except duckdb.Error as error:
        raise ConfigError(
            f"{system}.engine",
            f"the engine does not start: {str(error).splitlines()[0]}",
            where="memory_limit",
            fix="check memory_limit, threads and spill_folder",
        ) from error
    connection.execute("SET TimeZone = 'UTC'")
    only_tables(connection)
    return connection


def only_tables(connection: "duckdb.DuckDBPyConnection") -> None:
    """A name in SQL is a table, a view or an error: never a variable of the Python code that runs the SQL."""
    connection.execute("SET python_enable_replacements = false")


def _sweep(folder: Path) -> None:
    """Remove what killed processes of this machine left: DuckDB itself cleans up after those that end."""
    for left in folder.glob(f"dataflow-spill-{socket.gethostname()}-*-*"):
        owner = re.fullmatch(r".*-(\d+)-[0-9a-f]{8}", left.name)
        if owner and not _runs(int(owner[1])):
            rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    with suppress(PermissionError):  # somebody else's, but it runs
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
