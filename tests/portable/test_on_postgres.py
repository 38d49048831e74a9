"""The steps run by PostgreSQL give what they give in DuckDB: values, types, NULLs, their order, collation."""

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from dataflow_platform.core.base import Column, Tables
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import portable, step_functions, transform
from dataflow_platform.engine.portable.query import SETTINGS
from tests.portable.compared import sorted_rows
from tests.portable.pipelines import PORTABLE, Pipeline, pipeline_of, steps_of
from tests.portable.rows import COLUMNS, Rows, rows_of, source

OTHER = (Column("t", "VARCHAR"), Column("i", "INTEGER"), Column("note", "VARCHAR"))
OTHER_ROWS: Rows = [("a", 1, "one"), ("A", 1, "One"), ("é", None, None), (None, 0, "zero"), ("", -7, "b")]
TABLES: Tables = {"side.other": OTHER}
_OIDS = {
    "BOOLEAN": 16, "SMALLINT": 21, "INTEGER": 23, "BIGINT": 20, "HUGEINT": 1700, "DOUBLE": 701, "VARCHAR": 25,
    "DATE": 1082, "TIMESTAMP": 1114, "TINYINT": 21,
}  # fmt: skip
"""The type PostgreSQL has to give for each of DuckDB's; 1700 is numeric."""


@pytest.fixture(scope="module")
def postgres(linguistic_postgres: Any) -> Any:
    """A cursor of a session with the settings the queries take for granted, and the table side.other."""
    for setting in SETTINGS["postgres"]:
        linguistic_postgres.execute(setting)
    linguistic_postgres.execute("DROP SCHEMA IF EXISTS side CASCADE; CREATE SCHEMA side")
    linguistic_postgres.execute(f"CREATE TABLE side.other AS {source(OTHER_ROWS, 'postgres', OTHER)}")
    return linguistic_postgres


@cache
def engine() -> duckdb.DuckDBPyConnection:
    """DuckDB with the table side.other; one for all tests, as opening one takes longer than most queries."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE SCHEMA side; CREATE TABLE side.other AS {source(OTHER_ROWS, 'duckdb', OTHER)}")
    return connection


def run_both(postgres: Any, pipeline: Pipeline, values: Rows, say: Callable[[str], object] = print) -> str | None:
    """Run the pipeline over ``values`` in both and compare; why nothing could be compared, if so."""
    import psycopg2

    connection = engine()
    steps = steps_of(pipeline)
    with step_functions.opened(connection) as functions:
        query = transform.compose(source(values, "duckdb"), COLUMNS, steps, None, functions, tables=TABLES)
    there = portable.translate(
        connection, query, COLUMNS, steps, source(values, "postgres"), "postgres", transform.by_position,
    )  # fmt: skip
    say(there.sql)
    try:
        expected = connection.execute(query.sql).fetchall()
    except duckdb.Error as error:
        with pytest.raises(psycopg2.Error):
            postgres.execute(there.sql)
        return str(error)
    types = [str(row[1]) for row in connection.execute(f"DESCRIBE {query.sql}").fetchall()]
    postgres.execute(there.sql)
    assert sorted_rows(postgres.fetchall()) == sorted_rows(expected)
    got = [column.type_code for column in postgres.description]
    assert got == [_OIDS.get(kind, 1700 if kind.startswith("DECIMAL") else None) for kind in types]
    return None


_seen: dict[str, int] = {}
EXAMPLES = 300
many = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@pytest.mark.timeout(1200)  # 40 s of a core, many more on a busy machine
@many
@given(st.randoms(use_true_random=True))
def test_generated_pipelines_give_the_same(postgres: Any, chance: Random) -> None:
    """Steps and expressions by chance, over rows by chance.

    Hypothesis gives the seed only: of its own choices three of four are the simplest there are, and 300 pipelines of
    them did not tell texts in another order.
    """
    values = rows_of(chance)
    pipeline = pipeline_of(chance, COLUMNS, OTHER)
    try:
        why = run_both(postgres, pipeline, values, note)
    except ConfigError as error:
        # The generator makes only what is said to hold.
        pytest.fail(f"{pipeline} was refused: {error}")
    for name, _ in pipeline:
        _seen[name] = _seen.get(name, 0) + (why is None)
    _seen["compared"] = _seen.get("compared", 0) + (why is None)
    _seen["failed in both"] = _seen.get("failed in both", 0) + (why is not None)


def test_what_was_generated_is_all_that_holds() -> None:
    """Of 300 at least 290 have rows to compare (the others fail in both), and every step is among them."""
    if not _seen:
        pytest.skip("it counts what the test before it has run")
    assert _seen["compared"] >= EXAMPLES - 10, _seen
    assert set(_seen) >= PORTABLE
