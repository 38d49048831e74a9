"""Pages to an Arrow stream DuckDB pulls: fetched on an event loop of their own, one page ahead of the reader."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, TypeVar

from dataflow_platform.connectors.rest.batches import Field, InexactError, Row, batch, schema
from dataflow_platform.connectors.rest.overflow import fitted
from dataflow_platform.connectors.rest.reading import Pages
from dataflow_platform.connectors.rest.walk import Page
from dataflow_platform.core import injection
from dataflow_platform.core.errors import TransientError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


class Prefetch:
    """The pages of a walk. While one is worked on the next is fetched, and no more than that one.

    The loop has a thread of its own: DuckDB pulls from its worker threads, which only ever wait on a
    future (and so let go of the interpreter lock).
    """

    def __init__(self, walk: Pages) -> None:
        self._walk = walk
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._coming: Future[Page | None] | None = None
        self._closed = False

    def take(self) -> Page | None:
        """The next page, or None after the last; waits for it. TransientError ``rest.closed`` once closed."""
        with self._lock:
            coming = self._coming = self._coming or self._submit(self._walk.next())
        try:
            page = coming.result()
        except CancelledError:
            raise _closed() from None
        with self._lock:
            if not self._closed:
                self._coming = self._submit(self._walk.next()) if page else coming
        return page

    def _submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        if self._closed:
            work.close()
            raise _closed()
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="rest-reader", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Give up what is being fetched and end the thread. Safe to call twice."""
        with self._lock:
            already, self._closed = self._closed, True
        if already or self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._walk.close()


def _closed() -> TransientError:
    return TransientError("rest.closed", "the scan was closed while it was read", fix="run the load again")


PAGE = "_dataflow_page"
"""The column, behind the others, that holds the number of the page, from 1."""


class PageStream:
    """What DuckDB scans: an object with the Arrow stream interface (``__arrow_c_stream__``).

    A plain RecordBatchReader would be simpler, but DuckDB reads one a second time as an empty table
    without a word. Here every execution of the relation that pulls rows starts a walk of its own.
    ``error`` keeps the exception that ended the reading: DuckDB only hands on its text.
    """

    def __init__(
        self,
        start: Callable[[], Prefetch],
        fields: Sequence[Field],
        first: Prefetch | None,
        sample: Sequence[Page],
        overflow: str | None = None,
    ) -> None:
        self._start = start
        self._fields = fields
        self._arrow = schema(fields)
        self._overflow = overflow
        self._lock = threading.Lock()
        self._first = (first, list(sample)) if first else None
        self._open: list[Prefetch] = [first] if first else []
        self.error: Exception | None = None
        self.rows = 0
        self.bytes = 0

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        arrow = self._arrow.append(pa.field(PAGE, pa.int32()))
        reader = pa.RecordBatchReader.from_batches(arrow, self._batches())
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]

    def rows_read(self) -> int:
        """Rows handed on so far; raises the error that ended the reading, if one did."""
        if self.error:
            raise self.error
        return self.rows

    def close(self) -> None:
        """End every walk. Safe to call twice."""
        with self._lock:
            walks, self._open = self._open, []
        for walk in walks:
            walk.close()

    def _begin(self) -> tuple[Prefetch, list[Page]]:
        with self._lock:
            self.error, self.rows, self.bytes = None, 0, 0
            begun, self._first = self._first, None
            if begun is None:
                begun = self._start(), []
                self._open.append(begun[0])
        return begun

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        try:
            pages, sample = self._begin()
            while page := sample.pop(0) if sample else pages.take():
                self.bytes += page.size
                self.rows += len(page.rows)
                yield _numbered(self._batch(page), page.number)
                injection.reach("batch_read")
        except Exception as error:
            self.error = error
            raise
        pages.close()

    def _batch(self, page: Page) -> "pa.RecordBatch":
        try:
            return batch(self._fitted(page.rows), self._fields, self._arrow, page.where)
        except InexactError:
            return batch(self._fitted(page.exact()), self._fields, self._arrow, page.where)

    def _fitted(self, rows: Sequence[Row]) -> Sequence[Row]:
        return fitted(rows, self._fields, self._overflow) if self._overflow else rows


def _numbered(rows: "pa.RecordBatch", number: int) -> "pa.RecordBatch":
    import pyarrow as pa

    return rows.append_column(PAGE, pa.repeat(pa.scalar(number, pa.int32()), rows.num_rows))
