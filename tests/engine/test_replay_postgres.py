"""Replay on PostgreSQL: the same stories, one for each strategy, written down."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.replay import Selection
from tests.engine.replayed import RIGHT, WRONG, Row, Told, stopped_clock
from tests.engine.test_replay import STRATEGIES
from tests.load_strategies.batches import hours


@pytest.fixture(scope="module")
def warehouse(postgres_server: PostgresServer) -> Iterator[PostgresDestination]:
    name = f"replay_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    with stopped_clock():
        yield PostgresDestination(
            host="127.0.0.1",
            port=postgres_server.port,
            database=name,
            user="postgres",
            password=postgres_server.password,
        )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def story(times: list[Any]) -> list[list[Row]]:
    """Rows that are too strictly judged (v = b) before, between and after good ones of their key."""
    made = [
        [(1, 1, "a"), (2, 1, "b"), (3, 1, "a"), (4, 1, "b"), (None, 1, "b")],
        # 1 changes unseen; 2 comes again as it will be; 3 and 4 go away, or change unseen.
        [(1, 2, "b"), (2, 2, "a"), (3, 2, "b"), (3, 2, "a"), (5, 1, "b")],
        # 1 is as it first was: the change between would make it a version of its own. 6 never passes.
        [(1, 3, "a"), (2, 1, "b"), (6, 1, None), (4, 3, "b")],
    ]
    return [
        [{"id": key, "at": times[at], "v": v, "w": at % 2, "gone": key == 4 and at == 3} for key, at, v in batch]
        for batch in made
    ]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "partition runs"])
def test_as_if_the_rule_had_been_right(warehouse: PostgresDestination, name: str, late: bool) -> None:
    how, strategy = STRATEGIES[name]
    clock = name == "scd2 with deletions"
    times = hours(0, 1, 2, 3) if clock else [0, 1, 2, 3]
    wrong, right = (Told(warehouse, how, strategy, True, clock, late) for _ in range(2))
    for number, rows in enumerate(story(times)):
        wrong.load(rows, WRONG)
        right.load(rows, RIGHT)
        if number == 1:
            wrong.replay(Selection(ids=wrong.open_ids()[::2]))
    found = wrong.replay()
    assert found.record is not None
    assert found.refused == {}
    assert wrong.table() == right.table()
    assert wrong.replay().loaded == 0
