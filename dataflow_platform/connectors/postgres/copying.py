"""Rows of a DuckDB query into a PostgreSQL table: binary COPY through a pipe, nothing kept in memory.

DuckDB's scanner writes the binary form, libpq sends it in the session's own transaction. The scanner
could insert rows itself, but only in a transaction of its own connection, which cannot join ours.
"""

import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb

from dataflow_platform.core import injection
from dataflow_platform.core.sql import literal, quote

_CHUNK = 1 << 18


class Feed:
    """The readable end of a pipe that DuckDB writes a query's rows into, from a thread of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, query: str) -> None:
        self.rows = 0
        self.error: BaseException | None = None
        self.told = False
        self._connection = connection
        self._reading, self._writing = os.pipe()
        with suppress(AttributeError, OSError):  # larger where the system lets us: fewer switches between the two
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, 4 * _CHUNK)
        path = literal(f"/dev/fd/{self._writing}")
        copy = f"COPY ({query}) TO {path} (FORMAT postgres_binary, USE_TMP_FILE false)"
        self._thread = threading.Thread(target=self._write, args=(copy,), daemon=True)
        self._thread.start()

    def _write(self, copy: str) -> None:
        try:
            self.rows = int(self._connection.execute(copy).fetchall()[0][0])
        except BaseException as error:  # noqa: BLE001  # handed to the reader: a thread has nobody to raise to
            self.error = error
        finally:
            os.close(self._writing)

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes; b'' after the last. An end that came of an error raises it: half a table is no table."""
        block = os.read(self._reading, size)
        if block:
            injection.reach("copy_block")
            return block
        self._thread.join()
        if self.error is not None:
            self.told = True
            raise self.error
        return block

    def close(self) -> None:
        """Stop DuckDB where it still writes, and free the pipe."""
        os.close(self._reading)
        if self._thread.is_alive():
            self._connection.interrupt()
        self._thread.join()


def copy_rows(
    connection: duckdb.DuckDBPyConnection, cursor: Any, table: str, columns: Sequence[str], query: str
) -> tuple[int, int]:
    """COPY the rows of ``query`` into ``columns`` of ``table`` (quoted); how many DuckDB sent and PostgreSQL took.

    Raises DuckDB's error where the query or a value failed, else the driver's.
    """
    names = ", ".join(quote(name) for name in columns)
    feed = Feed(connection, query)
    try:
        cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)", feed, _CHUNK)
    except BaseException as error:
        feed.close()
        # What read() raised comes back as the driver's own error: the cause is on our side of the pipe.
        if feed.told and feed.error is not None:
            raise feed.error from error
        raise
    feed.close()
    return feed.rows, int(cursor.rowcount)
