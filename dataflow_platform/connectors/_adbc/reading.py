"""One run of a query by an ADBC driver."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from dataflow_platform.connectors._sql.reading import BatchesReading
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core.errors import DataflowError


class AdbcReading(BatchesReading):
    """The record batches of one result."""

    def __init__(
        self,
        connection: Any,
        text: str,
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        super().__init__(columns, explained, where)
        self._connection = connection
        self._cursor = connection.cursor()
        self._cursor.execute(text)
        self._reader = self._cursor.fetch_record_batch()

    def _interrupt(self) -> None:
        with suppress(Exception):
            self._cursor.adbc_cancel()

    def _end(self) -> None:
        for step in (self._reader.close, self._cursor.close, self._connection.close):
            with suppress(Exception):
                step()
