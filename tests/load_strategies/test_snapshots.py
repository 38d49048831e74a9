"""delta and partition against plain lists."""

from datetime import UTC
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Window
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.partition import Partition
from tests.load_strategies.batches import Loader, Row, as_set, batches, good, hours, many, names, newest

SHOWN = ("id", "at", "v", "w")


def listed(rows: list[Row], *extra: str) -> list[tuple[Any, ...]]:
    return as_set([[row[name] for name in (*SHOWN, *extra)] for row in rows])


@pytest.mark.parametrize("deletes", ["hard", "soft"])
@many
@given(sequence=batches(), spelled=names, cursor=st.booleans())
def test_delta(
    warehouse: DuckDB,
    sequence: list[list[Row]],
    spelled: dict[str, str],
    cursor: bool,
    deletes: Literal["hard", "soft"],
) -> None:
    loader = Loader(warehouse, "delta", Delta(deletes=deletes), spelled, cursor=cursor)
    extra = ["_deleted_at"] if deletes == "soft" else []
    table: dict[Any, Row] = {}
    for batch in sequence:
        # Without a cursor all columns decide, in their order and as text: `at` is first then, and has one digit.
        snapshot = newest(good(batch, "id"))
        gone = {key for key, row in table.items() if key not in snapshot and row["gone at"] is None}
        loaded = {
            key
            for key, row in snapshot.items()
            if key not in table or table[key]["gone at"] or any(table[key][name] != row[name] for name in SHOWN)
        }
        record = loader.load(batch)
        assert (record.rows_loaded, record.rows_deleted) == (len(loaded), len(gone))
        table |= {key: {**snapshot[key], "gone at": None} for key in loaded}
        for key in gone:
            table[key] = {**table[key], "gone at": record.started_at}
            if deletes == "hard":
                del table[key]
        assert loader.found(*extra) == listed(list(table.values()), *(["gone at"] if extra else []))
    again = loader.load(sequence[-1])
    assert (again.rows_loaded, again.rows_updated, again.rows_deleted) == (0, 0, 0)
    loader.drop()


@pytest.mark.parametrize("by", [("v",), ("v", "w")])
@many
@given(sequence=batches(), spelled=names)
def test_partitions_of_the_batch(
    warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str], by: tuple[str, ...]
) -> None:
    loader = Loader(warehouse, "partition", Partition(by=tuple(spelled[name] for name in by)), spelled, key=False)
    table: list[Row] = []
    for batch in [*sequence, sequence[-1]]:
        present = [[row[name] for name in by] for row in batch]
        kept = [row for row in table if [row[name] for name in by] not in present]
        record = loader.load(batch)
        assert (record.rows_loaded, record.rows_deleted) == (len(batch), len(table) - len(kept))
        table = kept + batch
        assert loader.found() == listed(table)
    loader.drop()


@many
@given(batches((None, *hours(0, 1, 2, 3))), names, st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_partition_runs(
    warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str], starts: list[int]
) -> None:
    loader = Loader(warehouse, "partition", Partition(), spelled, key=False, clock=True)
    table: list[Row] = []
    for batch, begin in zip([*sequence, sequence[-1]], starts, strict=False):
        start, end = (moment.replace(tzinfo=UTC) for moment in hours(begin, begin + 1))
        window = Window(spelled["at"], start, end)
        (hour,) = hours(begin)
        kept = [row for row in table if row["at"] != hour]
        read = [row for row in batch if row["at"] == hour]
        record = loader.load(batch, window)
        assert (record.rows_loaded, record.rows_deleted) == (len(read), len(table) - len(kept))
        table = kept + read
        assert loader.found() == listed(table)
    loader.drop()
