"""Columns computed by functions of Python."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dataflow_platform.core.base import Transformation
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from dataflow_platform.engine import step_functions, transform
from tests.transformations.stepping import columns_of, step

HERE = __name__
BATCHES: list[int] = []


def length(batch: pa.RecordBatch) -> dict[str, Any]:
    BATCHES.append(batch.num_rows)
    return {"length": pc.utf8_length(batch["name"])}


def shout(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pc.utf8_upper(batch["name"])], names=["name"])


def too_few(batch: pa.RecordBatch) -> dict[str, Any]:
    return {"length": pc.utf8_length(batch["name"]).slice(1)}


def too_long(batch: pa.RecordBatch) -> dict[str, Any]:
    return {"length": pa.array([300] * batch.num_rows)}


def angry(batch: pa.RecordBatch) -> dict[str, Any]:
    raise ValueError(f"I do not like {batch['name'][0]}")


def polite(batch: pa.RecordBatch) -> Any:
    import polars as pl

    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame.select(pl.col("id") * 2)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("CREATE TABLE input AS SELECT range::INTEGER AS id, 'name ' || range AS name FROM range(5000)")
        yield made


def run(connection: duckdb.DuckDBPyConnection, *steps: Transformation) -> tuple[transform.Query, list[tuple[Any, ...]]]:
    with step_functions.opened(connection) as functions:
        query = transform.compose(
            connection, "SELECT * FROM input", columns_of(connection), steps, None, functions=functions
        )
        return query, connection.execute(query.sql).fetchall()


def test_a_column_is_added_and_one_replaced_in_place(connection: duckdb.DuckDBPyConnection) -> None:
    added = step("python", {"function": f"{HERE}:length", "columns": {"length": "tinyint"}})
    shouted = step("python", {"function": f"{HERE}:shout", "columns": {"name": "varchar"}, "reads": ["name"]})
    doubled = step("python", {"function": f"{HERE}:polite", "columns": {"id": "bigint"}, "reads": ["id"]})
    query, rows = run(connection, added, shouted, doubled)
    assert query.columns == ("id", "name", "length")
    assert sorted(rows)[7] == (14, "NAME 7", 6)  # 'name 7' has six letters
    assert [len(rows), sum(row[0] for row in rows)] == [5000, 4999 * 5000]  # twice the sum of 0 to 4999
    # What is not declared is computed from all that is read; `name` of the second step only from what it reads.
    assert {name: [each.column for each in origins] for name, origins in query.lineage.values().items()} == {
        "id": ["id"], "name": ["name"], "length": ["id", "name"],
    }  # fmt: skip


def test_a_filter_behind_it_does_not_call_it_twice(connection: duckdb.DuckDBPyConnection) -> None:
    BATCHES.clear()
    added = step("python", {"function": f"{HERE}:length", "columns": {"length": "integer"}})
    _, rows = run(connection, added, step("filter", "length > 8 and length < 100"))
    assert len(rows) == 4000  # 'name 1000' to 'name 4999' have nine letters
    assert sum(BATCHES) == 5000


@pytest.mark.parametrize(
    ("function", "columns", "code", "words"),
    [
        ("too_few", {"length": "integer"}, "python.rows", "2047 values for 2048 rows"),
        ("too_long", {"length": "tinyint"}, "function.type", "gave struct<length: int64>"),
        ("length", {"lenght": "integer"}, "python.columns", "did not give the column 'lenght'"),
        ("angry", {"length": "integer"}, "python.failed", "failed with ValueError at "),
    ],
)
def test_what_does_not_fit_is_told(
    connection: duckdb.DuckDBPyConnection, function: str, columns: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(DataflowError) as raised:
        run(connection, step("python", {"function": f"{HERE}:{function}", "columns": columns}))
    assert raised.value.code == code
    assert words in str(raised.value)
    assert "name 0" not in str(raised.value)  # no value of a row
    assert isinstance(raised.value, DataError) == (code != "python.columns")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"function": f"{HERE}:nothing", "columns": {"a": "integer"}}, "path.attribute"),
        ({"function": f"{HERE}:HERE", "columns": {"a": "integer"}}, "python.function"),
        ({"function": f"{HERE}:length", "columns": {"a": "intger"}}, "type.unknown"),
        (
            {"function": f"{HERE}:length", "columns": {"a": "int"}, "computed_from": {"b": ["id"]}},
            "python.computed_from",
        ),
    ],
)
def test_a_mistake_is_found_when_the_step_is_read(value: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError) as raised:
        step("python", value)
    assert raised.value.code == code


def test_functions_are_forgotten(connection: duckdb.DuckDBPyConnection) -> None:
    added = step("python", {"function": f"{HERE}:length", "columns": {"length": "integer"}})
    run(connection, added)
    left = "SELECT count(*) FROM duckdb_functions() WHERE function_name LIKE '_dataflow_python%'"
    assert connection.execute(left).fetchall() == [(0,)]
