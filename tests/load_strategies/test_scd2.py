"""scd2 against a plain history, and the cases that are easily got wrong one by one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.engine import stage as engine_stage
from dataflow_platform.load_strategies.scd2 import Scd2
from tests.load_strategies.batches import Loader, Row, as_set, batches, good, greatness, hours, many, names

Version = tuple[Any, Any, tuple[Any, ...]]
"""From, to, values."""

SPAN = ("_valid_from", "_valid_to", "_is_current")
MICROSECOND = timedelta(microseconds=1)


def closings(history: list[Version]) -> list[Any]:
    """The moments at which the key was gone: a version ends and none begins."""
    begins = {begin for begin, _, _ in history}
    return [end for _, end, _ in history if end is not None and end not in begins]


def splice(history: list[Version], came: dict[Any, tuple[Any, ...]]) -> tuple[list[Version], int]:
    """The history with the rows that came, and how many of those became a version."""
    stored = {begin: values for begin, _, values in history}
    line: dict[Any, tuple[Any, ...] | None] = {**dict.fromkeys(closings(history)), **stored, **came}
    found: list[Version] = []
    before: tuple[Any, ...] | None = None
    loaded = 0
    for moment in sorted(line):
        values = line[moment]
        if values == before:
            continue
        if before is not None:
            found[-1] = (found[-1][0], moment, found[-1][2])
        if values is not None:
            found.append((moment, None, values))
            loaded += moment in came and stored.get(moment) != values
        before = values
    return found, loaded


def not_before_it_came_back(history: list[Version], came: dict[Any, Any], now: Any) -> dict[Any, Any]:
    """The rows of a key that was closed count from the moment it came back."""
    if not closings(history):
        return came
    gone = max(closings(history))
    since = [begin for begin, _, _ in history if begin > gone] or [moment for moment in came if moment > gone]
    start = min(since) if since else max(now, gone + MICROSECOND)
    return {max(moment, start): came[moment] for moment in sorted(came)}


def rows_of(table: dict[Any, list[Version]]) -> list[tuple[Any, ...]]:
    """What ``Loader.found`` should find: key, values, from, to, current."""
    return as_set(
        [(key, *values, begin, end, end is None) for key, history in table.items() for begin, end, values in history]
    )


def by_key(batch: list[Row]) -> dict[Any, dict[Any, tuple[Any, ...]]]:
    """The rows of a batch by key and cursor; of two at one moment the greatest values."""
    found: dict[Any, dict[Any, tuple[Any, ...]]] = {}
    for row in sorted(good(batch, "id", "at"), key=lambda row: greatness(row, "at", "v", "w")):
        found.setdefault(row["id"], {})[row["at"]] = (row["v"], row["w"])
    return found


@many
@given(sequence=batches(), spelled=names)
def test_history(warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str]) -> None:
    loader = Loader(warehouse, "scd2", Scd2(), spelled)
    table: dict[Any, list[Version]] = {}
    for batch in sequence:
        loaded = 0
        for key, came in by_key(batch).items():
            table[key], count = splice(table.get(key, []), came)
            loaded += count
        record = loader.load(batch)
        assert record.rows_loaded == loaded
        assert record.rows_quarantined == len(batch) - len(good(batch, "id", "at"))
        assert loader.found(*SPAN, of=("id", "v", "w")) == rows_of(table)
    again = loader.load(sequence[-1])
    assert (again.rows_loaded, again.rows_updated, again.rows_deleted) == (0, 0, 0)
    assert loader.found(*SPAN, of=("id", "v", "w")) == rows_of(table)
    loader.drop()


@many
@given(sequence=batches((None, *hours(0, 1, 2, 3, 100, 101))), spelled=names)
def test_history_with_deletions(warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str]) -> None:
    loader = Loader(warehouse, "scd2", Scd2(deletes="close"), spelled, clock=True)
    table: dict[Any, list[Version]] = {}
    for batch in sequence:
        record = loader.load(batch)
        now = record.started_at.astimezone(UTC).replace(tzinfo=None)
        present = by_key(batch)
        loaded = closed = 0
        for key in table.keys() | present.keys():
            history = table.get(key, [])
            if key in present:
                history, count = splice(history, not_before_it_came_back(history, present[key], now))
                loaded += count
            elif history[-1][1] is None:
                begin, _, values = history[-1]
                history = [*history[:-1], (begin, max(now, begin + MICROSECOND), values)]
                closed += 1
            table[key] = history
        assert record.rows_loaded == loaded
        assert record.rows_deleted >= closed  # and the versions a row of the same time replaced
        assert loader.found(*SPAN, of=("id", "v", "w")) == rows_of(table)
    again = loader.load(sequence[-1])
    assert (again.rows_loaded, again.rows_updated, again.rows_deleted) == (0, 0, 0)
    assert loader.found(*SPAN, of=("id", "v", "w")) == rows_of(table)
    loader.drop()


@pytest.mark.parametrize("deletes", ["ignore", "close"])
@many
@given(sequence=batches((1,)), spelled=names)
def test_history_by_the_clock(
    warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str], deletes: Any
) -> None:
    loader = Loader(warehouse, "scd2", Scd2(deletes=deletes), spelled, cursor=False, without=("gone", "at"))
    table: dict[Any, list[Version]] = {}
    for batch in sequence:
        record = loader.load(batch)
        now = record.started_at.astimezone(UTC).replace(tzinfo=None)
        present = {key: {now: came[1]} for key, came in by_key(batch).items()}
        loaded = 0
        for key in table.keys() | present.keys():
            history = table.get(key, [])
            if key in present:
                history, count = splice(history, present[key])
                loaded += count
            elif deletes == "close" and history[-1][1] is None:
                history = [*history[:-1], (history[-1][0], now, history[-1][2])]
            table[key] = history
        assert record.rows_loaded == loaded
        naive = ("_valid_from::TIMESTAMP", "_valid_to::TIMESTAMP", "_is_current")
        assert loader.found(*naive, of=("id", "v", "w")) == rows_of(table)
    again = loader.load(sequence[-1])
    assert (again.rows_loaded, again.rows_updated, again.rows_deleted) == (0, 0, 0)
    loader.drop()


def test_a_key_that_comes_back_as_it_was_keeps_its_gap(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "scd2", Scd2(deletes="close"), clock=True)
    (ahead,) = hours(100)
    loader.load([row(ahead, "a")])
    loader.load([])
    # The version began after the clock's time, so it ends a moment after it began; the row comes back after that.
    loader.load([row(hours(0)[0], "a")])
    closed = ahead + MICROSECOND
    expected = as_set([("a", ahead, closed), ("a", closed + MICROSECOND, None)])
    assert loader.found("_valid_from", "_valid_to", of=("v",)) == expected
    assert loader.load([row(hours(0)[0], "a")]).rows_loaded == 0


def row(at: Any, v: str | None, key: int = 1) -> Row:
    return {"id": key, "at": at, "v": v, "w": None}


def history(loader: Loader) -> list[tuple[Any, ...]]:
    return sorted(loader.found("_valid_from", "_valid_to", of=("v",)), key=lambda found: found[1])


@pytest.fixture
def loader(warehouse: DuckDB) -> Loader:
    return Loader(warehouse, "scd2", Scd2())


def test_several_changes_of_a_key_in_one_batch(loader: Loader) -> None:
    record = loader.load([row(3, "c"), row(1, "a"), row(2, "a"), row(4, "a")])
    # (2, a) repeats (1, a): no version. What came back to an old value is one.
    assert history(loader) == [("a", 1, 3), ("c", 3, 4), ("a", 4, None)]
    assert (record.rows_loaded, record.rows_filtered) == (3, 1)


def test_a_late_change_is_spliced_in(loader: Loader) -> None:
    loader.load([row(1, "a"), row(5, "b")])
    record = loader.load([row(3, "late")])
    assert history(loader) == [("a", 1, 3), ("late", 3, 5), ("b", 5, None)]
    assert (record.rows_loaded, record.rows_inserted, record.rows_updated, record.rows_deleted) == (1, 1, 1, 0)


def test_a_change_before_all_others_and_one_that_moves_a_start(loader: Loader) -> None:
    loader.load([row(5, "b")])
    loader.load([row(1, "a")])
    assert history(loader) == [("a", 1, 5), ("b", 5, None)]
    record = loader.load([row(3, "b")])
    # b held since 3 already: the version of 5 is joined with it.
    assert history(loader) == [("a", 1, 3), ("b", 3, None)]
    assert (record.rows_inserted, record.rows_updated, record.rows_deleted) == (1, 1, 1)


def test_at_the_same_time_the_newest_batch_wins(loader: Loader) -> None:
    loader.load([row(1, "a"), row(2, "z")])
    loader.load([row(2, "b")])
    assert history(loader) == [("a", 1, 2), ("b", 2, None)]
    record = loader.load([row(2, "a")])
    # The version of 2 now says what that of 1 says: one version is left, and no row became one.
    assert history(loader) == [("a", 1, None)]
    assert (record.rows_loaded, record.rows_filtered, record.rows_deleted) == (0, 1, 1)


def test_a_key_that_comes_back(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "scd2", Scd2(deletes="close"), clock=True)
    begin, changed = hours(0, 1)
    loader.load([row(begin, "a"), row(begin, "a", 2)])
    gone = loader.load([row(begin, "a", 2)]).started_at.replace(tzinfo=None)
    back = loader.load([row(changed, "b"), row(begin, "a", 2)]).started_at.replace(tzinfo=None)
    # b carries a time before the key was closed: it holds from the load that found it.
    assert loader.found("_valid_from", "_valid_to", of=("id", "v")) == as_set(
        [(1, "a", begin, gone), (1, "b", back, None), (2, "a", begin, None)]
    )
    assert loader.load([row(changed, "b"), row(begin, "a", 2)]).rows_loaded == 0


def test_a_clock_set_back_keeps_the_order(warehouse: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(warehouse, "scd2", Scd2(), cursor=False, without=("gone", "at"))
    first = loader.load([row(None, "a")]).started_at

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr(engine_stage, "datetime", Earlier)
    loader.load([row(None, "b")])
    begin = first.astimezone(UTC).replace(tzinfo=None)
    found = loader.found("_valid_from::TIMESTAMP", "_valid_to::TIMESTAMP", of=("v",))
    assert found == as_set([("a", begin, begin + MICROSECOND), ("b", begin + MICROSECOND, None)])


def test_only_tracked_columns_make_a_version(warehouse: DuckDB) -> None:
    loader = Loader(warehouse, "scd2", Scd2(track=("v",)))
    loader.load([{**row(1, "a"), "w": 1}])
    assert loader.load([{**row(2, "a"), "w": 2}]).rows_loaded == 0
    assert loader.load([{**row(3, "b"), "w": 3}]).rows_loaded == 1
    assert loader.found(of=("at", "v", "w")) == [(1, "a", 1), (3, "b", 3)]
