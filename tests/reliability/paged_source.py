"""A source that passes once, page by page, as an API does; it can send one page twice."""

from collections.abc import Iterator
from typing import ClassVar

import duckdb
import pyarrow as pa

from dataflow_platform.core import injection
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream


class PagedOptions(Spec):
    """Nothing to set."""


class Paged(Source):
    """Hands out an Arrow table in ``pages`` batches; the one numbered ``repeats`` (from 0) comes twice."""

    StreamOptions: ClassVar[type[Spec]] = PagedOptions
    facts: ClassVar[ConnectorFacts] = ConnectorFacts("pages of a test", "files", "own_stub", "test only")

    pages: int
    repeats: int | None = None

    _table: pa.Table | None = None

    def with_rows(self, table: pa.Table) -> "Paged":
        object.__setattr__(self, "_table", table)
        return self

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        assert self._table is not None
        table, read = self._table, [0]
        size = -(-table.num_rows // self.pages)

        def batches() -> Iterator[pa.RecordBatch]:
            for page, rows in enumerate(table.to_batches(max_chunksize=size)):
                for _ in range(2 if page == self.repeats else 1):
                    read[0] += rows.num_rows
                    yield rows
                    injection.reach("batch_read")

        reader = pa.RecordBatchReader.from_batches(table.schema, batches())
        return Scan(connection.from_arrow(reader), rows_read=lambda: read[0])

    def discover(self) -> list[str]:
        return []

    def test_connection(self) -> str:
        return "pages"
