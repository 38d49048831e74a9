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


def shout_once(reader: pa.RecordBatchReader) -> Any:
    return reader.read_all()


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


def every_second(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    schema = pa.schema([("id", pa.int64()), ("half", pa.float64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            kept = batch.filter(pc.equal(pc.bit_wise_and(batch["id"], 1), 0))
            ids = kept["id"].cast(pa.int64())
            yield pa.RecordBatch.from_arrays([ids, pc.divide(ids.cast(pa.float64()), 2.0)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def breaks_late(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from reader
        raise ValueError("too late for name 0")

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def by_tens(frame: Any) -> Any:
    import polars as pl

    return frame.group_by((pl.col("id") % 10).alias("digit")).agg(pl.len().alias("rows"), pl.col("id").sum())


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("CREATE TABLE input AS SELECT range::INTEGER AS id, 'name ' || range AS name FROM range(5000)")
        yield made


def run(connection: duckdb.DuckDBPyConnection, *steps: Transformation) -> tuple[transform.Query, list[tuple[Any, ...]]]:
    with step_functions.opened(connection) as functions:
        query = transform.compose("SELECT * FROM input", columns_of(connection), steps, None, functions)
        functions.run()
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


def test_all_rows_go_through_a_reader_and_come_back(connection: duckdb.DuckDBPyConnection) -> None:
    half = {"function": f"{HERE}:every_second", "takes": "reader", "columns": {"half": "double", "id": "integer"}}
    before = step("filter", "id < 100")
    query, rows = run(connection, before, step("python", half), step("derive", {"twice": "half * 2"}))
    assert query.columns == ("half", "id", "twice")
    assert sorted(rows) == [(each / 2, each, float(each)) for each in range(0, 100, 2)]
    assert query.makes_rows
    assert [origin.column for origin in query.lineage.columns["twice"]] == [
        "id",
        "name",
    ]  # all it reads: nothing was declared


def test_two_functions_over_all_rows_follow_each_other(connection: duckdb.DuckDBPyConnection) -> None:
    half = {"function": f"{HERE}:every_second", "takes": "reader", "columns": {"id": "integer"}, "reads": ["id"]}
    tens = {
        "function": f"{HERE}:by_tens",
        "takes": "polars",
        "columns": {"digit": "tinyint", "rows": "int", "id": "int"},
    }
    query, rows = run(connection, step("python", half), step("python", tens))
    # Of 0 to 4999 the even ones: 500 end on each of 0, 2, 4, 6, 8; those on 0 are 10 * (0 + ... + 499).
    assert [row[:2] for row in sorted(rows)] == [(digit, 500) for digit in (0, 2, 4, 6, 8)]
    assert sorted(rows)[0][2] == 10 * 499 * 500 // 2
    assert query.columns == ("digit", "rows", "id")


@pytest.mark.parametrize(
    ("function", "columns", "code"),
    [
        ("breaks_late", {"id": "integer"}, "python.failed"),
        ("every_second", {"name": "varchar"}, "function.columns"),
        ("every_second", {"half": "tinyint"}, "function.type"),  # up to 2499
        ("length", {"length": "integer"}, "python.failed"),
        ("shout_once", {"name": "varchar"}, "python.gave"),
    ],
)
def test_what_a_function_over_all_rows_does_wrong_is_told(
    connection: duckdb.DuckDBPyConnection, function: str, columns: dict[str, str], code: str
) -> None:
    with pytest.raises(DataflowError) as raised:
        run(connection, step("python", {"function": f"{HERE}:{function}", "takes": "reader", "columns": columns}))
    assert raised.value.code == code
    assert "name 0" not in str(raised.value)
    left = "SELECT count(*) FROM duckdb_views() WHERE view_name LIKE '_dataflow_rows%'"
    assert connection.execute(left).fetchall() == [(0,)]


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
