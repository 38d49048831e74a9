"""Records on their way: held in a file of Arrow batches until they are loaded, so that memory stays bounded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb

from dataflow_platform.connectors._protocol.kinds import Field, fields_of
from dataflow_platform.connectors._protocol.values import Row, batch, schema
from dataflow_platform.core import injection
from dataflow_platform.core.base import (
    Column,
    ConnectorFacts,
    Rows,
    Scan,
    Source,
    Spec,
    State,
    Stream,
    Tables,
    Transformation,
)
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    pass

ORDER = "_dataflow_order"
"""The column, behind the others, that says in which order a stream's records came."""
_ROWS, _BYTES = 10_000, 8 << 20


class Spool:
    """The records of one stream under one schema: some as they came, the others in a file."""

    def __init__(self, stream: str, declared: Mapping[str, Any], key: Sequence[str], file: Path) -> None:
        self.stream = stream
        self.declared = declared
        self.key = tuple(key)
        self.fields = fields_of("target", stream, declared, {})
        self.file = file
        self.rows = 0
        self._held: list[Row] = []
        self._bytes = 0
        self._writer: Any = None
        missing = [name for name in self.key if name not in {field.name for field in self.fields}]
        if missing:
            raise DataError(
                "target.key", f"the schema of '{stream}' lacks its key property '{missing[0]}'",
                where=f"stream {stream}", fix="report it to the tap's makers",
            )  # fmt: skip
        self.arrow = schema([*self.fields, Field(ORDER, "BIGINT")])

    def add(self, record: Row, size: int) -> None:
        """Hold one record, a message of ``size`` bytes; DataError where it lacks a part of the key."""
        for name in self.key:
            if name not in record:
                raise DataError(
                    "target.key_missing", f"a record of '{self.stream}' lacks its key property '{name}'",
                    where=f"stream {self.stream}", fix="report it to the tap's makers: the row cannot be merged",
                )  # fmt: skip
        self._held.append(record)
        self._bytes += size
        if len(self._held) >= _ROWS or self._bytes >= _BYTES:
            self._write()

    @property
    def waiting(self) -> bool:
        """There are records to be loaded."""
        return bool(self.rows or self._held)

    def finish(self) -> None:
        """Put everything into the file, which then is complete."""
        self._write()
        if self._writer is not None:
            self._writer.close()

    def empty(self) -> None:
        """Forget the records: they were loaded."""
        self.file.unlink(missing_ok=True)
        self._writer, self.rows = None, 0

    def _write(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self.file), self.arrow)
        if not self._held:
            return
        columns = batch("target", self.stream, self._held, self.fields, schema(self.fields))
        order = pa.array(range(self.rows, self.rows + columns.num_rows), pa.int64())
        self._writer.write_batch(pa.RecordBatch.from_arrays([*columns.columns, order], schema=self.arrow))
        self.rows += columns.num_rows
        self._held, self._bytes = [], 0


class SpoolOptions(Spec):
    """Nothing to set."""


class SpoolSource(Source):
    """Reads a spool's file; may be asked twice. ``state``: the tap's last STATE as JSON text, kept with the rows."""

    StreamOptions: ClassVar[type[Spec]] = SpoolOptions
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        "Records of a tap", "files", "own_stub", "read by the Singer target only, from its own file"
    )

    file: str
    state: str | None

    def test_connection(self) -> str:
        """The file."""
        return self.file

    def discover(self) -> list[str]:
        """Nothing: it is one stream."""
        return []

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """All records of the file."""
        position = {"singer_state": self.state} if self.state is not None else dict(state.position)
        return Scan(connection.from_arrow(_FileStream(self.file)), position)


class _FileStream:
    """What DuckDB scans: the file's batches, from the beginning at each execution."""

    def __init__(self, file: str) -> None:
        self._file = file

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        opened = pa.ipc.open_file(pa.memory_map(self._file))

        def batches() -> "Any":
            for number in range(opened.num_record_batches):
                yield opened.get_batch(number)
                injection.reach("batch_read")

        reader = pa.RecordBatchReader.from_batches(opened.schema, batches())
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]


class LastOfKey(Spec, Transformation):
    """Keeps the last record of each key, as a tap means it; records without a whole key are left to quarantine."""

    key: tuple[str, ...]

    @property
    def rows(self) -> Rows:
        """Some are left out."""
        return "fewer"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns``."""
        kept = ", ".join(quote(column.name) for column in columns)
        key = [quote(name) for name in self.key]
        keyless = " OR ".join(f"{name} IS NULL" for name in key)
        newest = f"row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {quote(ORDER)} DESC)"
        return f"SELECT {kept} FROM input QUALIFY {keyless} OR {newest} = 1"
