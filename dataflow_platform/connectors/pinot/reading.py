"""One result of a broker, page by page: run once, kept by the broker, taken away at the end."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dataflow_platform.connectors._sql.reading import DriverReading
from dataflow_platform.connectors._sql.rows import FIRST_ROWS
from dataflow_platform.connectors._sql.values import Column, array, refused
from dataflow_platform.connectors.pinot.answers import refuse_partial
from dataflow_platform.connectors.pinot.http_interface import HttpInterface
from dataflow_platform.core.errors import DataflowError, TransientError

if TYPE_CHECKING:
    import pyarrow as pa

_NO_NUMBERS = {name: float(name) for name in ("NaN", "Infinity", "-Infinity")}
"""JSON has no such numbers: the broker writes them as texts."""


class PagedReading(DriverReading):
    """The rows of one SELECT. ``at_least``: how many the broker counted just before; ``limit``: what was asked for."""

    def __init__(
        self,
        broker: HttpInterface,
        body: Mapping[str, Any],
        at_least: int,
        limit: int,
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
    ) -> None:
        super().__init__(columns, explained, broker.where)
        self._broker = broker
        self._offset = 0
        answer = broker.asked("POST", f"/query/sql?getCursor=true&numRows={FIRST_ROWS}", body)
        self._path = f"/responseStore/{quote(str(answer.get('requestId', '')), safe='')}"
        self._owner = _owner(answer)
        self._total: int = answer.get("numRowsResultSet", 0)
        self._first: Mapping[str, Any] | None = answer
        try:
            self._refuse_incomplete(answer, at_least, limit)
        except DataflowError:
            self._end()
            raise

    def _refuse_incomplete(self, answer: Mapping[str, Any], at_least: int, limit: int) -> None:
        refuse_partial(answer, self._where)
        if self._owner is None:
            raise self._lost("the broker keeps no result: it knows no cursors, which came with Pinot 1.3")
        if not at_least <= self._total < limit:
            raise self._lost(f"the result has {self._total} rows, where {at_least} were counted just before")

    def _batch(self, size: int) -> "pa.RecordBatch | None":
        import pyarrow as pa

        if self._offset >= self._total:
            return None
        rows = self._page(size)
        self._offset += len(rows)
        arrays = [
            _array(values, column, target, self._where)
            for values, column, target in zip(zip(*rows, strict=True), self._columns, self._arrow.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _page(self, size: int) -> list[list[Any]]:
        answer, self._first = self._first, None
        if answer is None:
            answer = self._broker.asked("GET", f"{self._path}/results?offset={self._offset}&numRows={size}")
        if answer is None:
            raise self._lost(
                f"the result is gone after {self._offset} of {self._total} rows: it expired, or another broker answered"
            )
        refuse_partial(answer, self._where)
        rows: list[list[Any]] = (answer.get("resultTable") or {}).get("rows") or []
        same = (answer.get("offset", 0), answer.get("numRowsResultSet"), _owner(answer))
        if same != (self._offset, self._total, self._owner) or not rows or self._offset + len(rows) > self._total:
            raise self._lost(f"the page at row {self._offset} of {self._total} is not of this result")
        return rows

    def _lost(self, what: str) -> TransientError:
        return TransientError(
            "pinot.result",
            what,
            where=self._where,
            fix="run it again; `host` has to be one broker, no balancer before several, and the broker has to keep "
            "results long enough (pinot.broker.cursor.response.store.expiration)",
        )

    def _end(self) -> None:
        # Taking it away may not be allowed; the broker does it by itself after some time.
        with suppress(DataflowError):
            self._broker.asked("DELETE", self._path)
        self._broker.close()


def _owner(answer: Mapping[str, Any]) -> tuple[str, int] | None:
    host, port = answer.get("brokerHost"), answer.get("brokerPort")
    return None if host is None or port is None else (host, port)


def _array(values: Sequence[Any], column: Column, target: "pa.DataType", where: str) -> "pa.Array[Any]":
    import pyarrow as pa

    try:
        if column.declared == "timestamp" and column.kind == "TIMESTAMPTZ":
            return pa.array(values, pa.int64()).cast(pa.timestamp("ms", "UTC")).cast(target)
        if column.kind == "BLOB":
            values = [None if value is None else bytes.fromhex(value) for value in values]
    except (ValueError, TypeError, ArithmeticError):
        raise refused(values, column, target, where) from None
    if column.kind in ("FLOAT", "DOUBLE"):
        values = [_NO_NUMBERS.get(value, value) if isinstance(value, str) else value for value in values]
    return array(values, column, target, where)
