"""One transformation, run by DuckDB over a small table as the engine composes it."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pytest

from dataflow_platform.core import registry
from dataflow_platform.core.base import Column, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import transform

Columns = Sequence[Column]


def step(name: str, value: Any) -> Transformation:
    """The step as YAML says it."""
    cls: Any = registry.transformation(name)
    made: Transformation = cls.model_validate(value)
    return made


def columns_of(connection: duckdb.DuckDBPyConnection) -> list[Column]:
    """The columns of the table `input`."""
    return [Column(str(name), str(kind)) for name, kind, *_ in connection.execute("DESCRIBE input").fetchall()]


def run(connection: duckdb.DuckDBPyConnection, *steps: Transformation) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names and rows that the steps make of the table `input`."""
    query = transform.compose(connection, "SELECT * FROM input", columns_of(connection), steps, None)
    cursor = connection.execute(query.sql)
    assert tuple(column[0] for column in cursor.description or ()) == query.columns
    return list(query.columns), cursor.fetchall()


def over(rows: str, *steps: Transformation) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The same over the rows of a SELECT."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE input AS {rows}")
        return run(connection, *steps)


def refusal(name: str, value: Any, columns: Columns) -> ConfigError:
    """What a step over ``columns`` is refused with, when it is read or when it is applied."""
    with pytest.raises(ConfigError) as caught:
        step(name, value).apply(columns)
    assert caught.value.fix
    return caught.value
