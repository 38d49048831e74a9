"""Rows without DuckDB's scanner: a cursor on the server whose values travel as text, for DuckDB to cast.

Slower by far; the types and values are those of the scanner.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb

from dataflow_platform.connectors.postgres.columns import NOT_HELD, SourceColumn
from dataflow_platform.connectors.postgres.connection import PostgresConnection
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.sql import literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8_192
_EXACT_TEXTS = "-c extra_float_digits=1"


class TextStream:
    """What DuckDB scans: an object with the Arrow stream interface. Every execution asks the server anew."""

    def __init__(
        self, server: PostgresConnection, columns: Sequence[SourceColumn], query: str, snapshot: str | None
    ) -> None:
        self._server, self._columns, self._snapshot = server, columns, snapshot
        texts = ", ".join(_as_text(column) for column in columns)
        self._query = f"SELECT {texts} FROM ({query}) AS rows"
        self._rows = 0
        self._error: DataflowError | None = None

    def relation(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """The columns in the types in which the scanner would hand them over."""
        return connection.from_arrow(self).project(", ".join(_as_value(column) for column in self._columns))

    def rows_read(self) -> int:
        """Rows handed on so far; raises the error that ended the reading, if one did."""
        if self._error:
            raise self._error
        return self._rows

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        schema = pa.schema([pa.field(column.name, pa.string()) for column in self._columns])
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(schema))
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]

    def _batches(self, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
        import psycopg2
        import pyarrow as pa

        self._rows, self._error = 0, None
        try:
            with closing(self._server.connect(_EXACT_TEXTS)) as connection:
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                if self._snapshot:
                    with connection.cursor() as first:
                        first.execute(f"SET TRANSACTION SNAPSHOT {literal(self._snapshot)}")
                with connection.cursor(name="dataflow") as cursor:
                    cursor.execute(self._query)
                    while rows := cursor.fetchmany(_ROWS):
                        self._rows += len(rows)
                        arrays = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
                        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except psycopg2.Error as error:
            self._error = self._meant(error)
            raise self._error from None

    def _meant(self, error: Any) -> DataflowError:
        # The complaint is ours, in the words of a failed cast: its SQLSTATE says less than its text.
        return self._server.explained(RuntimeError(str(error)) if NOT_HELD in str(error) else error)


def _as_text(column: SourceColumn) -> str:
    """The server's expression that writes a value without losing anything of it."""
    name = quote(column.name)
    if column.word == "BLOB":
        return f"encode({name}, 'hex')"
    if column.word == "INTERVAL":  # months, days and microseconds are three numbers on both sides
        months = f"(extract(year FROM {name}) * 12 + extract(month FROM {name}))::bigint"
        clock = f"extract(hour FROM {name}) * 3600000000 + extract(minute FROM {name}) * 60000000"
        rest = f"({clock} + extract(microseconds FROM {name}))::bigint"
        days = f"extract(day FROM {name})::bigint"
        return f"{months} || ' months ' || {days} || ' days ' || {rest} || ' microseconds'"
    if column.word.endswith("[]"):
        complaint = literal(f"{NOT_HELD}: {name} has several dimensions, not one: ")
        several = f"({complaint} || {name}::text)::int::text"
        return f"CASE WHEN array_ndims({name}) > 1 THEN {several} ELSE to_json({name}::text[])::text END"
    return f"{name}::text"


def _as_value(column: SourceColumn) -> str:
    """DuckDB's expression that makes the value of its text."""
    name, word = quote(column.name), column.word
    if word == "VARCHAR":
        return name
    if word == "BLOB":
        return f"unhex({name}) AS {name}"
    element = re.sub(r"\[\]$", "", word)
    if element != word:
        texts = f"CAST(CAST({name} AS JSON) AS VARCHAR[])"
        dated = f"list_transform({texts}, lambda text: {_with_era('text')})" if _is_dated(element) else texts
        return f"CAST({dated} AS {word}) AS {name}"
    return f"CAST({_with_era(name) if _is_dated(word) else name} AS {word}) AS {name}"


def _is_dated(word: str) -> bool:
    return word == "DATE" or word.startswith("TIMESTAMP")


def _with_era(text: str) -> str:
    """The server writes BC at the end, DuckDB behind the day."""
    return rf"regexp_replace({text}, '^(\S+)(.*) BC$', '\1 (BC)\2')"
