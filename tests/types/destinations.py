"""The destinations of the matrix. Each reads its tables back by its own driver, not by the platform."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg2

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core.base import Destination, Table
from dataflow_platform.demo.postgres import PostgresServer
from tests.types.case import Case


class Arrival(Protocol):
    """A destination and the independent way to read what it holds."""

    title: str
    destination: Destination

    def columns(self, table: Table) -> dict[str, str]:
        """Name -> type, in the destination's words."""
        ...

    def values(self, table: Table, column: str, kind: str, family: str) -> list[Any]:
        """The values of one column by ``id``, as ``meaning.canonical`` takes them."""
        ...

    def own(self, case: Case) -> tuple[str, ...]:
        """What the destination calls the type of ``case`` where it has the very same."""
        ...


def _quoted(*names: str) -> str:
    """``"a"."b"``, by a rule of this module's own."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


_MOMENTS = ("DATE", "TIME", "INTERVAL", "UUID")


class InDuckDB:
    """A DuckDB file, read by the duckdb package itself."""

    title = "DuckDB"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "matrix.duckdb"
        self.destination: Destination = DuckDB(path=str(self._path), wait_seconds=1)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self._path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def columns(self, table: Table) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self._ask(f"DESCRIBE {_quoted(table.schema, table.name)}")}

    def values(self, table: Table, column: str, kind: str, family: str) -> list[Any]:
        asked = _quoted(column)
        if family == "interval" and kind == "INTERVAL":
            parts = [f"date_part('{part}', {asked})" for part in ("year", "month", "day", "hour", "minute")]
            asked = (
                f"CASE WHEN {asked} IS NOT NULL THEN [{parts[0]} * 12 + {parts[1]}, {parts[2]}, "
                f"({parts[3]} * 60 + {parts[4]}) * 60000000 + date_part('microsecond', {asked})]::BIGINT[] END"
            )
        elif kind.startswith(_MOMENTS):
            asked = f"CAST({asked} AS VARCHAR{'[]' * kind.count('[]')})"
        elif family == "document" and kind not in ("JSON", "VARCHAR"):
            asked = f"CAST(to_json({asked}) AS VARCHAR)"
        return [row[0] for row in self._ask(f"SELECT {asked} FROM {_quoted(table.schema, table.name)} ORDER BY id")]

    def own(self, case: Case) -> tuple[str, ...]:
        return (case.word,)


class InPostgres:
    """A PostgreSQL database, read by psycopg2 as text, floats as their bytes."""

    title = "PostgreSQL"

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._connect: Callable[[], Any] = lambda: psycopg2.connect(
            host="127.0.0.1", port=server.port, dbname=database, user="postgres", password=server.password,
            options="-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres", client_encoding="UTF8",
        )  # fmt: skip
        self.destination: Destination = PostgresDestination(
            host="127.0.0.1", port=server.port, database=database, user="postgres", password=server.password
        )

    def _ask(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return list(cursor.fetchall())

    def columns(self, table: Table) -> dict[str, str]:
        asked = (
            "SELECT attname, format_type(atttypid, atttypmod) || repeat('[]', attndims - 1) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
        )
        return dict(self._ask(asked, _quoted(table.schema, table.name)))

    def values(self, table: Table, column: str, kind: str, family: str) -> list[Any]:
        name = _quoted(column)
        asked = f"{name}::text[]" if kind.endswith("[]") else f"{name}::text"
        if kind in ("real", "double precision"):
            asked = f"float8send({name}::float8)"
        elif kind == "bytea":
            asked = name
        elif kind == "interval":
            asked = (
                f"ARRAY[extract(year FROM {name}) * 12 + extract(month FROM {name}), extract(day FROM {name}), "
                f"(extract(hour FROM {name}) * 60 + extract(minute FROM {name})) * 60000000 "
                f"+ extract(microsecond FROM {name})]::bigint[]"
            )
        rows = [row[0] for row in self._ask(f"SELECT {asked} FROM {_quoted(table.schema, table.name)} ORDER BY id")]
        if kind in ("real", "double precision"):
            import struct

            return [None if row is None else struct.unpack(">d", row)[0] for row in rows]
        if kind == "interval":
            return [None if row == [None] * 3 else row for row in rows]
        return rows

    def own(self, case: Case) -> tuple[str, ...]:
        element, brackets = re.sub(r"(\[\])+$", "", case.word), "[]" * case.word.count("[]")
        decimal = re.fullmatch(r"DECIMAL(\(.*\))", element)
        return (case.type, (f"numeric{decimal[1]}" if decimal else _IN_POSTGRES.get(element, "?")) + brackets)


_IN_POSTGRES = {
    "BOOLEAN": "boolean",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BLOB": "bytea",
    "DATE": "date",
    "TIME": "time without time zone",
    "TIME WITH TIME ZONE": "time with time zone",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "INTERVAL": "interval",
    "UUID": "uuid",
}
