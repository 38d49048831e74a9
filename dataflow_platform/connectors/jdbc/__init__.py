"""Any database with a JDBC driver."""

from dataflow_platform.connectors.jdbc.source import Jdbc

__all__ = ["Jdbc"]
