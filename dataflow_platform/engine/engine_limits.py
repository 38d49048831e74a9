"""How much of the engine one statement over whole tables may use: threads that have work, memory that is of use."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

from dataflow_platform.core.base import Session

_A_COLUMN = 1_000_000
"""Bytes of memory for each column and thread. DuckDB 1.5 cannot write a table with less than about 0.6 million: 8
threads could not write 100 columns within 512 MB, 5 could."""
_BESIDE = 64_000_000
_SMALLER = {"M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
"""The engine tells its limit in tenths, cut off at the next smaller unit: one of those less is told as a tenth less."""


@contextmanager
def bounded(session: Session, columns: int, legs: int | None = None, frugal: bool = False) -> Iterator[None]:
    """Threads, for a statement that writes or reads ``columns`` of many rows: no more than memory allows, or ``legs``.

    ``frugal``: the statement keeps no rows, so memory for what it has in hand is enough; what the engine is given
    beyond that it fills with pages it may never read again.
    """
    # A connection of its own: the settings are the engine's, and have to come back after an aborted transaction too.
    with session.connection.cursor() as settings:
        threads, told, limit = settings.execute(
            "SELECT current_setting('threads'), text, parse_formatted_bytes(text) "
            "FROM (SELECT current_setting('memory_limit') AS text)"
        ).fetchall()[0]
        # A caller's thread without work asks for some without a pause. Seen with 6 million rows of PostgreSQL by one
        # query: 17.2 CPU seconds with two threads, 8.4 with one.
        fewer = max(1, min(threads, legs or threads, limit // (columns * _A_COLUMN)))
        enough = 2 * fewer * columns * _A_COLUMN + _BESIDE
        restore = [f"SET threads = {threads}"]
        settings.execute(f"SET threads = {fewer}")
        if frugal and enough < limit:
            with suppress(duckdb.Error):  # it cannot let go of what it holds: then it keeps its limit
                settings.execute(f"SET memory_limit = '{enough}B'")
                restore.append(f"SET memory_limit = '{limit + _SMALLER.get(told[-3], 1)}B'")
        try:
            yield
        finally:
            settings.execute("; ".join(restore))
