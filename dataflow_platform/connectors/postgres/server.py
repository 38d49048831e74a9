"""What a session on PostgreSQL needs of its destination."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb

from dataflow_platform.connectors.postgres.declarations import Declarations
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import DataflowError


@dataclass(frozen=True)
class Server:
    """The ways to a server, and what is declared of its tables."""

    connect: Callable[[], Any]
    """A psycopg2 connection with the session's settings."""
    explained: Callable[[BaseException], DataflowError]
    """The platform's error for one of the driver's or the engine's."""
    expose: Callable[[duckdb.DuckDBPyConnection, Table], Callable[[], None]]
    """Make a table of the server readable in the engine; what undoes it."""
    name: str
    wait_seconds: float
    declared: Declarations
