"""DuckDB's types and values, in a file of another DuckDB than the one that loads them."""
# ruff: noqa: E501  # one case a line

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from dataflow_platform.connectors.duckdb import DuckDBFile, DuckDBStream
from dataflow_platform.core.base import Source, Stream
from tests.types.case import Case, padded
from tests.types.from_postgres import BIG_JSON

STAMPS = ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "0044-03-15 (BC) 12:00:00")
ENDS = ("infinity", "-infinity")


def same(
    type: str, family: str, values: Sequence[object], means: Sequence[object] | None = None, note: str = ""
) -> Case:
    return Case(type, family, tuple(values), None if means is None else tuple(means), note, type)


CASES = (
    same("BOOLEAN", "bool", ("true", "false")),
    same("TINYINT", "int", (-128, 127)),
    same("SMALLINT", "int", (-(2**15), 2**15 - 1)),
    same("INTEGER", "int", (-(2**31), 2**31 - 1)),
    same("BIGINT", "int", (-(2**63), 2**63 - 1)),
    same("HUGEINT", "int", (-(10**38) + 1, 10**38 - 1)),
    same("HUGEINT", "int", (2**127 - 1, -(2**127)), note="39 digits"),
    same("UTINYINT", "int", (0, 255)),
    same("USMALLINT", "int", (65535,)),
    same("UINTEGER", "int", (2**32 - 1,)),
    same("UBIGINT", "int", (2**64 - 1,)),
    same("UHUGEINT", "int", (10**38 - 1,)),
    same("UHUGEINT", "int", (2**128 - 1,), note="39 digits"),
    same("DECIMAL(4,4)", "decimal", ("0.9999", "-0.0001")),
    same("DECIMAL(9,9)", "decimal", ("0.999999999", "-0.000000001")),
    same("DECIMAL(18,3)", "decimal", ("999999999999999.999",)),
    same("DECIMAL(18,18)", "decimal", ("0.999999999999999999",)),
    same("DECIMAL(38,10)", "decimal", ("1234567890123456789012345678.0123456789",)),
    same("DECIMAL(38,38)", "decimal", ("-0." + "9" * 38, "0." + "0" * 37 + "1")),
    same("FLOAT", "float", ("0.1", "1e-45", "-0.0", "nan", "inf", "-inf"), (0.10000000149011612, 2**-149, "-0.0", "nan", "inf", "-inf")),
    same("DOUBLE", "float", ("0.1", "5e-324", "-0.0", "1.7976931348623157e308", "nan", "inf", "-inf")),
    same("VARCHAR", "text", ("", " a ", "NULL", "ä ß 日本 🛩 e\u0301 \u202e", "\t\n\r\x01\x7f", "'\"\\%{}$1")),
    same("VARCHAR", "text", ("a\0b",), note="with NUL"),
    same("BLOB", "bytes", ("", r"\x00\xFF\x10"), (b"", b"\x00\xff\x10")),
    same("BIT", "text", ("101", "0" * 70), note="bits"),
    same("UUID", "uuid", ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",)),
    same("DATE", "date", ("0001-01-01", "9999-12-31", "0044-03-15 (BC)")),
    same("DATE", "date", ENDS, note="infinity"),
    same("DATE", "date", ("5881580-07-10",), note="year 5,881,580"),
    same("TIME", "time", ("00:00:00", "23:59:59.999999", "12:34:56.123456")),
    same("TIME", "time", ("24:00:00",), note="24:00"),
    same("TIME_NS", "time", ("12:34:56.123456",)),
    same("TIME_NS", "time", ("12:34:56.123456789",), note="nanoseconds"),
    same("TIME WITH TIME ZONE", "timetz", ("12:34:56.123456+05:30", "00:00:00-11")),
    same("TIMESTAMP", "timestamp", STAMPS),
    same("TIMESTAMP", "timestamp", ENDS, note="infinity"),
    same("TIMESTAMP_S", "timestamp", ("0001-01-01 00:00:00", "9999-12-31 23:59:59")),
    same("TIMESTAMP_S", "timestamp", ENDS, note="infinity"),
    same("TIMESTAMP_MS", "timestamp", ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999")),
    same("TIMESTAMP_NS", "timestamp", ("1970-01-01 00:00:00", "2262-04-11 23:47:16.854775")),
    same("TIMESTAMP_NS", "timestamp", ("2020-01-01 00:00:00.123456789",), note="nanoseconds"),
    same("TIMESTAMP WITH TIME ZONE", "timestamptz", ("2013-01-01 05:00:00.123456-05", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"), ("2013-01-01 10:00:00.123456+00", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00")),
    same("TIMESTAMP WITH TIME ZONE", "timestamptz", ENDS, note="infinity"),
    same("INTERVAL", "interval", ("14 months -3 days 25:00:00.5", "-178 years"), ((14, -3, 90_000_500_000), (-2136, 0, 0))),
    same("JSON", "json", ('{"b": 123456789012345678901234567890, "a":  0.10}', "null", '"x"', "[]")),
    same("JSON", "json", (BIG_JSON, '{"a": {"k": 1, "\\u006b": 2}}'), note="a key twice"),
    same("ENUM('sad', 'it''s ok', '')", "text", ("sad", "it's ok", ""), note="enum"),
    same("INTEGER[]", "list:int", ("[1, NULL, -3]", "[]"), ([1, None, -3], [])),
    same("INTEGER[2]", "list:int", ("[1, 2]",), ([1, 2],)),
    same("INTEGER[][]", "list:int", ("[[1, 2], [3, NULL]]",), ([[1, 2], [3, None]],)),
    same("INTEGER[][]", "list:int", ("[[1, 2], [3]]",), ([[1, 2], [3]],), note="rows of different lengths"),
    same("VARCHAR[]", "list:text", ("['a,b', 'c\"d', '', NULL, 'NULL']",), (["a,b", 'c"d', "", None, "NULL"],)),
    same("DECIMAL(18,18)[]", "list:decimal", ("[0.999999999999999999, NULL]",), (["0.999999999999999999", None],)),
    same("UBIGINT[]", "list:int", (f"[{2**64 - 1}]",), ([2**64 - 1],)),
    same("TIMESTAMP_NS[]", "list:timestamp", ("[2020-01-01 00:00:00.123456]",), (["2020-01-01 00:00:00.123456"],)),
    same("STRUCT(a MAP(VARCHAR, DATE[]))", "document", ("{'a': {k=[2020-01-01, infinity]}}",), ('{"a": {"k": ["2020-01-01", "infinity"]}}',), note="infinity inside"),
    same("STRUCT(b DECIMAL(38,6), a INTEGER[])", "document", ("{'b': 12345678901234567890.123456, 'a': [1, NULL]}",), ('{"b": 12345678901234567890.123456, "a": [1, null]}',), note=""),
    same("STRUCT(a DOUBLE)", "document", ("{'a': nan}",), ('{"a": NaN}',), note="NaN inside"),
    same("MAP(VARCHAR, INTEGER)", "document", ("{k=1, l=NULL}",), ('{"k": 1, "l": null}',)),
    same("MAP(INTEGER, VARCHAR)", "document", ("{1=x}",), ('{"1": "x"}',)),
    same("UNION(a INTEGER, b VARCHAR)", "document", ("1",), ('{"a": 1}',), note="union"),
)  # fmt: skip


class FromDuckDB:
    """A database file a group of cases."""

    title = "DuckDB"
    cases: Sequence[Case] = CASES

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, itertools.count()

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        path = self._folder / f"originals_{next(self._names)}.duckdb"
        columns = ", ".join(f"c{number} {case.type}" for number, case in enumerate(cases))
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE TABLE originals (id INTEGER, {columns})")
            for id, row in enumerate(zip(*padded(cases), strict=True), 1):
                values = ", ".join(_cast(value, case.type) for value, case in zip(row, cases, strict=True))
                connection.execute(f"INSERT INTO originals VALUES ({id}, {values})")
        return DuckDBFile(path=str(path)), Stream("originals", DuckDBStream())


def _cast(value: object, kind: str) -> str:
    if value is None:
        return "NULL"
    text = "'" + str(value).replace("'", "''").replace("\0", "' || chr(0) || '") + "'"
    return f"CAST({text} AS {kind})" if not re.match("UNION", kind) else f"union_value(a := {value})"
