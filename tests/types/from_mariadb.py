"""MariaDB's types and values on a real server whose mode lets zero dates in; what each means is written by hand."""
# ruff: noqa: E501  # one case a line

import itertools
from collections.abc import Sequence

from dataflow_platform.connectors.mysql import MySQL, MySQLStream
from dataflow_platform.core.base import Source, Stream
from tests.fixtures.mariadb import MariaDBServer
from tests.types.case import Case, padded
from tests.types.from_postgres import BIG_JSON

NAUGHTY = ("", " a", "NULL", "ä ß 日本 🛩 e\u0301 \u202e", "\t\n\r\x01\x7f", "'\"\\%{}$1")
DIGITS_65 = "12345678901234567890123456789012345.123456789012345678901234567890"


def whole(kind: str, word: str, least: int, most: int) -> Case:
    return Case(kind, "int", (least, most), word=word)


def text(kind: str, *values: str, note: str = "", means: tuple[str, ...] | None = None) -> Case:
    return Case(kind, "text", tuple(map(chars, values)), means or values, note, "VARCHAR")


def chars(value: str) -> str:
    """A text as an expression that asks nothing of quotes, modes and connections."""
    return f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"


def raw(kind: str, *values: bytes, means: tuple[bytes, ...] | None = None) -> Case:
    return Case(kind, "bytes", tuple(f"X'{value.hex()}'" for value in values), means or values, word="BLOB")


def quoted(
    kind: str, family: str, *values: str, note: str = "", word: str = "", means: tuple[object, ...] | None = None
) -> Case:
    return Case(kind, family, tuple(f"'{value}'" for value in values), means or values, note, word)


CASES = (
    whole("tinyint", "TINYINT", -128, 127),
    whole("tinyint unsigned", "UTINYINT", 0, 255),
    Case("tinyint(1)", "int", (0, 1, 2, -128), word="TINYINT"),
    Case("boolean", "int", ("TRUE", "FALSE", 2), (1, 0, 2), word="TINYINT"),
    whole("smallint", "SMALLINT", -(2**15), 2**15 - 1),
    whole("smallint unsigned", "USMALLINT", 0, 2**16 - 1),
    whole("mediumint", "INTEGER", -(2**23), 2**23 - 1),
    whole("mediumint unsigned", "UINTEGER", 0, 2**24 - 1),
    whole("int", "INTEGER", -(2**31), 2**31 - 1),
    whole("int unsigned", "UINTEGER", 0, 2**32 - 1),
    whole("int(10) unsigned zerofill", "UINTEGER", 0, 7),
    whole("bigint", "BIGINT", -(2**63), 2**63 - 1),
    whole("bigint unsigned", "UBIGINT", 0, 2**64 - 1),
    Case("decimal(10,0)", "decimal", (-9999999999, 0), word="DECIMAL(10,0)"),
    Case("decimal(10,2) unsigned", "decimal", ("99999999.99", "0.01"), word="DECIMAL(10,2)"),
    Case("decimal(38,10)", "decimal", ("-1234567890123456789012345678.0123456789",), word="DECIMAL(38,10)"),
    Case("decimal(38,38)", "decimal", ("0." + "9" * 38,), word="DECIMAL(38,38)"),
    Case("decimal(65,0)", "decimal", ("9" * 65, "-" + "9" * 65)),
    Case("decimal(65,30)", "decimal", (DIGITS_65, f"-{DIGITS_65}")),
    Case("decimal(65,38)", "decimal", ("0." + "0" * 37 + "1",)),
    # The server writes 0 for -0 and takes neither NaN nor infinity.
    Case("float", "float", ("0.1e0", "16777215e0", "0.123456789e0", "1.17549435e-38", "3.4028234e38", "1e-45"), (0.10000000149011612, 16777215.0, 0.12345679104328156, 2**-126, 3.4028234663852886e38, 2**-149), word="FLOAT"),
    Case("double", "float", ("0.1e0", "1.7976931348623157e308", "5e-324", "0.30000000000000004e0"), (0.1, 1.7976931348623157e308, 5e-324, 0.30000000000000004), word="DOUBLE"),
    Case("double(10,3)", "float", ("1.2345e0",), (1.234,), word="DOUBLE"),
    Case("bit(1)", "bool", ("b'1'", "b'0'"), (True, False), word="BOOLEAN"),
    Case("bit(12)", "int", ("b'101010101010'",), (0b101010101010,), word="UBIGINT"),
    Case("bit(64)", "int", ("~0", "0"), (2**64 - 1, 0), word="UBIGINT"),
    Case("year", "int", (1901, 2155, "'0000'"), (1901, 2155, 0)),
    quoted("date", "date", "0001-01-01", "1000-01-01", "9999-12-31", word="DATE"),
    quoted("date", "date", "0000-00-00", note="zero"),
    quoted("date", "date", "2020-00-15", note="no month"),
    quoted("date", "date", "0000-01-01", note="year 0", word="DATE", means=("0001-01-01 BC",)),
    quoted("time", "interval", "00:00:00", "23:59:59", word="INTERVAL", means=((0, 0, 0), (0, 0, 86_399_000_000))),
    quoted("time(6)", "interval", "12:34:56.123456", means=((0, 0, 45_296_123_456),), word="INTERVAL"),
    quoted("time(6)", "interval", "838:59:58.123456", "-838:59:59", "-00:00:00.5", note="beyond 24 hours", means=((0, 0, 3_020_398_123_456), (0, 0, -3_020_399_000_000), (0, 0, -500_000)), word="INTERVAL"),
    quoted("datetime", "timestamp", "0001-01-01 00:00:00", "9999-12-31 23:59:59", word="TIMESTAMP"),
    quoted("datetime(3)", "timestamp", "2020-01-01 00:00:00.123", word="TIMESTAMP"),
    quoted("datetime(6)", "timestamp", "1000-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999", word="TIMESTAMP"),
    quoted("datetime", "timestamp", "0000-00-00 00:00:00", note="zero"),
    quoted("datetime", "timestamp", "2020-05-00 10:00:00", note="no day"),
    # The server's zone is five hours behind; the texts are read in it.
    quoted("timestamp NULL", "timestamptz", "2012-12-31 19:00:01", "2038-01-18 22:14:07", means=("2013-01-01 00:00:01+00", "2038-01-19 03:14:07+00"), word="TIMESTAMP WITH TIME ZONE"),
    quoted("timestamp(6) NULL", "timestamptz", "2013-01-01 05:00:00.123456", means=("2013-01-01 10:00:00.123456+00",), word="TIMESTAMP WITH TIME ZONE"),
    quoted("timestamp NULL", "timestamptz", "0000-00-00 00:00:00", note="zero"),
    text("char(5)", "ab", "", "a  b"),
    text("varchar(40)", *NAUGHTY, "trailing  "),
    text("varchar(9) CHARACTER SET latin1", "é€", ""),
    text("varchar(9) CHARACTER SET utf16", "🛩", ""),
    text("varchar(40) COLLATE utf8mb4_bin", *NAUGHTY),
    text("varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin", "a", "A "),
    text("tinytext", *NAUGHTY),
    text("text", *NAUGHTY, "x" * 60_000),
    text("mediumtext", "ß" * 70_000),
    text("longtext", *NAUGHTY),
    text("text", "a\0b", note="with NUL"),
    text("enum('sad', 'it''s ok', 'a,b', '日本', '')", "sad", "it's ok", "a,b", "日本", ""),
    text("enum('🛩')", "🛩", note="a label the server's own catalogue cannot tell"),
    quoted("enum('sad')", "text", "none of them", note="an invalid value"),
    text("set('x', 'y', 'z')", "x,z", "", "y"),
    raw("binary(3)", b"a", b"\x00\xff\x10", means=(b"a\x00\x00", b"\x00\xff\x10")),
    raw("varbinary(9)", b"", b"\x00\xff\x10", b"a "),
    raw("tinyblob", b"", b"\xff"),
    raw("blob", b"", b"\x00" * 1000),
    raw("mediumblob", b"\x00\xff" * 40_000),
    raw("longblob", b"", b"\xff\x00"),
    Case("json", "json", (chars('{"b": 123456789012345678901234567890, "a":  0.10}'), chars("null"), chars('"x"')), ('{"b": 123456789012345678901234567890, "a":  0.10}', "null", '"x"'), word="JSON"),
    Case("json", "json", (chars(BIG_JSON),), (BIG_JSON,), "a key twice", "JSON"),
    quoted("uuid", "uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", word="UUID"),
    quoted("inet4", "text", "10.0.0.1"),
    quoted("inet6", "text", "2001:db8::1", "::"),
    # Well-known binary of a point: byte order, type 1, x and y.
    Case("point", "bytes", ("ST_GeomFromText('POINT(1 2)')",), (bytes.fromhex("0101000000000000000000f03f0000000000000040"),)),
    Case("geometry", "bytes", ("ST_GeomFromText('POINT(1 2)', 4326)",), (b"",), "with an SRID"),
)  # fmt: skip


class FromMariaDB:
    """A database with one table a group of cases."""

    title = "MariaDB"
    cases: Sequence[Case] = CASES

    def __init__(self, server: MariaDBServer) -> None:
        self._server, self._names = server, itertools.count()
        server.execute("CREATE OR REPLACE DATABASE matrix CHARACTER SET utf8mb4")

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        name = f"originals_{next(self._names)}"
        columns = ", ".join(f"c{number} {case.type}" for number, case in enumerate(cases))
        rows = zip(*padded(cases), strict=True)
        values = ", ".join(
            f"({id}, {', '.join('NULL' if value is None else str(value) for value in row)})"
            for id, row in enumerate(rows, 1)
        )
        self._server.execute(f"CREATE TABLE {name} (id int, {columns}); INSERT INTO {name} VALUES {values}", "matrix")
        source = MySQL(host="127.0.0.1", port=self._server.port, database="matrix", user="root", password="")
        return source, Stream(name, MySQLStream())
