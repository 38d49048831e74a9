"""Replay gives the table as if the rule had been right from the start: all strategies, generated batches."""

import os
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import LoadStrategy, Window
from dataflow_platform.engine.replay import Selection
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.partition import Partition
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3
from tests.engine.replayed import RIGHT, WRONG, Row, Told, stopped_clock
from tests.load_strategies.batches import hours

STRATEGIES: dict[str, tuple[str, LoadStrategy]] = {
    "append": ("append", Append()),
    "replace": ("replace", Replace()),
    "merge": ("merge", Merge()),
    "merge with markers": ("merge", Merge(delete_marker="gone")),
    "delta": ("delta", Delta()),
    "soft delta": ("delta", Delta(deletes="soft")),
    "partition": ("partition", Partition(by=("w",))),
    "partition runs": ("partition", Partition(by=("at",))),
    "scd1": ("scd1", Scd1()),
    "scd2": ("scd2", Scd2()),
    "scd2 with deletions": ("scd2", Scd2(deletes="close")),
    "scd3": ("scd3", Scd3(columns=("v", "w"))),
}
Part = Literal["none", "half", "rule", "all"]
EXAMPLES = int(os.environ.get("REPLAY_EXAMPLES", "10"))
"""Of each form of a strategy: 120 stories in all."""
PARTS = st.sampled_from(["none", "none", "half", "rule", "all"])


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    path: Path = tmp_path_factory.mktemp("replay") / "w.duckdb"
    found = DuckDB(path=str(path))
    with found.reader(), stopped_clock():  # one connection stays open: others need not open and checkpoint the file
        yield found


def replay_part(told: Told, part: Part) -> None:
    if part == "none":
        return
    selection = Selection(rule="too_strict") if part == "rule" else Selection()
    if part == "half":
        selection = Selection(ids=told.open_ids()[::2])
        if not selection.ids:
            return
    told.replay(selection)


def window_of(rows: list[Row]) -> Window | None:
    """A partition run over the hour of the first row; its rows alone are read."""
    at = next((row["at"] for row in rows if row["at"] is not None), None)
    return None if at is None else Window("at", at.replace(tzinfo=UTC), at.replace(tzinfo=UTC) + timedelta(hours=2))


def compare(
    warehouse: DuckDB, name: str, sequence: list[list[Row]], parts: list[Part], cursor: bool, late: bool, runs: int
) -> None:
    how, strategy = STRATEGIES[name]
    clock = name in ("partition runs", "scd2 with deletions")
    wrong = Told(warehouse, how, strategy, cursor, clock, late)
    right = Told(warehouse, how, strategy, cursor, clock, late)
    for number, rows in enumerate(sequence):
        window = window_of(rows) if name == "partition runs" and runs >> number & 1 else None
        wrong.load(rows, WRONG, window)
        right.load(rows, RIGHT, window)
        replay_part(wrong, parts[number])
    wrong.replay()
    assert wrong.table() == right.table()
    # Once more: nothing is left that passes.
    assert wrong.replay().loaded == 0
    assert wrong.table() == right.table()
    for told in (wrong, right):
        session = warehouse.session()
        for table in (told.name, f"_dataflow_history_{told.name}"):
            session.execute(f"DROP TABLE IF EXISTS raw.{table}")
        session.commit()
        session.close()


def stories(name: str) -> st.SearchStrategy[list[list[Row]]]:
    """Three full batches: few keys and values, so that rows of one key meet in every way.

    A story costs the same with many rows as with few; whole partitions and snapshots meet in every way where few.
    """
    times = hours(0, 1, 2, 3) if name in ("partition runs", "scd2 with deletions") else [1, 2, 3, 4]
    few = STRATEGIES[name][1].reach != "key" or name in ("delta", "soft delta", "scd2 with deletions")
    row = st.fixed_dictionaries(
        {
            "id": st.sampled_from([1, 1, 2, 2, 3, None] if few else [1, 2, 3, 4, 5, 6, 7, None]),
            "at": st.sampled_from([*times, *times, None]),
            "v": st.sampled_from(["a", "a", "b", "b", None]),
            "w": st.sampled_from([0, 0, 1, None]),
            "gone": st.sampled_from([False, False, True]),
        }
    )
    return st.lists(st.lists(row, min_size=2, max_size=5 if few else 14), min_size=3, max_size=3)


@pytest.mark.parametrize("name", STRATEGIES)
# An example takes half a second: what fails is told as it is, not made smaller.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_as_if_the_rule_had_been_right(warehouse: DuckDB, name: str, data: Any) -> None:
    sequence = data.draw(stories(name))
    parts = data.draw(st.lists(PARTS, min_size=3, max_size=3))
    # Without a cursor no row is late: most is to be got wrong where there is one, and every load reads from the start.
    cursor, late = data.draw(st.sampled_from([(True, True), (True, True), (True, False), (False, False)]))
    runs = data.draw(st.integers(0, 7))
    compare(warehouse, name, sequence, parts, cursor, late, runs)
