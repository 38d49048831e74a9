"""What databases reached by an ADBC driver share: record batches as the server sends them, typed by its schema."""

from dataflow_platform.connectors._adbc.source import AdbcSource

__all__ = ["AdbcSource"]
