"""One run of a query: SQLAlchemy's connection with a cursor on the server's side, fetched in bounded pieces."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql.rows import MOST_ROWS
from dataflow_platform.connectors._sql.values import Column, batch, schema
from dataflow_platform.core.errors import DataflowError

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


class CursorReading:
    """The rows of a DBAPI cursor. ``explained`` turns its errors into the platform's."""

    def __init__(
        self,
        engine: "sa.Engine",
        statement: "sa.Select[Any]",
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        self._columns = columns
        self._arrow = schema(columns)
        self._explained = explained
        self._where = where
        self._engine = engine
        self._connection: sa.Connection | None = None
        with self._speaking():
            connection = engine.connect()
            self._connection = connection
            self._result = self._started(connection, statement)

    def _started(self, connection: "sa.Connection", statement: "sa.Select[Any]") -> "sa.CursorResult[Any]":
        # What SQLAlchemy has fetched ahead is bounded as well.
        streamed = connection.execution_options(stream_results=True, max_row_buffer=MOST_ROWS)
        return streamed.execute(statement)

    def _fetched(self, size: int) -> Sequence[Any]:
        # The driver's own tuples: SQLAlchemy's Row around each would take longer than all the rest.
        rows: Sequence[Any] = self._result.cursor_strategy.fetchmany(self._result, self._result.cursor, size)
        return rows

    def next(self, size: int) -> "pa.RecordBatch | None":
        """The next rows as a batch; None after the last."""
        with self._speaking():
            rows = self._fetched(size)
        return batch(rows, self._columns, self._arrow, self._where) if rows else None

    def close(self) -> None:
        """Close cursor and connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that broke off complains once more while it is closed.
            with suppress(Exception):
                connection.close()
            self._engine.dispose()

    def _speaking(self) -> "_Speaking":
        return _Speaking(self)


class DeclaredReading(CursorReading):
    """The same by DECLARE and FETCH as plain statements, for servers that do not take psycopg2's form of them."""

    def _started(self, connection: "sa.Connection", statement: "sa.Select[Any]") -> "sa.CursorResult[Any]":
        compiled = statement.compile(dialect=self._engine.dialect)
        return connection.exec_driver_sql(f"DECLARE dataflow CURSOR FOR {compiled}", compiled.params)

    def _fetched(self, size: int) -> Sequence[Any]:
        assert self._connection is not None
        with self._connection.exec_driver_sql(f"FETCH {size} FROM dataflow") as result:
            return list(result.cursor.fetchall())


class _Speaking:
    """Errors inside the block are the platform's, and end the reading."""

    def __init__(self, reading: CursorReading) -> None:
        self._reading = reading

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            self._reading.close()
            raise self._reading._explained(error) from None
