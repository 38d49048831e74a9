"""DuckDB's errors in the platform's words: what a person may do about each."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.transformation import MISFIT

_DATA = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.ConstraintException,
)
_QUERY = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.TypeMismatchException)


_COLUMNLESS = "must have at least one column"
# libpq's words: an attached PostgreSQL was read inside a query, or was told to end a transaction.
_LOST = ("server closed the connection", "no connection to the server", "could not receive data from server")
_FULL = ("No space left", "Disk quota exceeded", "File too large")


@contextmanager
def told(where: str) -> Iterator[None]:
    """Raise the platform's error for what DuckDB says inside the block, where there is one."""
    try:
        yield
    except duckdb.Error as error:
        known = explained(error, where)
        if known is None:
            raise
        raise known from error


def explained(error: duckdb.Error, where: str) -> DataflowError | None:
    """The platform's error for a failed query of the line, None for what it does not know."""
    told = str(error).strip().splitlines()
    first = told[0] if told else type(error).__name__
    if MISFIT in first:
        return DataError(
            "step.misfit",
            first.partition(MISFIT)[2],
            where=where,
            fix="correct it at the source, or let the step set the row aside (misfit: quarantine) or take NULL",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return ConfigError(
            "engine.memory",
            f"the engine's memory limit was reached: {first}",
            where=where,
            fix="raise memory_limit of the destination, or lower its threads",
        )
    if any(text in str(error) for text in _FULL):
        return ConfigError("engine.disk_full", f"the disk is full: {first}", where=where, fix="free space, run again")
    if any(text in str(error) for text in _LOST):
        return TransientError(
            "engine.connection_lost",
            f"the connection to the server broke off: {first}",
            where=where,
            fix="run it again; look into the server's log",
        )
    if _COLUMNLESS in first:
        return ConfigError(
            "stream.columns",
            "the rows have no column",
            where=where,
            fix="add a column at the source, or leave the stream out",
        )
    if isinstance(error, _DATA):
        return DataError(
            "data.value",
            f"a value does not fit: {first}",
            where=where,
            fix="correct the value at its source, or cast the column to a type that holds it",
        )
    if isinstance(error, _QUERY):
        return ConfigError(
            "engine.query", f"the query does not fit the data: {first}", where=where, fix="correct the steps or checks"
        )
    return None
