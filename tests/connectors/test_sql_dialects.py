"""The SELECT of every SQL entry, compiled by its own SQLAlchemy dialect."""

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from dataflow_platform.connectors._adbc import AdbcSource
from dataflow_platform.connectors._sql import SqlAlchemySource, SqlStream, selecting
from dataflow_platform.connectors._sql.kinds import kind_of_words
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core import registry
from dataflow_platform.core.base import State, Stream, Window
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sample_connections import sample

COLUMNS = [
    Column("id", "BIGINT", "bigint"),
    Column("select", "TIMESTAMP", "timestamp"),
    Column("zoned", "TIMESTAMPTZ", "timestamp with time zone"),
    Column("n", "NUMBER", "numeric"),
    Column("raw", "VARCHAR", "varchar"),
    Column("two words", "VARCHAR", "varchar"),
]
# What each system is asked for those columns (`raw` as text) of `sales."order items"`, with the cursor `id` at 5:
# compiled once with every dialect installed, and read one by one.
COMPILED: dict[str, str] = json.loads(Path(__file__).with_name("sql_dialects.json").read_text())


def entries() -> dict[str, type[SqlAlchemySource | AdbcSource]]:
    found = {name: registry.roles(name).get("source") for name in registry.names("connectors")}
    # JDBC's SELECTs are of no dialect of SQLAlchemy.
    return {name: kind for name, kind in found.items() if kind and issubclass(kind, SqlAlchemySource | AdbcSource)}


ENTRIES = entries()


def dialect_of(source: SqlAlchemySource | AdbcSource) -> Any:
    from sqlalchemy import exc

    if isinstance(source, AdbcSource):
        return source.dialect()
    try:
        return source.address().get_dialect()()
    except exc.NoSuchModuleError:
        pytest.skip(f"no dialect here: pip install {' '.join(source.facts.packages)}")


def compiled(name: str, cursor: str | None, state: State) -> Any:
    source = sample(ENTRIES[name])
    assert isinstance(source, SqlAlchemySource | AdbcSource)
    dialect = dialect_of(source)
    origin = selecting.origin("order items", "sales", None, [column.name for column in COLUMNS])
    statement = selecting.select(origin, COLUMNS, ["raw"], source.facts, dialect)
    stream = Stream("s", SqlStream(), cursor)
    asked = selecting.condition(origin, COLUMNS, stream, state, source.facts, source.filtered(), dialect, "here")
    return (statement if asked is None else statement.where(asked)).compile(dialect=dialect)


def test_no_entry_is_forgotten() -> None:
    assert set(COMPILED) == set(ENTRIES)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.evidence(name, "source", "contract")) for name in sorted(COMPILED)]
)
def test_the_select_of_each_system(name: str, ran_against: RanAgainst) -> None:
    made = compiled(name, "id", State("5"))
    assert " ".join(str(made).split()) == COMPILED[name]
    assert list(made.params.values()) == [5]
    source = sample(ENTRIES[name])
    assert isinstance(source, SqlAlchemySource | AdbcSource)
    dialect = "of ours" if isinstance(source, AdbcSource) else source.address().drivername
    ran_against(source, f"the dialect {dialect} under SQLAlchemy {sqlalchemy.__version__}, no server")


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_a_window_is_bound_or_left_to_the_engine(name: str) -> None:
    if name == "firebird":
        pytest.skip("its dialect asks the server for its version before it writes a timestamp")
    window = State(window=Window("select", dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1)))
    values = list(compiled(name, None, window).params.values())
    if "TIMESTAMP" not in ENTRIES[name].facts.filtered:
        assert values == []
        return
    slack = dt.timedelta(seconds=ENTRIES[name].facts.clock_slack)
    assert values == [dt.datetime(2020, 1, 1) - slack, dt.datetime(2020, 2, 1) + slack]


def test_a_clock_of_its_own_reads_a_little_more() -> None:
    # SQL Server's DATETIME counts in 1/300 s: what reads .500 may be compared as .4966667 or .5033333.
    (bound,) = compiled("sqlserver", "select", State("2020-01-01 00:00:00.5")).params.values()
    assert bound == dt.datetime(2020, 1, 1, 0, 0, 0, 490_000)


@pytest.mark.parametrize(
    ("name", "words", "kind"),
    [
        ("sqlserver", "TINYINT", "UTINYINT"),
        ("sqlserver", "MONEY", "DECIMAL(19,4)"),
        ("sqlserver", "NVARCHAR(max) COLLATE Latin1_General_CI_AS", "VARCHAR"),
        ("sqlserver", "TIMESTAMP", "BLOB"),  # a row version
        ("sqlserver", "DATETIMEOFFSET(7)", "TIMESTAMPTZ"),
        ("oracle", "DATE", "TIMESTAMP"),
        ("oracle", "NUMBER", "NUMBER"),
        ("oracle", "NUMBER(10, 2)", "DECIMAL(10,2)"),
        ("oracle", "NUMBER(5, -2)", "DECIMAL(7,0)"),  # hundreds
        ("oracle", "FLOAT(126)", "NUMBER"),
        ("oracle", "TIMESTAMP(9) WITH LOCAL TIME ZONE", "TIMESTAMPTZ"),
        ("oracle", "INTERVAL DAY TO SECOND", None),
        ("snowflake", "TIMESTAMP_LTZ(9)", "TIMESTAMPTZ"),
        ("snowflake", "DECIMAL(38, 0)", "DECIMAL(38,0)"),
        ("bigquery", "INT64", "BIGINT"),
        ("bigquery", "NUMERIC(10,2)", "DECIMAL(10,2)"),
        ("bigquery", "BIGNUMERIC(50,10)", "NUMBER"),
        ("bigquery", "timestamp(12)", None),  # picoseconds
        ("bigquery", "BIGNUMERIC", "NUMBER"),
        ("bigquery", "STRUCT<a INT64, b STRING>", "JSON"),
        ("trino", "timestamp(6) with time zone", "TIMESTAMPTZ"),
        ("trino", "row(a bigint, b varchar(10))", "JSON"),
        ("trino", "time(3) with time zone", None),
        ("db2", "DECFLOAT", "NUMBER"),
        ("saphana", "TINYINT", "UTINYINT"),
        ("vertica", "INTEGER", "BIGINT"),
        ("cratedb", "char", "TINYINT"),
        ("starrocks", "largeint", "NUMBER"),
        ("doris", "decimalv3(10,2)", "DECIMAL(10,2)"),
        ("doris", "tinyint(1)", "BOOLEAN"),
        ("doris", "bigint unsigned", "NUMBER"),
        ("spanner", "NUMERIC", "DECIMAL(38,9)"),
        ("citus", "numeric(50,10)", "NUMBER"),
        ("citus", "time with time zone", None),
        ("citus", "money", None),
    ],
)
def test_the_words_of_types(name: str, words: str, kind: str | None) -> None:
    assert kind_of_words(words, ENTRIES[name].facts.kinds) == kind


def test_what_carries_the_last_digit_of_sql_servers_times() -> None:
    facts = ENTRIES["sqlserver"].facts
    columns = [Column(word, "TIMESTAMP", word) for word in ("datetime2(7)", "datetimeoffset", "datetime")]
    from sqlalchemy.dialects import mssql

    origin = selecting.origin("t", None, None, [column.name for column in columns])
    text = str(selecting.select(origin, columns, [], facts, mssql.dialect()).compile(dialect=mssql.dialect()))
    assert "CONVERT(VARCHAR(33), [datetime2(7)], 121)" in text
    assert "SWITCHOFFSET(datetimeoffset, '+00:00')" in text
    assert "t.datetime" in text


def test_values_are_parameters() -> None:
    for name in ("sqlserver", "oracle", "citus", "doris"):
        assert not re.search(r"\b5\b", str(compiled(name, "id", State("5"))))
