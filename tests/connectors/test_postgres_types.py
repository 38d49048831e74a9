"""What a DuckDB value is once it is in PostgreSQL: exact, widened as declared, or refused in words; never silent."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.demo.postgres import PostgresServer

DATABASE = "typed"


@dataclass(frozen=True)
class Kept:
    """A DuckDB expression, the PostgreSQL type and DuckDB word of its column, and the value as PostgreSQL writes it."""

    sql: str
    declared: str
    word: str
    text: str | None


# By hand: what PostgreSQL's own output functions write for the value on the left.
KEPT = [
    Kept("true", "boolean", "BOOLEAN", "true"),
    Kept("(-128)::TINYINT", "smallint", "SMALLINT", "-128"),
    Kept("(-32768)::SMALLINT", "smallint", "SMALLINT", "-32768"),
    Kept("(-2147483648)::INTEGER", "integer", "INTEGER", "-2147483648"),
    Kept("(-9223372036854775808)::BIGINT", "bigint", "BIGINT", "-9223372036854775808"),
    Kept("255::UTINYINT", "smallint", "SMALLINT", "255"),
    Kept("65535::USMALLINT", "integer", "INTEGER", "65535"),
    Kept("4294967295::UINTEGER", "bigint", "BIGINT", "4294967295"),
    Kept("18446744073709551615::UBIGINT", "numeric(20,0)", "DECIMAL(20,0)", "18446744073709551615"),
    Kept("(-99999999999999999999999999999999999999)::HUGEINT", "numeric(38,0)", "DECIMAL(38,0)", "-" + "9" * 38),
    Kept("12345::UHUGEINT", "numeric(38,0)", "DECIMAL(38,0)", "12345"),
    Kept("(-1234.5600)::DECIMAL(10,4)", "numeric(10,4)", "DECIMAL(10,4)", "-1234.5600"),
    Kept(f"0.{'0' * 37}1::DECIMAL(38,38)", "numeric(38,38)", "DECIMAL(38,38)", f"0.{'0' * 37}1"),
    Kept(f"{'9' * 38}::DECIMAL(38,0)", "numeric(38,0)", "DECIMAL(38,0)", "9" * 38),
    Kept("'-0.0'::FLOAT", "real", "FLOAT", "-0"),
    Kept("'nan'::FLOAT", "real", "FLOAT", "NaN"),
    Kept("0.1::DOUBLE", "double precision", "DOUBLE", "0.1"),
    Kept("5e-324::DOUBLE", "double precision", "DOUBLE", "5e-324"),
    Kept("'-inf'::DOUBLE", "double precision", "DOUBLE", "-Infinity"),
    Kept("'ä ''\"\\ 🛩' || chr(10)", "text", "VARCHAR", "ä '\"\\ 🛩\n"),
    Kept("''", "text", "VARCHAR", ""),
    Kept("NULL::VARCHAR", "text", "VARCHAR", None),
    Kept("NULL", "integer", "INTEGER", None),
    Kept("'\\x00\\xFF'::BLOB", "bytea", "BLOB", "\\x00ff"),
    Kept("DATE '0001-01-01'", "date", "DATE", "0001-01-01"),
    Kept("DATE '9999-12-31'", "date", "DATE", "9999-12-31"),
    Kept("DATE '0044-03-15 (BC)'", "date", "DATE", "0044-03-15 BC"),
    Kept("'-infinity'::DATE", "date", "DATE", "-infinity"),
    Kept("TIME '24:00:00'", "time without time zone", "TIME", "24:00:00"),
    Kept("TIMETZ '12:34:56.123456+05:30'", "time with time zone", "TIME WITH TIME ZONE", "12:34:56.123456+05:30"),
    Kept("TIMESTAMP '0001-01-01 00:00:00'", "timestamp without time zone", "TIMESTAMP", "0001-01-01 00:00:00"),
    Kept(
        "TIMESTAMP '9999-12-31 23:59:59.999999'",
        "timestamp without time zone",
        "TIMESTAMP",
        "9999-12-31 23:59:59.999999",
    ),
    Kept("'infinity'::TIMESTAMP", "timestamp without time zone", "TIMESTAMP", "infinity"),
    Kept("TIMESTAMP_S '2020-01-01 00:00:01'", "timestamp without time zone", "TIMESTAMP", "2020-01-01 00:00:01"),
    Kept("TIMESTAMP_MS '2020-01-01 00:00:00.5'", "timestamp without time zone", "TIMESTAMP", "2020-01-01 00:00:00.5"),
    Kept(
        "TIMESTAMP_NS '2020-01-01 00:00:00.123456'",
        "timestamp without time zone",
        "TIMESTAMP",
        "2020-01-01 00:00:00.123456",
    ),
    Kept("'infinity'::TIMESTAMP_NS", "timestamp without time zone", "TIMESTAMP", "infinity"),
    Kept("TIME_NS '01:02:03.5'", "time without time zone", "TIME", "01:02:03.5"),
    Kept(
        "TIMESTAMPTZ '2013-01-01 05:00:00.123456-05'",
        "timestamp with time zone",
        "TIMESTAMP WITH TIME ZONE",
        "2013-01-01 10:00:00.123456+00",
    ),
    Kept("'-infinity'::TIMESTAMPTZ", "timestamp with time zone", "TIMESTAMP WITH TIME ZONE", "-infinity"),
    # Months, days and microseconds stay apart: a day is not always 24 hours.
    Kept("INTERVAL '14 months -3 days 25:00:00.5'", "interval", "INTERVAL", "1 year 2 mons -3 days +25:00:00.5"),
    Kept("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "uuid", "UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    # jsonb: the numbers to the last digit; order of keys and blanks are PostgreSQL's.
    Kept(
        '\'{"b": 123456789012345678901234567890.10,   "a": null}\'::JSON',
        "jsonb",
        "JSON",
        '{"a": null, "b": 123456789012345678901234567890.10}',
    ),
    Kept("'it''s ok'::ENUM('sad', 'it''s ok')", "text", "VARCHAR", "it's ok"),
    Kept("[1, NULL, 3]", "integer[]", "INTEGER[]", "{1,NULL,3}"),
    Kept("[]::BIGINT[]", "bigint[]", "BIGINT[]", "{}"),
    Kept("[1, 2]::INTEGER[2]", "integer[]", "INTEGER[]", "{1,2}"),
    Kept("[[1, 2], [3, NULL]]", "integer[]", "INTEGER[][]", "{{1,2},{3,NULL}}"),
    Kept("[[['a'], ['b']]]", "character varying[]", "VARCHAR[][][]", "{{{a},{b}}}"),
    Kept("['a,b', 'c\"d', '', NULL, 'NULL']", "character varying[]", "VARCHAR[]", '{"a,b","c\\"d","",NULL,"NULL"}'),
    Kept("[1::UTINYINT]", "smallint[]", "SMALLINT[]", "{1}"),
    Kept("[1.50::DECIMAL(4,2), NULL]", "numeric(4,2)[]", "DECIMAL(4,2)[]", "{1.50,NULL}"),
    Kept("[[18446744073709551615::UBIGINT]]", "numeric(20,0)[]", "DECIMAL(20,0)[][]", "{{18446744073709551615}}"),
    Kept("['x'::ENUM('x')]", "character varying[]", "VARCHAR[]", "{x}"),
    Kept("['nan'::DOUBLE, 1.5]", "double precision[]", "DOUBLE[]", "{NaN,1.5}"),
    Kept(
        "[TIMESTAMPTZ '2013-01-01 00:00:00+00', 'infinity']",
        "timestamp with time zone[]",
        "TIMESTAMP WITH TIME ZONE[]",
        '{"2013-01-01 00:00:00+00",infinity}',
    ),
    Kept("[TIMETZ '12:34:56+05:30']", "time with time zone[]", "TIME WITH TIME ZONE[]", "{12:34:56+05:30}"),
    Kept("['\\x00'::BLOB]", "bytea[]", "BLOB[]", '{"\\\\x00"}'),
    Kept("['{\"a\": 1.10}'::JSON]", "jsonb[]", "JSON[]", '{"{\\"a\\": 1.10}"}'),
    # What has fields is a document there: declared, and numbers keep their digits.
    Kept(
        "{'b': 12345678901234567890.123456::DECIMAL(38,6), 'a': [1]}",
        "jsonb",
        "JSON",
        '{"a": [1], "b": 12345678901234567890.123456}',
    ),
    Kept("MAP {1: 'x'}", "jsonb", "JSON", '{"1": "x"}'),
    Kept("[{'a': DATE '2020-01-01'}]", "jsonb", "JSON", '[{"a": "2020-01-01"}]'),
]

UNKNOWN_TYPES = [
    "'101'::BIT",
    "union_value(a := 1)",
    "{'a': '{}'::JSON}",  # DuckDB passes numbers of JSON inside a structure through a double
]
REFUSED_VALUES = {
    "'a' || chr(0) || 'b'": "NUL character",
    "['a' || chr(0)]": "NUL character",
    "{'a': chr(0)}": "u0000",
    "170141183460469231731687303715884105727::HUGEINT": r"DECIMAL\(38,0\)",
    "DATE '5877642-06-25 (BC)'": "out of range",
    "DATE '5881580-07-10'": "out of range",
    "TIMESTAMP '290309-12-22 (BC) 00:00:00'": "holds no such value: 290309-12-22",
    "[TIMESTAMP '290309-12-22 (BC) 00:00:00']": "holds no such value",
    "TIMESTAMP_NS '2020-01-01 00:00:00.123456789'": "nanoseconds in 2020-01-01 00:00:00.123456789",
    "[TIME_NS '01:02:03.123456789']": "nanoseconds in",
    "TIME_NS '01:02:03.123456789'": "nanoseconds in 01:02:03.123456789",
    "[TIMESTAMP_NS '2020-01-01 00:00:00.123456789']": "nanoseconds in",
    "[[1, 2], [3]]": "matching dimensions",
    "[[1, 2], NULL]": "matching dimensions",
    "[[], []]::INTEGER[][]": "an empty list inside",
    "[[[1]], [[]]]::INTEGER[][][]": "an empty list inside",
    "{'a': 'nan'::DOUBLE}": "NaN",
}


@pytest.fixture(scope="module")
def destination(postgres_server: PostgresServer) -> Iterator[PostgresDestination]:
    postgres_server.execute(f"CREATE DATABASE {DATABASE}")
    postgres_server.execute("CREATE SCHEMA raw", DATABASE)
    yield PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=DATABASE, user="postgres",
        password=postgres_server.password,
    )  # fmt: skip
    postgres_server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def write(destination: PostgresDestination, sql: str, name: str) -> None:
    """A first load of one row, and a second one appended to it."""
    target = Table("raw", name)
    session = destination.session()
    try:
        staged = session.stage(f"SELECT {sql} AS v", target)
        described = session.in_engine(f'DESCRIBE "{staged.schema}"."{staged.name}"')
        session.publish_as_new(staged, target)
        # What the contract compares: the type as it will be against the type as it is.
        assert session.stored([Column("v", described[0][1])]) == session.columns(target)
        incoming = session.bring(staged)
        assert (
            session.execute(f'INSERT INTO "raw"."{name}" (v) SELECT v FROM "{incoming.schema}"."{incoming.name}"') == 1
        )
        assert session.append(target, f'SELECT * FROM "{staged.schema}"."{staged.name}"') == 1
        session.commit()
    finally:
        session.close()


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.sql)
def test_a_value_arrives_as_declared(
    destination: PostgresDestination, postgres_server: PostgresServer, kept: Kept
) -> None:
    name = f"t{KEPT.index(kept)}"
    write(destination, kept.sql, name)
    found = postgres_server.execute(
        f"SET timezone = 'UTC'; SELECT v::text, pg_typeof(v)::text, format_type(atttypid, atttypmod) "
        f"FROM raw.{name}, pg_attribute WHERE attrelid = 'raw.{name}'::regclass AND attname = 'v'",
        DATABASE,
    )
    assert [text for text, *_ in found] == [kept.text] * 3
    assert {declared for *_, declared in found} == {kept.declared}
    session = destination.session()
    try:
        assert session.columns(Table("raw", name)) == (Column("v", kept.word),)
    finally:
        session.close()


@pytest.mark.parametrize("sql", UNKNOWN_TYPES)
def test_a_type_without_a_counterpart_is_refused(destination: PostgresDestination, sql: str) -> None:
    with pytest.raises(ConfigError, match=r"\[postgres.type\].* exactly(.|\n)*cast the column"):
        write(destination, sql, "refused")


@pytest.mark.parametrize("sql", REFUSED_VALUES)
def test_a_value_that_does_not_fit_is_refused(destination: PostgresDestination, sql: str) -> None:
    with pytest.raises(DataError, match=REFUSED_VALUES[sql]) as caught:
        write(destination, sql, "refused")
    assert caught.value.code == "postgres.value"
    session = destination.session()
    try:
        assert session.columns(Table("raw", "refused")) is None
    finally:
        session.close()


def test_tables_of_others_are_described_as_they_are(
    destination: PostgresDestination, postgres_server: PostgresServer
) -> None:
    # What rounds, pads or cuts is no plain type: the contract then sees a difference and says so.
    made = {
        "varchar(7)": "VARCHAR(7)", "char(5)": "CHARACTER(5)", "name": "NAME",
        "timestamp(3)": "TIMESTAMP(3) WITHOUT TIME ZONE",
        "numeric": "NUMERIC", "numeric(40,2)": "NUMERIC(40,2)", "inet": "INET", "json": "JSON", "text[]": "VARCHAR[]",
        "int[][]": "INTEGER[][]", "numeric(4,1)[]": "DECIMAL(4,1)[]", "raw.positive": "INTEGER",
    }  # fmt: skip
    listed = ", ".join(f"c{number} {kind}" for number, kind in enumerate(made))
    postgres_server.execute(
        f"CREATE DOMAIN raw.positive AS int CHECK (VALUE > 0); CREATE TABLE raw.others ({listed})", DATABASE
    )
    session = destination.session()
    try:
        found = session.columns(Table("raw", "others"))
        assert found is not None
        assert dict(zip(made, (column.type for column in found), strict=True)) == made
        # Other types than COPY's binary form has: the server casts them.
        postgres_server.execute("CREATE TABLE raw.cast_there (a bigint, b text[], c json)", DATABASE)
        query = "SELECT 1::SMALLINT, ['x'], '{\"b\":  1}'::JSON"
        assert session.append(Table("raw", "cast_there"), query) == 1
        assert session.query("SELECT a, b, c::VARCHAR FROM raw.cast_there") == [(1, ["x"], '{"b": 1}')]
    finally:
        session.close()
