"""MySQL and MariaDB: DuckDB's scanner moves the rows, the server's own catalogue says how."""

from dataflow_platform.connectors.mysql.source import MySQL, MySQLStream

__all__ = ["MySQL", "MySQLStream"]
