"""Replay of every short history of a key at once: three loads, in each no row of the key, one, or two."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.replay import Selection
from dataflow_platform.engine.stage import stage
from dataflow_platform.load_strategies.partition import Partition
from tests.engine.replayed import RIGHT, WRONG, Row, Told, stopped_clock
from tests.engine.test_replay import STRATEGIES
from tests.load_strategies.batches import hours

Event = tuple[int | None, str]
# When, and what: 'b' is what the wrong rule rejects.
ONE: list[Event] = [(at, v) for at in (1, 2, None) for v in "ab"]
TWO: list[tuple[Event, Event]] = [
    ((1, "a"), (1, "b")),
    ((1, "a"), (2, "b")),
    ((2, "a"), (1, "b")),
    ((1, "b"), (2, "b")),
]
IN_A_LOAD: list[tuple[Event, ...]] = [(), *((event,) for event in ONE), *TWO]
HISTORIES = list(product(IN_A_LOAD, repeat=3))
"""11 cubed: 1,331. Each belongs to two keys; to the odd one a row at 2 is the marker of a deletion."""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    path: Path = tmp_path_factory.mktemp("replay") / "w.duckdb"
    found = DuckDB(path=str(path))
    with found.reader(), stopped_clock():
        yield found


def batches(times: list[Any]) -> list[list[Row]]:
    """The rows of the three loads; of each key its history is ``HISTORIES[key // 2]``; one row without a key."""
    return [
        [
            {"id": key, "at": None if at is None else times[at], "v": v, "w": 0, "gone": key % 2 == 1 and at == 2}
            for key in range(2 * len(HISTORIES))
            for at, v in HISTORIES[key // 2][load]
        ]
        + [{"id": None, "at": times[1], "v": "a", "w": 0, "gone": False}]
        for load in range(3)
    ]


def told_apart(wrong: Told, right: Told) -> list[tuple[Any, ...]]:
    """The first rows in which the two tables differ, with their histories."""
    place = wrong.columns().index("id")
    given, wanted = set(wrong.table()), set(right.table())
    rows = sorted(given ^ wanted, key=lambda row: (row[place], row in given))
    return [(HISTORIES[row[place] // 2], "too much" if row in given else "lost", row) for row in rows[:4]]


@pytest.mark.parametrize("cursor", [True, False], ids=["late rows", "no cursor"])
@pytest.mark.parametrize("name", [name for name, (_, strategy) in STRATEGIES.items() if strategy.reach == "key"])
def test_every_short_history(warehouse: DuckDB, name: str, cursor: bool) -> None:
    how, strategy = STRATEGIES[name]
    clock = name == "scd2 with deletions"
    wrong, right = (Told(warehouse, how, strategy, cursor, clock, from_the_start=True) for _ in range(2))
    for number, rows in enumerate(batches(hours(0, 1, 2) if clock else [0, 1, 2])):
        wrong.load(rows, WRONG)
        right.load(rows, RIGHT)
        assert_kept(wrong)
        if number == 1:
            # About half of the rows of every history are replayed early.
            ids = wrong.open_ids()
            wrong.replay(Selection(ids=Random(number).sample(ids, len(ids) // 2)))
    found = wrong.replay()
    assert found.refused == {}
    assert found.loaded > 0
    same = wrong.table() == right.table()
    assert same, told_apart(wrong, right)
    assert_kept(wrong)


def assert_kept(told: Told) -> None:
    """There is a history of the keys with an open row, and of no others: it goes with the key's last open row."""
    kept = told.query(f"SELECT DISTINCT id FROM raw._dataflow_history_{told.name}")
    still = told.query(
        f"SELECT row_values FROM raw._dataflow_quarantine WHERE status = 'open' AND pipeline = '{told.name}'"
    )
    # A row without a key is open for ever and has no history.
    assert {key for (key,) in kept} == {json.loads(values)["id"] for (values,) in still} - {None}


@pytest.mark.parametrize("name", ["soft delta", "scd2 with deletions"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_load_without_any_row_of_the_key_says_that_it_is_gone(warehouse: DuckDB, name: str, elsewhere: bool) -> None:
    how, strategy = STRATEGIES[name]
    wrong, right = (Told(warehouse, how, strategy, clock=True) for _ in range(2))
    at = hours(0)[0]
    good: Row = {"id": 2, "at": at, "v": "a", "w": 0, "gone": False}
    # Key 1 comes in the second load, is gone in the third (if there is one here), and no other load has a row of it.
    for rows in ([good], [good, good | {"id": 1, "v": "b"}], *([] if elsewhere else [[good]])):
        wrong.load(rows, WRONG)
        right.load(rows, RIGHT)
    if elsewhere:
        # What the stream loads into another table says nothing of this one.
        publish(stage(replace(wrong.stream_load([good], WRONG, None), target=Table("raw", f"{wrong.name}_other"))))
    assert wrong.replay().loaded == 1
    assert wrong.table() == right.table()
    assert len(wrong.table()) == 2


IN_A_PARTITION = ["", "a", "b", "aa", "ab", "bb", "abb", "bbb"]
PASTS = list(product(IN_A_PARTITION, repeat=3))
"""8 cubed: 512. Each belongs to two partitions: which rows are replayed early is drawn."""


def test_every_short_history_of_a_partition(warehouse: DuckDB) -> None:
    wrong, right = (Told(warehouse, "partition", Partition(by=("id",)), cursor=False) for _ in range(2))
    # The last partition is that of the rows without a value.
    pasts = dict(enumerate([*PASTS, *PASTS], start=1)) | {None: ("ab", "abb", "bbb")}
    for load in range(3):
        rows = [
            {"id": part, "at": 10 * load + place, "v": v, "w": 0, "gone": False}
            for part, past in pasts.items()
            for place, v in enumerate(past[load])
        ]
        wrong.load(rows, WRONG)
        right.load(rows, RIGHT)
        for seed in range(2):
            ids = wrong.open_ids()
            wrong.replay(Selection(ids=Random(seed).sample(ids, len(ids) // 2)))
    assert wrong.replay().refused == {}
    given, wanted = set(wrong.table()), set(right.table())
    place = wrong.columns().index("id")
    assert [(pasts[row[place]], row in given, row) for row in given ^ wanted][:4] == []
    assert len(wrong.table()) == len(right.table())
    assert wrong.replay().selected == 0
