"""PostgreSQL: DuckDB's scanner moves the rows, the server's own catalogue says how."""

from dataflow_platform.connectors.postgres.destination import PostgresDestination
from dataflow_platform.connectors.postgres.encryption import SslMode
from dataflow_platform.connectors.postgres.source import Postgres, PostgresStream

__all__ = ["Postgres", "PostgresDestination", "PostgresStream", "SslMode"]
