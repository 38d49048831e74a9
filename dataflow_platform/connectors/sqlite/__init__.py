"""SQLite: files as sources."""

from dataflow_platform.connectors.sqlite.source import Sqlite, SqliteStream

__all__ = ["Sqlite", "SqliteStream"]
