"""One SELECT as an Arrow stream: DuckDB's scanner reads it in an engine of its own.

The scanner's attachment stays out of the destination's engine. There it would make every question about
tables and columns load the catalogue of the whole server, and fail where two tables differ in case only.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import duckdb

from dataflow_platform.connectors.mysql.connection import MySQLConnection, load_scanner
from dataflow_platform.core.sql import literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

_SERVER = "server"
_ROWS = 16_384
"""Rows of a batch: 8 of DuckDB's vectors."""


class RowStream:
    """What DuckDB scans: an object with the Arrow stream interface. Every execution asks the server anew.

    ``error`` keeps the exception that ended the reading: DuckDB hands on its text alone.
    """

    def __init__(self, server: MySQLConnection, query: str, encrypted: bool) -> None:
        """Connect and prepare ``query``, which tells its types; nothing is read. Raises DataflowErrors only."""
        self._server = server
        self._query = f"SELECT * FROM mysql_query('{_SERVER}', {literal(query)}, stream_results = true)"
        self._lock = threading.Lock()
        self._engine: duckdb.DuckDBPyConnection | None = duckdb.connect(
            config={"threads": "1", "memory_limit": "256MB", "temp_directory": ""}
        )
        self.error: Exception | None = None
        self._rows = 0
        try:
            load_scanner(self._engine)
            server.attach(self._engine, _SERVER, encrypted)
            # Every statement of the scanner begins with this zone: a timestamp is then the same everywhere.
            self._engine.execute("SET GLOBAL mysql_session_time_zone = '+00:00'")
            asked = self._engine.sql(self._query)
            nothing = ", ".join(
                f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in zip(asked.columns, asked.types, strict=True)
            )
            self._schema = self._engine.sql(f"SELECT {nothing} LIMIT 0").to_arrow_reader().schema
        except BaseException as error:
            self.close()
            if isinstance(error, duckdb.Error):
                raise server.explained(error) from None
            raise

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]

    def rows_read(self) -> int:
        """Rows handed on so far; raises the error that ended the reading, if one did."""
        if self.error:
            raise self.error
        return self._rows

    def close(self) -> None:
        """End every session on the server. Safe to call twice."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        try:
            with self._lock:
                self.error, self._rows = None, 0
                if self._engine is None:
                    raise duckdb.ConnectionException("the scan was closed")
                session = self._engine.cursor()
            with session:
                for batch in session.sql(self._query).to_arrow_reader(_ROWS):
                    self._rows += batch.num_rows
                    yield batch
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            self.error = self._server.explained(error)
            raise self.error from None
