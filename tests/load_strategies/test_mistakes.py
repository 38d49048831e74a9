"""Options that do not fit the stream or the table, and schemas that change under a strategy's own columns."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import LoadStrategy, Window
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.partition import Partition
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3
from tests.load_strategies.batches import Loader, Row

ROW: Row = {"id": 1, "at": 1, "v": "a", "w": None, "gone": False}


@pytest.mark.parametrize(
    ("how", "strategy", "code"),
    [
        ("merge", Merge(delete_marker="v"), "merge.delete_marker"),
        ("merge", Merge(delete_marker="gnoe"), "column.unknown"),
        ("partition", Partition(), "partition.by"),
        ("partition", Partition(by=("day",)), "column.unknown"),
        ("scd2", Scd2(deletes="close"), "scd2.deletes"),
        ("scd2", Scd2(track=("x",)), "column.unknown"),
        ("scd3", Scd3(columns=("id",)), "scd3.columns"),
        ("scd3", Scd3(columns=("x",)), "column.unknown"),
        ("delta", Delta(deletes="soft", deleted_at="V"), "load_strategy.column_taken"),
    ],
)
def test_options_that_do_not_fit(warehouse: DuckDB, how: str, strategy: LoadStrategy, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Loader(warehouse, how, strategy, without=()).load([ROW])
    assert caught.value.code == code


def test_a_table_without_versions_is_no_history(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "append", Append())
    loader.load([ROW])
    with pytest.raises(ConfigError, match=r"no column '_valid_from': it was not loaded by 'scd2'"):
        replace(loader, how="scd2", strategy=Scd2()).load([ROW])


def test_a_soft_delete_begins_on_a_table_that_is_there(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "delta", Delta())
    loader.load([ROW, {**ROW, "id": 2}])
    record = replace(loader, strategy=Delta(deletes="soft")).load([ROW])
    assert record.rows_deleted == 1
    assert loader.found("_deleted_at IS NULL", of=("id",)) == [(1, True), (2, False)]


def test_a_table_with_a_key_twice_is_not_compared(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "append", Append())
    loader.load([ROW, ROW])
    with pytest.raises(DataError, match="look for keys the target holds twice"):
        replace(loader, how="delta", strategy=Delta()).load([ROW])
    assert loader.found(of=("id",)) == [(1,), (1,)]


class Typed(Loader):
    """Hands out a table as it is."""

    def arrow(self, rows: Any) -> pa.Table:
        return rows


def test_a_cursor_that_grows_and_a_new_column_change_no_version(warehouse: DuckDB) -> None:
    loader = Typed(warehouse, "scd2", Scd2())
    narrow = {"id": [1], "at": pa.array([1], pa.int32()), "x": pa.array([1], pa.int32())}
    wide = {"id": [1], "at": pa.array([2**40], pa.int64()), "x": pa.array([1], pa.int64()), "new": [None]}
    amount = pa.array([None], pa.decimal128(5, 1))
    loader.load(pa.table({**narrow, "amount": amount}))
    grown = pa.table({**wide, "new": pa.array([None], pa.string()), "amount": pa.array([None], pa.decimal128(9, 3))})
    # The same values in wider types, and a column that is NULL: nothing happened to the row.
    assert loader.load(grown).rows_loaded == 0
    record = loader.load(grown.set_column(3, "new", pa.array(["first value"])))
    assert (record.rows_loaded, record.rows_updated) == (1, 1)
    assert loader.found("_valid_from", "typeof(_valid_from)", of=("id",)) == [
        (1, 1, "BIGINT"),
        (1, 2**40, "BIGINT"),
    ]


@pytest.mark.parametrize(("before", "after"), [("5.1", "5.100"), ("0.0", "0.000"), ("100.0", "100.000")])
def test_a_decimal_that_gains_a_digit_is_the_same_value(warehouse: DuckDB, before: str, after: str) -> None:
    loader = Typed(warehouse, "scd2", Scd2())
    for number, (text, kind) in enumerate([(before, pa.decimal128(5, 1)), (after, pa.decimal128(9, 3))]):
        rows = pa.table({"id": [1], "at": [number], "x": pa.array([Decimal(text)], kind)})
        assert loader.load(rows).rows_loaded == 1 - number


def test_an_empty_partition_run_empties_its_range(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "partition", Partition(), key=False, clock=True)
    days = [datetime(2024, 1, day) for day in (1, 2, 3)]
    loader.load([{**ROW, "at": day} for day in days], Window("at", datetime(2024, 1, 1), datetime(2024, 1, 4)))
    start, end = (datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3))
    record = loader.load([], Window("at", start, end))
    assert (record.rows_read, record.rows_deleted) == (0, 1)
    assert loader.found(of=("at",)) == [(days[0],), (days[2],)]
