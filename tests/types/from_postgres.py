"""PostgreSQL's types and values; what each means is written by hand, and the server is asked whether it agrees."""
# ruff: noqa: E501  # one case a line

import itertools
from collections.abc import Sequence

from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.core.base import Source, Stream
from dataflow_platform.demo.postgres import PostgresServer
from tests.types.case import Case, padded

SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', '');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN price AS numeric(12,4);
CREATE CAST (bytea AS xml) WITHOUT FUNCTION;
CREATE TYPE hstore;
CREATE FUNCTION hstore_in(cstring) RETURNS hstore LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION hstore_out(hstore) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE hstore (INPUT = hstore_in, OUTPUT = hstore_out, LIKE = text);
"""
"""The tests' server has neither libxml nor the extension hstore. It stores xml all the same, where nothing parses it;
hstore is a base type of that name, outside of pg_catalog as the extension's is, and keeps the text it was given."""
BIG_JSON = '{"b": 123456789012345678901234567890, "a": 0.10, "a":  12345678901234567.89, "n": null}'
LONG = "1234567890123456789012345678901234567890.01234567890123456789"

CASES = (
    Case("boolean", "bool", ("true", "false"), word="BOOLEAN"),
    Case("smallint", "int", ("-32768", "32767"), word="SMALLINT"),
    Case("integer", "int", ("-2147483648", "2147483647"), word="INTEGER"),
    Case("bigint", "int", ("-9223372036854775808", "9223372036854775807"), word="BIGINT"),
    Case("oid", "int", ("0", "4294967295")),
    Case("numeric(9,2)", "decimal", ("-1234567.89", "0.00"), word="DECIMAL(9,2)"),
    Case("numeric(38,0)", "decimal", ("9" * 38, "-" + "9" * 38), word="DECIMAL(38,0)"),
    Case("numeric(38,38)", "decimal", ("0." + "9" * 38,), word="DECIMAL(38,38)"),
    Case("numeric(60,20)", "decimal", (LONG, f"-{LONG}")),
    Case("numeric(5,-2)", "decimal", ("12300", "-9999900")),
    Case("numeric", "text", ("1.10", "1e-30", "1" * 80, "NaN", "Infinity"), ("1.10", "0." + "0" * 29 + "1", "1" * 80, "NaN", "Infinity"), note="every digit"),
    Case("numeric(10,2)", "decimal", ("NaN",), note="NaN"),
    Case("real", "float", ("0.1", "1e-45", "-0.0", "NaN", "Infinity", "-Infinity"), (0.10000000149011612, 2**-149, "-0.0", "nan", "inf", "-inf"), word="FLOAT"),
    Case("double precision", "float", ("0.1", "5e-324", "-0.0", "1.7976931348623157e308", "NaN", "Infinity", "-Infinity"), word="DOUBLE"),
    Case("text", "text", ("", " a ", "NULL", "ä ß 日本 🛩 e\u0301 \u202e", "\t\n\r\x01\x7f", "'\"\\%{}$1"), word="VARCHAR"),
    Case("character varying(7)", "text", ("", "seven 7"), word="VARCHAR"),
    Case("character(5)", "text", ("ab", ""), ("ab   ", "     "), note="with its blanks", word="VARCHAR"),
    Case("name", "text", ("pg_class",)),
    Case('"char"', "text", ("x",)),
    Case("bytea", "bytes", (r"\x", r"\x00ff10"), (b"", b"\x00\xff\x10"), word="BLOB"),
    Case("uuid", "uuid", ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",), word="UUID"),
    Case("date", "date", ("0001-01-01", "9999-12-31", "0044-03-15 BC"), word="DATE"),
    Case("date", "date", ("infinity", "-infinity"), note="infinity", word="DATE"),
    Case("time without time zone", "time", ("00:00:00", "23:59:59.999999", "12:34:56.123456"), word="TIME"),
    Case("time without time zone", "time", ("24:00:00",), note="24:00", word="TIME"),
    Case("time with time zone", "timetz", ("12:34:56.123456+05:30", "00:00:00-11"), word="TIME WITH TIME ZONE"),
    Case("timestamp without time zone", "timestamp", ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "0044-03-15 12:00:00 BC"), word="TIMESTAMP"),
    Case("timestamp without time zone", "timestamp", ("infinity", "-infinity"), note="infinity", word="TIMESTAMP"),
    Case("timestamp(3) without time zone", "timestamp", ("2020-01-01 00:00:00.123",)),
    Case("timestamp with time zone", "timestamptz", ("2013-01-01 05:00:00.123456-05", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"), ("2013-01-01 10:00:00.123456+00", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"), word="TIMESTAMP WITH TIME ZONE"),
    Case("timestamp with time zone", "timestamptz", ("infinity",), note="infinity", word="TIMESTAMP WITH TIME ZONE"),
    Case("interval", "interval", ("14 months -3 days 25:00:00.5", "0", "-178 years"), ((14, -3, 90_000_500_000), (0, 0, 0), (-2136, 0, 0)), word="INTERVAL"),
    Case("interval", "interval", ("infinity",), ((0, 0, 0),), note="infinity"),
    Case("json", "json", (BIG_JSON,), note="a key twice"),
    Case("json", "json", ('{"b": 123456789012345678901234567890, "a":  0.10}', "null", '"x"'), note="", word="JSON"),
    Case("jsonb", "document", ('{"b": 123456789012345678901234567890.10, "a": 12345678901234567.89, "c": [1, {"d": null}]}', "[]"), word="JSON"),
    Case("mood", "text", ("sad", "it's ok", ""), note="an enum"),
    Case("positive", "int", ("7",), note="a domain of integer", word="INTEGER"),
    Case("price", "decimal", ("1.2345",), note="a domain of numeric(12,4)", word="DECIMAL(12,4)"),
    Case("integer[]", "list:int", ("{1,NULL,-3}", "{}"), ([1, None, -3], []), word="INTEGER[]"),
    Case("integer[][]", "list:int", ("{{1,2},{3,NULL}}",), ([[1, 2], [3, None]],), word="INTEGER[][]"),
    Case("text[]", "list:text", (r'{"a,b","c\"d","",NULL,"NULL"}', "{}"), (["a,b", 'c"d', "", None, "NULL"], []), word="VARCHAR[]"),
    Case("timestamp with time zone[]", "list:timestamptz", ('{"2013-01-01 00:00:00+00",NULL}',), (["2013-01-01 00:00:00+00", None],), word="TIMESTAMP WITH TIME ZONE[]"),
    Case("timestamp with time zone[]", "list:timestamptz", ('{infinity,"2013-01-01 00:00:00+00"}',), (["infinity", "2013-01-01 00:00:00+00"],), "infinity inside", "TIMESTAMP WITH TIME ZONE[]"),
    Case("numeric[]", "list:text", ("{1.10,NaN}",), (["1.10", "NaN"],)),
    Case("bytea[]", "list:bytes", (r'{"\\x00"}',), ([b"\0"],), word="BLOB[]"),
    Case("pair", "text", ('(1,"x y")', "(,)"), note="a composite"),
    Case("int4range", "text", ("[1,5)", "empty", "(,)")),
    Case("tstzrange", "text", ('["2020-01-01 00:00:00+00",)',)),
    Case("int4multirange", "text", ("{[1,3),[5,7)}",)),
    Case("money", "text", ("$12.34", "-$1,000.00")),
    Case("inet", "text", ("10.0.0.1/24", "::1"), ("10.0.0.1/24", "::1/128")),
    Case("cidr", "text", ("10.0.0.0/8",)),
    Case("macaddr", "text", ("08:00:2b:01:02:03",)),
    Case("bit(3)", "text", ("101",)),
    Case("bit varying", "text", ("", "1" * 70)),
    Case("point", "text", ("(1,2)",)),
    Case("tsvector", "text", ("'a' 'b'",)),
    Case("xml", "text", ("<a>ä &amp; b</a>", '<?xml version="1.0" encoding="latin1"?><a/>')),
    Case("hstore", "text", ('"a"=>"1", "b c"=>NULL', "")),
    Case("hstore[]", "list:text", (r'{"\"a\"=>\"1, 2\"",NULL}',), (['"a"=>"1, 2"', None],)),
    Case("pg_lsn", "text", ("16/B374D848",)),
)  # fmt: skip


class FromPostgres:
    """A database with one table a group of cases."""

    title = "PostgreSQL"
    cases: Sequence[Case] = CASES

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._server, self._database, self._names = server, database, itertools.count()
        server.execute(SETUP, database)

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        name = f"originals_{next(self._names)}"
        columns = ", ".join(f"c{number} {case.type}" for number, case in enumerate(cases))
        rows = zip(*padded(cases), strict=True)
        values = ", ".join(
            f"({id}, {', '.join(_value(*each) for each in zip(row, cases, strict=True))})"
            for id, row in enumerate(rows, 1)
        )
        self._server.execute(
            f"CREATE TABLE {name} (id int, {columns}); INSERT INTO {name} VALUES {values}", self._database
        )
        source = Postgres(
            host="127.0.0.1", port=self._server.port, database=self._database, user="postgres",
            password=self._server.password,
        )  # fmt: skip
        return source, Stream(name, PostgresStream(table=name))


def _value(value: object, case: Case) -> str:
    if value is None:
        return "NULL"
    text = "'" + str(value).replace("'", "''") + "'"
    return f"convert_to({text}, 'UTF8')::xml" if case.type == "xml" else text
