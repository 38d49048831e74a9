"""Delta tables as source: a version of a table, read by DuckDB file by file."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from dataflow_platform.connectors._lake.file_scan import file_scan
from dataflow_platform.connectors._lake.place import LakePlace
from dataflow_platform.connectors.delta.log import DeltaLog
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.errors import ConfigError, DataflowError, did_you_mean
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import duckdb


class DeltaStream(Spec):
    """What a stream of Delta tables sets."""

    table: str = Field(description="The table's folder below `path`, such as `sales/orders`; `.` for `path` itself.")
    version: int | None = Field(default=None, ge=0, description="The version to read; the newest when absent.")


class Delta(LakePlace, Source):
    """Delta tables in a local folder or on an S3-compatible store."""

    StreamOptions: ClassVar[type[Spec]] = DeltaStream
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Delta Lake",
        family="warehouse",
        evidence="real_server",
        evidence_note="tables written by deltalake on the local file system; S3 against moto's server",
        extra="delta",
    )

    def test_connection(self) -> str:
        """Look for tables below the folder."""
        return f"{len(self.discover())} Delta tables below {self.store().described()}"

    def discover(self) -> list[str]:
        """The folders below `path` that hold a Delta table, two levels deep, sorted."""
        store = self.store()
        found = []
        for folder in store.folders(""):
            inner = store.folders(folder)
            found += [folder] if "_delta_log" in inner else []
            found += [f"{folder}/{name}" for name in inner if "_delta_log" in store.folders(f"{folder}/{name}")]
        return sorted(found)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The folders of the table."""
        return tuple(_options(stream).table.strip("/").split("/"))

    def probe(self, stream: Stream) -> str | None:
        """The newest version's number."""
        table = self._log(stream).open()
        return None if table is None else str(table.version())

    def scan(self, connection: "duckdb.DuckDBPyConnection", stream: Stream, state: State) -> Scan:
        """The rows of the version's files."""
        store = self.store()
        store.attach(connection)
        log = self._log(stream)
        snapshot = log.snapshot(_options(stream).version)
        if snapshot is None:
            raise ConfigError(
                "delta.no_table",
                f"there is no Delta table in {store.described()}/{log.folder}",
                where="table",
                fix=did_you_mean(log.folder, self.discover(), "name a folder that holds a _delta_log"),
            )
        files = file_scan(
            connection,
            snapshot.columns,
            dict(enumerate(snapshot.files)),
            lambda file: store.url(f"{log.folder}/{file.path}"),
            snapshot.partition_by,
        )
        columns = ", ".join(quote(column.name) for column in snapshot.columns)
        relation = connection.sql(f"SELECT {columns} FROM ({files})")
        return Scan(relation, position={"version": snapshot.version})

    def explain(self, error: "duckdb.Error") -> DataflowError | None:
        """What an error of the engine meant while the table was read."""
        return self.store().explained(error)

    def _log(self, stream: Stream) -> DeltaLog:
        return DeltaLog(self.store(), _options(stream).table.strip("/"))


def _options(stream: Stream) -> DeltaStream:
    if isinstance(stream.options, DeltaStream):
        return stream.options
    raise TypeError(f"stream '{stream.name}' has the options of another source: {type(stream.options).__name__}")
