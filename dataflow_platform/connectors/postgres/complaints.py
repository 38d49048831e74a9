"""What goes wrong while rows are written: the driver's, the server's and the engine's complaints in our words."""

import duckdb

from dataflow_platform.connectors.postgres.connection import PostgresConnection
from dataflow_platform.connectors.postgres.types import REFUSED
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError

_VALUE = "correct the value at its source, or cast the column to a type that holds it"
_NUL = "remove the NUL character: transform: - derive: {column: \"replace(column, chr(0), '')\"}"
_NULS = ("NULL-byte", "NUL (0x00)")
# SQLSTATE (five characters) or its class (two): what is to be done, and how.
_STATES: dict[str, tuple[type[DataflowError], str, str]] = {
    "55P03": (TransientError, "postgres.locked", "wait for who holds the table (pg_locks says), or raise wait_seconds"),
    "57P01": (TransientError, "postgres.lost", "run it again; look into the server's log"),
    "22021": (DataError, "postgres.value", _NUL),
    "22P05": (DataError, "postgres.value", _NUL),
    "22": (DataError, "postgres.value", _VALUE),
    "23503": (
        DataError,
        "postgres.foreign_key",
        "load the table referred to first and what refers to it after, or correct the rows",
    ),
    "42P16": (DataError, "postgres.primary_key", "correct the rows: a column of the primary key has to have a value"),
    "23": (DataError, "postgres.constraint", "correct the rows, or drop the constraint of the target table"),
    "42501": (ConfigError, "postgres.permission", "GRANT CREATE ON DATABASE or SCHEMA, or own the table"),
    "25006": (ConfigError, "postgres.standby", "set `host` to the primary server"),
    "53100": (ConfigError, "postgres.disk_full", "free space on the server, run it again"),
    "53200": (TransientError, "postgres.memory", "run it again when the server has less to do"),
    "54": (ConfigError, "postgres.limit", "load fewer columns, or shorter values"),
    "2BP01": (ConfigError, "postgres.dependent", "drop what depends on the table, or change it by hand"),
}


def is_refused(error: duckdb.Error) -> bool:
    """True where a value of a row is one that PostgreSQL does not hold."""
    return any(word in str(error) for word in (REFUSED, *_NULS))


def explained(server: PostgresConnection, error: BaseException) -> DataflowError:
    """The platform's error for ``error``, without the password; ``server`` is the one that was spoken to."""
    import psycopg2

    if isinstance(error, DataflowError):
        return error
    where, text = server.where(), server.scrubbed(str(error)).strip()
    # The server's second and third line name the column and what in the value is wrong.
    told = [line.strip() for line in text.split("LINE 1:")[0].splitlines() if line.strip()]
    line = " ".join(told[:3])[:300] or type(error).__name__
    if isinstance(error, duckdb.OutOfMemoryException):
        return ConfigError(
            "engine.memory",
            f"the engine's memory limit was reached: {line}",
            where=where,
            fix="raise memory_limit of the destination, or lower its threads",
        )
    if "No space left" in text and isinstance(error, duckdb.Error):
        return ConfigError("engine.disk_full", f"the disk is full: {line}", where=where, fix="free space, run again")
    if any(word in text for word in _NULS):
        return DataError(
            "postgres.value", "PostgreSQL holds no text with a NUL character, and a row has one", where=where, fix=_NUL
        )
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.InvalidInputException):
        said = line[line.find(REFUSED) :] if REFUSED in line else line
        return DataError("postgres.value", f"a value does not fit: {said}", where=where, fix=_VALUE)
    if "during recovery" in text:
        return ConfigError(
            "postgres.standby", "the server is a standby: it can only be read", where=where,
            fix="set `host` to the primary server",
        )  # fmt: skip
    state = getattr(error, "pgcode", None)
    known = _STATES.get(state or "") or _STATES.get((state or "")[:2])
    if known:
        kind, code, fix = known
        return kind(code, line, where=where, fix=fix)
    found = server.meant(error)
    if found is None and state is None and isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
        # Without a SQLSTATE it is libpq that speaks: the server did not answer any more.
        found = TransientError(
            "postgres.lost",
            f"the connection broke off: {line}",
            where=where,
            fix="run it again; look into the server's log",
        )
    return found or server.explained(error)
