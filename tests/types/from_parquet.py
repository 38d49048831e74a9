"""Parquet's types and values, written by pyarrow; INT96 as Spark writes it."""
# ruff: noqa: E501  # one case a line

import datetime as dt
import itertools
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataflow_platform.connectors.files import Files, FilesStream
from dataflow_platform.core.base import Source, Stream
from tests.types.case import Case, padded

STRUCTS = pa.struct([("b", pa.decimal128(38, 6)), ("a", pa.list_(pa.int32()))])
FIRST, LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59"
# Seconds from 1970 to the first and last second a Python datetime has.
FIRST_SECOND, LAST_SECOND = -62135596800, 253402300799


def stamps(unit: str, zone: str | None, word: str) -> Case:
    scale, ends = {"s": (1, ""), "ms": (10**3, ".999"), "us": (10**6, ".999999")}[unit]
    seconds = pa.timestamp(unit, zone)
    zoned = "+00" if zone else ""
    return Case(
        str(seconds), "timestamptz" if zone else "timestamp",
        (FIRST_SECOND * scale, LAST_SECOND * scale + scale - 1), (FIRST + zoned, LAST + ends + zoned), word=word,
    )  # fmt: skip


TYPES: dict[str, pa.DataType] = {}


def case(kind: pa.DataType, family: str, *values: object, word: str, **more: object) -> Case:
    TYPES[str(kind)] = kind
    return Case(str(kind), family, values, word=word, **more)  # type: ignore[arg-type]


CASES = (
    case(pa.bool_(), "bool", True, False, word="BOOLEAN"),
    case(pa.int8(), "int", -128, 127, word="TINYINT"),
    case(pa.int16(), "int", -(2**15), word="SMALLINT"),
    case(pa.int32(), "int", -(2**31), word="INTEGER"),
    case(pa.int64(), "int", -(2**63), 2**63 - 1, word="BIGINT"),
    case(pa.uint8(), "int", 255, word="UTINYINT"),
    case(pa.uint16(), "int", 65535, word="USMALLINT"),
    case(pa.uint32(), "int", 2**32 - 1, word="UINTEGER"),
    case(pa.uint64(), "int", 2**64 - 1, word="UBIGINT"),
    case(pa.float16(), "float", 0.5, 65504.0, word="", note="half"),
    case(pa.float32(), "float", 0.10000000149011612, 2**-149, -0.0, float("nan"), float("inf"), word="FLOAT"),
    case(pa.float64(), "float", 0.1, 5e-324, -0.0, 1.7976931348623157e308, float("nan"), float("-inf"), word="DOUBLE"),
    case(pa.decimal128(9, 9), "decimal", Decimal("0.999999999"), word="DECIMAL(9,9)"),
    case(pa.decimal128(38, 10), "decimal", Decimal("1234567890123456789012345678.0123456789"), word="DECIMAL(38,10)"),
    case(pa.decimal128(38, 38), "decimal", Decimal("-0." + "9" * 38), word="DECIMAL(38,38)"),
    case(pa.decimal256(60, 20), "decimal", Decimal("9" * 40 + "." + "9" * 20), word="", note="beyond 38 digits"),
    case(pa.decimal256(76, 0), "decimal", Decimal("9" * 76), word="", note="beyond 38 digits"),
    case(pa.string(), "text", "", " a ", "NULL", "ä ß 日本 🛩 e\u0301", "\t\n\r\x01", "'\"\\%{}$1", word="VARCHAR"),
    Case("string", "text", ("a\0b",), note="with NUL", word="VARCHAR"),
    case(pa.large_string(), "text", "ä", word="VARCHAR"),
    case(pa.binary(), "bytes", b"", b"\x00\xff\x10", word="BLOB"),
    case(pa.binary(3), "bytes", b"\x00\xff\x10", word="BLOB"),
    case(pa.date32(), "date", dt.date(1, 1, 1), dt.date(9999, 12, 31), word="DATE"),
    case(pa.date64(), "date", dt.date(1, 1, 1), dt.date(9999, 12, 31), word="DATE"),
    case(pa.time32("s"), "time", dt.time(12, 34, 56), word="TIME"),
    case(pa.time32("ms"), "time", dt.time(12, 34, 56, 123000), word="TIME"),
    case(pa.time64("us"), "time", dt.time(23, 59, 59, 999999), word="TIME"),
    case(pa.time64("ns"), "time", 45296123456000, means=("12:34:56.123456",), word="TIME_NS"),
    case(pa.time64("ns"), "time", 45296123456789, means=("12:34:56.123456789",), word="TIME_NS", note="nanoseconds"),
    stamps("s", None, "TIMESTAMP_S"),
    stamps("ms", None, "TIMESTAMP_MS"),
    stamps("us", None, "TIMESTAMP"),
    case(pa.timestamp("ns"), "timestamp", 1577836800123456000, means=("2020-01-01 00:00:00.123456",), word="TIMESTAMP_NS"),
    case(pa.timestamp("ns"), "timestamp", 1577836800123456789, means=("2020-01-01 00:00:00.123456789",), word="TIMESTAMP_NS", note="nanoseconds"),
    stamps("ms", "UTC", "TIMESTAMP WITH TIME ZONE"),
    stamps("us", "UTC", "TIMESTAMP WITH TIME ZONE"),
    stamps("us", "Europe/Berlin", "TIMESTAMP WITH TIME ZONE"),
    case(pa.timestamp("ns", "UTC"), "timestamptz", 1577836800123456000, means=("2020-01-01 00:00:00.123456+00",), word="TIMESTAMP WITH TIME ZONE"),
    case(pa.timestamp("ns", "UTC"), "timestamptz", 1577836800123456789, means=("2020-01-01 00:00:00.123456789+00",), word="TIMESTAMP WITH TIME ZONE", note="nanoseconds"),
    case(pa.duration("us"), "int", 1_500_000, word="", note="microseconds as a number"),
    case(pa.uuid(), "uuid", b"\xa0" + b"\x01" * 15, means=("a0010101-0101-0101-0101-010101010101",), word="UUID"),
    case(pa.json_(), "json", '{"b": 123456789012345678901234567890, "a":  0.10}', word="JSON"),
    case(pa.dictionary(pa.int32(), pa.string()), "text", "a", "b", "a", word="VARCHAR"),
    case(pa.list_(pa.int32()), "list:int", [1, None, -3], [], word="INTEGER[]"),
    case(pa.list_(pa.int32(), 2), "list:int", [1, 2], word="INTEGER[]"),
    case(pa.list_(pa.list_(pa.string())), "list:text", [["a"], [None]], word="VARCHAR[][]"),
    case(pa.list_(pa.decimal128(18, 18)), "list:decimal", [Decimal("0.999999999999999999")], word="DECIMAL(18,18)[]"),
    case(STRUCTS, "document", {"b": Decimal("12345678901234567890.123456"), "a": [1, None]}, means=('{"b": 12345678901234567890.123456, "a": [1, null]}',), word="STRUCT(b DECIMAL(38,6), a INTEGER[])"),
    case(pa.map_(pa.string(), pa.int32()), "document", [("k", 1), ("l", None)], means=('{"k": 1, "l": null}',), word="MAP(VARCHAR, INTEGER)"),
    case(pa.null(), "text", None, word='"NULL"', note="nothing but NULL"),
)  # fmt: skip
for unit, zone in (("s", None), ("ms", None), ("us", None), ("ms", "UTC"), ("us", "UTC"), ("us", "Europe/Berlin")):
    TYPES[str(pa.timestamp(unit, zone))] = pa.timestamp(unit, zone)


class FromParquet:
    """A file a group of cases."""

    title = "Parquet"
    cases: Sequence[Case] = CASES

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, itertools.count()

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        name = f"originals_{next(self._names)}.parquet"
        columns = [pa.array(values, TYPES[case.type]) for case, values in zip(cases, padded(cases), strict=True)]
        ids = pa.array(range(1, len(columns[0]) + 1), pa.int32())
        table = pa.table([ids, *columns], names=["id", *(f"c{number}" for number in range(len(cases)))])
        pq.write_table(table, self._folder / name)
        return Files(root=str(self._folder)), Stream("originals", FilesStream(path=name))
