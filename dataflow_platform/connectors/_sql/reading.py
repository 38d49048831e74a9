"""One run of a query by a driver, and that of most: SQLAlchemy's connection with a cursor on the server's side."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql.rows import MOST_ROWS
from dataflow_platform.connectors._sql.values import Column, batch, checked_cast, schema
from dataflow_platform.core.errors import DataflowError

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


class DriverReading(ABC):
    """A run whose errors are the platform's: ``explained`` makes them of the driver's.

    DuckDB may still read ahead in a thread of its own while the scan is closed: drivers crash where both meet.
    """

    def __init__(
        self, columns: Sequence[Column], explained: Callable[[BaseException], DataflowError], where: str
    ) -> None:
        self._columns = columns
        self._arrow = schema(columns)
        self._explained = explained
        self._where = where
        self._one_at_a_time = Lock()
        self._ended = False

    def next(self, size: int) -> "pa.RecordBatch | None":
        """The next rows as a batch; None after the last."""
        with self._one_at_a_time:
            if self._ended:
                return None
            try:
                return self._batch(size)
            except Exception as error:  # noqa: BLE001  # each driver has exceptions of its own; all are given a meaning
                self._end_once()
                raise self._explained(error) from None

    def close(self) -> None:
        """End the query and the connection. Safe to call twice."""
        if not self._ended:
            self._interrupt()
        with self._one_at_a_time:
            self._end_once()

    def _end_once(self) -> None:
        ended, self._ended = self._ended, True
        if not ended:
            self._end()

    @abstractmethod
    def _batch(self, size: int) -> "pa.RecordBatch | None":
        """The next rows by the driver."""

    @abstractmethod
    def _end(self) -> None:
        """Free what the driver holds; raises nothing."""

    def _interrupt(self) -> None:  # noqa: B027  # most drivers have no such call
        """Make a read that waits for the server return, where the driver lets another thread say so."""


class CursorReading(DriverReading):
    """The rows of a DBAPI cursor, fetched in bounded pieces."""

    def __init__(
        self,
        engine: "sa.Engine",
        statement: "sa.Select[Any]",
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        super().__init__(columns, explained, where)
        self._engine = engine
        self._connection: sa.Connection | None = None
        try:
            self._connection = engine.connect()
            self._result = self._started(self._connection, statement)
        except Exception as error:  # noqa: BLE001  # as above
            self.close()
            raise explained(error) from None

    def _started(self, connection: "sa.Connection", statement: "sa.Select[Any]") -> "sa.CursorResult[Any]":
        # What SQLAlchemy has fetched ahead is bounded as well.
        streamed = connection.execution_options(stream_results=True, max_row_buffer=MOST_ROWS)
        return streamed.execute(statement)

    def _fetched(self, size: int) -> Sequence[Any]:
        # The driver's own tuples: SQLAlchemy's Row around each would take longer than all the rest.
        rows: Sequence[Any] = self._result.cursor_strategy.fetchmany(self._result, self._result.cursor, size)
        return rows

    def _batch(self, size: int) -> "pa.RecordBatch | None":
        rows = self._fetched(size)
        return batch(rows, self._columns, self._arrow, self._where) if rows else None

    def _end(self) -> None:
        if self._connection is not None:
            # A connection that broke off complains once more while it is closed.
            with suppress(Exception):
                self._connection.close()
        self._engine.dispose()


class DeclaredReading(CursorReading):
    """The same by DECLARE and FETCH as plain statements, for servers that do not take psycopg2's form of them."""

    def _started(self, connection: "sa.Connection", statement: "sa.Select[Any]") -> "sa.CursorResult[Any]":
        compiled = statement.compile(dialect=self._engine.dialect)
        return connection.exec_driver_sql(f"DECLARE dataflow CURSOR FOR {compiled}", compiled.params)

    def _fetched(self, size: int) -> Sequence[Any]:
        assert self._connection is not None
        with self._connection.exec_driver_sql(f"FETCH {size} FROM dataflow") as result:
            return list(result.cursor.fetchall())


class BatchesReading(DriverReading):
    """Record batches as a server makes them, each cast to the types that were planned; their sizes are the server's."""

    _reader: Any

    def _batch(self, size: int) -> "pa.RecordBatch | None":
        import pyarrow as pa

        try:
            given = self._reader.read_next_batch()
        except StopIteration:
            return None
        arrays = [
            checked_cast(column, given.column(position), self._arrow.types[position], self._where)
            for position, column in enumerate(self._columns)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)
