"""One run of a query by JDBC: rows as texts in Arrow's buffers, each column cast to its type."""

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql import any_dialect
from dataflow_platform.connectors._sql.reading import DriverReading
from dataflow_platform.connectors._sql.rows import BATCH_BYTES
from dataflow_platform.connectors._sql.values import Column, array, checked_cast
from dataflow_platform.connectors.jdbc import virtual_machine
from dataflow_platform.connectors.jdbc.virtual_machine import java
from dataflow_platform.core.errors import DataflowError

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa


def prepared(connection: Any, statement: "sa.Select[Any]", fetch_size: int) -> Any:
    """The result of the statement, fetched from the server a bounded number of rows at a time."""
    mark = str(connection.getMetaData().getIdentifierQuoteString()).strip()
    compiled = statement.compile(dialect=any_dialect.dialect(mark))
    with suppress(Exception):  # a hint; not every driver takes it
        connection.setReadOnly(True)
    connection.setAutoCommit(False)  # some drivers stream only inside of a transaction
    asked = connection.prepareStatement(str(compiled))
    asked.setFetchSize(fetch_size)
    for place, name in enumerate(compiled.positiontup or (), 1):
        _bind(asked, place, compiled.params[name])
    return asked.executeQuery()


def _bind(asked: Any, place: int, value: Any) -> None:
    if isinstance(value, int):
        asked.setLong(place, value)
    elif isinstance(value, float):
        asked.setDouble(place, value)
    elif isinstance(value, Decimal):
        asked.setBigDecimal(place, java("java.math.BigDecimal")(f"{value:f}"))
    elif isinstance(value, dt.datetime):
        asked.setTimestamp(place, java("java.sql.Timestamp").valueOf(value.isoformat(" ", "microseconds")))
    else:
        asked.setDate(place, java("java.sql.Date").valueOf(value.isoformat()))


class JdbcReading(DriverReading):
    """The rows of a result. ``explained`` turns the driver's errors into the platform's."""

    def __init__(
        self,
        connection: Any,
        reader: Any,
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        super().__init__(columns, explained, where)
        self._connection = connection
        self._reader = reader

    def _batch(self, size: int) -> "pa.RecordBatch | None":
        import pyarrow as pa

        read = int(self._reader.next(size, BATCH_BYTES))
        if not read:
            return None
        arrays = [
            self._array(column, self._texts(position, read), target)
            for position, (column, target) in enumerate(zip(self._columns, self._arrow.types, strict=True))
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _array(self, column: Column, texts: "pa.Array[Any]", target: "pa.DataType") -> "pa.Array[Any]":
        if column.kind == "TIME":  # Arrow reads those with all six digits only
            return array(texts.to_pylist(), column, target, self._where)
        return checked_cast(column, texts, target, self._where)

    def _texts(self, position: int, read: int) -> "pa.Array[Any]":
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = self._columns[position].kind
        parts = (self._reader.valid, self._reader.offsets, self._reader.bytes)
        buffers: list[Any] = [pa.py_buffer(bytes(part(position))) for part in parts]
        texts = pa.Array.from_buffers(pa.binary() if kind == "BLOB" else pa.string(), read, buffers)
        if kind in ("TIMESTAMP", "TIMESTAMPTZ"):
            # More than six digits are read where the rest are zeros.
            return pc.replace_substring_regex(texts, r"(\.\d{6})0+", r"\1")
        return texts

    def _end(self) -> None:
        # Statement and result end with it.
        virtual_machine.close(self._connection)
