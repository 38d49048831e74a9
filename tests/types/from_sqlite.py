"""SQLite's types and values, written by Python's own sqlite3."""
# one case a line

import itertools
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from dataflow_platform.connectors.sqlite import Sqlite, SqliteStream
from dataflow_platform.core.base import Source, Stream
from tests.types.case import Case, padded

CASES = (
    Case("INTEGER", "int", (-(2**63), 2**63 - 1), word="BIGINT"),
    Case("TINYINT", "int", (-128, 2**62)),
    Case("UNSIGNED BIG INT", "int", (2**63 - 1,)),
    Case("BOOLEAN", "int", (0, 1)),
    Case("REAL", "float", (0.1, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), 3), word="DOUBLE"),
    Case("DOUBLE", "float", (0.30000000000000004,), word="DOUBLE"),
    Case("TEXT", "text", ("", " a ", "NULL", "ä ß 日本 🛩 e\u0301", "\t\n\r\x01", "'\"\\%{}$1", "007"), word="VARCHAR"),
    Case("VARCHAR(3)", "text", ("longer than three",), word="VARCHAR"),
    Case("TEXT", "text", ("a\0b",), note="with NUL", word="VARCHAR"),
    Case("BLOB", "bytes", (b"", b"\x00\xff\x10"), word="BLOB"),
    Case("DATE", "date", ("0001-01-01", "9999-12-31"), word="DATE"),
    Case("DATETIME", "timestamp", ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"), word="TIMESTAMP"),
    Case("TIMESTAMP", "timestamp", ("2020-01-01 00:00:00.5",), word="TIMESTAMP"),
    Case("NUMERIC", "float", (1.5, 2**53), word="DOUBLE"),
    Case("DECIMAL(10,2)", "float", (12.34, 7), word="DOUBLE"),
    Case("no type", "text", (5, "x", 1.5), ("5", "x", "1.5")),
    Case("INTEGER", "text", ("abc",), note="a text in it"),
    Case("INTEGER", "float", (1.5,), note="a fraction in it"),
    Case("TEXT", "bytes", (b"\xff",), note="bytes in it"),
    Case("REAL", "text", ("abc",), note="a text in it"),
    Case("NUMERIC", "int", (2**53 + 1,), note="beyond a double"),
    Case("NUMERIC", "text", ("abc",), note="a text in it"),
    Case("DATE", "int", (20200101,), note="a number in it"),
    Case("DATE", "text", ("01/02/2020",), note="another form"),
    Case("DATETIME", "text", ("2020-01-01 00:00:00.123456789",), note="nanoseconds"),
    Case("DATETIME", "text", ("2020-01-01T10:00:00+02:00",), note="a zone"),
    Case("BLOB", "text", ("a text",), note="a text in it"),
    Case("INTEGER", "text", ("abc", 7), ("abc", "7"), note="as_text"),
    Case("REAL", "text", ("abc", 0.1), ("abc", "0.10000000000000000555"), note="as_text"),
)


class FromSqlite:
    """A file a group of cases."""

    title = "SQLite"
    cases: Sequence[Case] = CASES

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, itertools.count()

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        path = self._folder / f"originals_{next(self._names)}.db"
        columns = ", ".join(f"c{number} {case.type.removeprefix('no type')}" for number, case in enumerate(cases))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"CREATE TABLE originals (id INTEGER, {columns})")
            for id, row in enumerate(zip(*padded(cases), strict=True), 1):
                connection.execute(f"INSERT INTO originals VALUES (?{', ?' * len(row)})", (id, *row))
        as_text = tuple(f"c{number}" for number, case in enumerate(cases) if case.note == "as_text")
        return Sqlite(path=str(path)), Stream("originals", SqliteStream(as_text=as_text))
