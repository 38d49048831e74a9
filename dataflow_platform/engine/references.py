"""The tables that steps bring along: each is put into the engine once for each load, before a row is read."""

from collections.abc import Sequence

import duckdb

from dataflow_platform.core.base import Reference
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import quote

_BROUGHT = "_dataflow_brought"


def bring(
    references: Sequence[Reference],
    connection: duckdb.DuckDBPyConnection,
    beside: duckdb.DuckDBPyConnection,
    only_types: bool = False,
) -> None:
    """Let the engine know ``references`` by their names, and the one ``beside`` it their columns.

    ``only_types``: without their rows, as far as a format tells its columns apart from them.
    DataError where one cannot be read.
    """
    for reference in references:
        _read(reference, connection, " LIMIT 0" if only_types else "")
        described = connection.execute(f"DESCRIBE {quote(reference.name)}").fetchall()
        held = ", ".join(f"{quote(name)} {kind}" for name, kind, *_ in described)
        beside.execute(f"CREATE OR REPLACE TEMP TABLE {quote(reference.name)} ({held})")


def _read(reference: Reference, connection: duckdb.DuckDBPyConnection, limit: str) -> None:
    rows = reference.rows()
    columns = ", ".join(f"{value} AS {quote(name)}" for name, value in reference.columns.items())
    if not isinstance(rows, str):
        connection.register(_BROUGHT, rows)
    source = rows if isinstance(rows, str) else _BROUGHT
    try:
        made = f"SELECT {columns} FROM {source}{limit}"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(reference.name)} AS {made}")
    except duckdb.Error as error:
        raise DataError(
            "reference.unreadable",
            f"what the step looks things up in cannot be read: {str(error).splitlines()[0]}",
            fix="correct the file, or what the step says of it",
        ) from error
    finally:
        if not isinstance(rows, str):
            connection.unregister(_BROUGHT)
