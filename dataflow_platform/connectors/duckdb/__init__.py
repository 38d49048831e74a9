"""DuckDB: one file, as warehouse or as source."""

from dataflow_platform.connectors.duckdb.destination import DuckDB, DuckDBSession
from dataflow_platform.connectors.duckdb.source import DuckDBFile, DuckDBStream

__all__ = ["DuckDB", "DuckDBFile", "DuckDBSession", "DuckDBStream"]
