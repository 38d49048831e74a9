"""One transformation, run by DuckDB over a small table as the engine composes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pytest

from dataflow_platform.core import registry
from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import step_functions, transform

Columns = Sequence[Column]


def step(name: str, value: Any) -> Transformation:
    """The step as YAML says it."""
    cls: Any = registry.transformation(name)
    made: Transformation = cls.model_validate(value)
    return made


def columns_of(connection: duckdb.DuckDBPyConnection, table: str = "input") -> list[Column]:
    """The columns of a table."""
    return [Column(str(name), str(kind)) for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]


def run(connection: duckdb.DuckDBPyConnection, *steps: Transformation) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names and rows that the steps make of the table `input`."""
    tables = {name: columns_of(connection, name) for each in steps for name in each.upstream()}
    with step_functions.opened(connection) as functions:
        query = transform.compose("SELECT * FROM input", columns_of(connection), steps, None, functions, tables=tables)
        functions.run()
        cursor = connection.execute(query.sql)
        assert tuple(column[0] for column in cursor.description or ()) == (*query.columns, *query.hidden)
        return list(query.columns), cursor.fetchall()


def over(
    rows: str, *steps: Transformation, tables: Mapping[str, str] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The same over the rows of a SELECT, beside ``tables`` (``schema.table``) made by SELECTs."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE input AS {rows}")
        for name, made in (tables or {}).items():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}; CREATE TABLE {name} AS {made}")
        return run(connection, *steps)


def refusal(name: str, value: Any, columns: Columns, tables: Tables | None = None) -> ConfigError:
    """What a step over ``columns`` is refused with, when it is read or when it is applied."""
    with pytest.raises(ConfigError) as caught:
        step(name, value).apply(columns, tables or {})
    assert caught.value.fix
    return caught.value
