"""Rows of a cursor as an Arrow stream that DuckDB pulls, a bounded number at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from dataflow_platform.connectors._sql.values import Column, schema

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_ROWS = 1_000
MOST_ROWS = 20_000
BATCH_BYTES = 8_000_000


class Reading(Protocol):
    """One run of the query. ``next`` is a batch of at most so many rows, None after the last."""

    def next(self, size: int) -> "pa.RecordBatch | None":
        """The next rows; raises DataflowErrors only."""

    def close(self) -> None:
        """Free cursor and connection. Safe to call twice."""


class RowStream:
    """What DuckDB scans: an object with the Arrow stream interface (``__arrow_c_stream__``).

    Every execution of the relation runs the query anew, when its first rows are pulled. ``rows_read``
    raises what ended the reading: DuckDB hands on only the text.
    """

    def __init__(self, columns: Sequence[Column], start: Callable[[], Reading]) -> None:
        self._arrow = schema(columns)
        self._start = start
        self._open: list[Reading] = []
        self.error: Exception | None = None
        self.rows = 0
        self.bytes = 0

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(self._arrow, self._batches())
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]

    def rows_read(self) -> int:
        """Rows handed on so far; raises the error that ended the reading, if one did."""
        if self.error:
            raise self.error
        return self.rows

    def close(self) -> None:
        """End every reading. Safe to call twice."""
        readings, self._open = self._open, []
        for reading in readings:
            reading.close()

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        self.error, self.rows, self.bytes = None, 0, 0
        size = FIRST_ROWS
        try:
            reading = self._start()
            self._open.append(reading)
            while (batch := reading.next(size)) is not None:
                self.rows += batch.num_rows
                self.bytes += batch.nbytes
                # Wide rows come in small batches: memory depends neither on their number nor on their width.
                size = max(1, min(MOST_ROWS, size * 4, BATCH_BYTES * self.rows // max(self.bytes, 1)))
                yield batch
        except Exception as error:
            self.error = error
            raise
        reading.close()
