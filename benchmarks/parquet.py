"""A source that is one Parquet file, read by the engine."""

from typing import ClassVar

import duckdb

from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream


class ParquetOptions(Spec):
    """Nothing to set."""


class Parquet(Source):
    """One Parquet file, read by the engine."""

    StreamOptions: ClassVar[type[Spec]] = ParquetOptions
    facts: ClassVar[ConnectorFacts] = ConnectorFacts("a Parquet file", "files", "own_stub", "benchmark only")
    file: str

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The file's rows."""
        return Scan(connection.read_parquet(self.file))

    def discover(self) -> list[str]:
        """The one stream."""
        return ["t"]

    def test_connection(self) -> str:
        """The file's name."""
        return self.file
