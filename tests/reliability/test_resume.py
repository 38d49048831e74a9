"""A sample of the campaign of `make torture`: loads broken at every named point and by every fault, then run again.

Invariant 1 (one transaction) is what makes the rerun equal to a load nobody disturbed.
"""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from dataflow_platform.core.injection import POINTS
from dataflow_platform.demo.postgres import PostgresServer
from tests.reliability import arena as arenas
from tests.reliability import small_disk
from tests.reliability.faults import KINDS
from tests.reliability.outcome import Outcome, Round
from tests.reliability.plan import FAULTS_OF, Cell, Plan, drawn
from tests.reliability.rounds import Arena
from tests.reliability.workload import KEYED, LOADS, STRATEGIES, destination

SEED = 20
DESTINATIONS = arenas.DESTINATIONS
OF_PIPELINES = {"check_reported", "returning", "materialized"}
"""Passed only where Dagster runs the load."""
ONLY_ON = {
    "side_transaction": "postgres",
    "copy_block": "postgres",
    "declared_made": "postgres",
    "swapping": "duckdb",
    "files_written": "delta",
    "log_entry_written": "delta",
}
ROUND_COMMIT = ("rows_written", "state_written", "record_written", "committed")
CHANGING = tuple(how for how in STRATEGIES if how != "replace")
"""Strategies with statements of their own on the target; on the stage only those that settle repeated keys."""
LIKE_DELTA = {"parquet_dataset": ("kill_any", "memory", "clock", "page_twice")}
"""Faults of the engine's part of a load, which is the same code on both lakes: the sample leaves them to Delta."""
VISIBLE = ("log_entry_written", "committed", "closed")
"""Points at which a load is committed: its rerun has nothing to do."""
PASSING = {"statement": CHANGING, "stage_statement": KEYED}


@pytest.fixture(scope="module")
def arena(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """Warehouses of every kind, databases on the session's server; golden runs are made as they are asked for."""
    return arenas.arena(tmp_path_factory.mktemp("arena"), postgres_server)


def plays(arena: Arena, cell: Cell) -> tuple[Round, Outcome]:
    """One round of a cell, drawn from the seed."""
    golden, random = arena.golden(cell.destination, cell.strategy), Random(f"{SEED}/{cell}")
    loads = [each for each in range(LOADS) if cell.point in ("", *golden.ends[each].passages)]
    assert loads, f"'{cell.strategy}' does not pass '{cell.point}' on {cell.destination}"
    chosen = random.choice(loads)
    fault = {"kind": cell.fault, **drawn(cell, golden, chosen, random)}
    played = Round(cell.destination, cell.strategy, chosen, fault, again=random.random() < 0.5)
    return played, arena.play(played)


def nothing_wrong(played: Round, outcome: Outcome) -> None:
    found = (outcome.differs, outcome.lost, outcome.duplicated, outcome.stuck, outcome.stale)
    assert found == ([], 0, 0, [], []), (played, outcome)


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_the_golden_run_is_what_the_batches_say(arena: Arena, kind: str) -> None:
    rows = {how: arena.golden(kind, how).seen[-1]["rows"][0][0] for how in STRATEGIES}
    # A batch: 6,000 keys, 600 of them twice, 120 dropped by the step, 60 bad. Three batches: keys 0..14999,
    # of which 300 are dropped and 150 bad.
    assert {rows[how] for how in ("merge", "scd1", "scd3")} == {15_000 - 300 - 150}
    assert rows["replace"] == 6_600 - 120 - 60
    # A snapshot leaves the keys of the last batch, each once.
    assert rows["delta"] == 6_000 - 120 - 60
    # Batches 1 and 2 are read from the greatest cursor on: 4,500 new keys (450 twice, 90 dropped, 45 bad), and the
    # one row at that cursor (the repeat of key 5993, then of 10493), which says something new.
    assert rows["append"] == 6_420 + 2 * (4_500 + 450 - 90 - 45 + 1)
    # Each batch replaces the minutes it shares with the one before: 4,500 keys of the older ones stay.
    assert rows["partition"] == 2 * (4_500 + 450 - 90 - 45) + 6_420
    # The repeats of batch 0 say the same as the row before them; those of batches 1 and 2 are versions: 450 each.
    # So is the changed repeat of 5993; that of 10493 has the time of a stored version and takes its place.
    assert rows["scd2"] == 14_550 + 2 * 450 + 1


def test_every_strategy_leaves_what_it_leaves_on_duckdb(arena: Arena) -> None:
    for how in STRATEGIES:
        found = {}
        for kind in DESTINATIONS:
            with destination(arena.golden(kind, how).at[-1]).reader() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                found[kind] = connection.execute(
                    'SELECT id, "at"::VARCHAR, v, n, note FROM raw.t ORDER BY ALL'
                ).fetchall()
        assert all(rows == found["duckdb"] for rows in found.values()), how


@pytest.mark.kill
@pytest.mark.parametrize(
    ("kind", "point", "how"),
    [
        ("duckdb", "check_reported", "resume"),
        ("duckdb", "returning", "again"),
        ("duckdb", "materialized", "resume"),
    ],
)
def test_a_whole_run_is_killed(arena: Arena, kind: str, point: str, how: str) -> None:
    """`dataflow run` of a YAML pipeline: check events, IO manager and materialization are passed too."""
    passage = arena.projects.before(kind).passages[point]
    played = Round(kind, "append", 1, {"kind": "pipeline", "point": point, "passage": passage, "how": how})
    outcome = arena.play(played)
    assert outcome.struck == "killed"
    nothing_wrong(played, outcome)


def sample() -> list[Cell]:
    """Each point on one destination, those round the commit on all, and the strategies' own statements with each."""
    names, turns = list(STRATEGIES), list(DESTINATIONS)
    Random(SEED).shuffle(names)
    cells = []
    for place, point in enumerate(POINTS):
        if point in OF_PIPELINES:
            continue
        kinds = (
            [ONLY_ON[point]] if point in ONLY_ON else turns if point in ROUND_COMMIT else [turns[place % len(turns)]]
        )
        passing = [how for how in names if how in PASSING.get(point, names)]
        cells += [Cell(kind, passing[(place + turn) % len(passing)], "kill", point) for turn, kind in enumerate(kinds)]
    return cells + [Cell(turns[place % len(turns)], how, "kill", "statement") for place, how in enumerate(CHANGING)]


@pytest.mark.kill
@pytest.mark.parametrize("cell", sample(), ids=lambda cell: f"{cell.destination}-{cell.strategy}-{cell.point}")
def test_kill_and_rerun(arena: Arena, cell: Cell) -> None:
    played, outcome = plays(arena, cell)
    assert outcome.struck == "killed", f"the load never reached {played.fault}"
    nothing_wrong(played, outcome)


@pytest.mark.kill
@pytest.mark.parametrize(
    ("kind", "fault"),
    [(kind, each) for kind, faults in FAULTS_OF.items() for each in faults if each not in LIKE_DELTA.get(kind, ())],
)
def test_fault_and_rerun(arena: Arena, kind: str, fault: str) -> None:
    if fault == "disk_full" and not small_disk.mountable():
        pytest.skip("a small disk is a tmpfs, and this user may not mount one")
    how = Random(f"{SEED}/{kind}/{fault}").choice(list(STRATEGIES))
    played, outcome = plays(arena, Cell(kind, how, fault))
    nothing_wrong(played, outcome)
    if fault == "kill_twice" and played.fault["point"] not in VISIBLE:
        assert outcome.struck_again, f"the rerun never reached {played.fault['second']}"


FOUND = {
    "COMMIT on a full disk ended in DuckDB's own words": Round(
        "duckdb", "partition", 2, {"kind": "disk_full", "bytes": 455_751}
    ),
    "a file that cannot grow ended in DuckDB's own words": Round(
        "duckdb", "partition", 2, {"kind": "file_limit", "bytes": 300_000}
    ),
    "too little memory to open the file": Round("duckdb", "scd3", 2, {"kind": "memory", "kilobytes": 504}),
    "a connection that broke under the scanner was no reason to run again": Round(
        "postgres", "scd3", 2, {"kind": "cut", "cut_after": 293_255}
    ),
    "out of memory was told as 'current transaction is aborted'": Round(
        "duckdb", "scd2", 2, {"kind": "memory", "kilobytes": 3_637}
    ),
}
"""Rounds in which the campaign found something; mended since."""


@pytest.mark.kill
@pytest.mark.parametrize("found", FOUND)
def test_what_was_found_stays_mended(arena: Arena, found: str) -> None:
    if FOUND[found].fault["kind"] == "disk_full" and not small_disk.mountable():
        pytest.skip("a small disk is a tmpfs, and this user may not mount one")
    nothing_wrong(FOUND[found], arena.play(FOUND[found]))


@pytest.mark.kill
@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_load_that_commits_in_two_parts_is_found(arena: Arena, kind: str) -> None:
    """The harness itself: with rows committed ahead of their state it has to say so."""
    outcome = arena.play(Round(kind, "append", 1, {"kind": "torn", "point": "state_written"}))
    assert outcome.struck == "killed"
    assert any("between fault and rerun" in text for text in outcome.differs), outcome


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_page_that_comes_twice_is_data_where_no_key_says_otherwise(arena: Arena, kind: str) -> None:
    """append, replace and partition keep what the source sent: only a primary key tells a repeated page."""
    page: dict[str, Any] = {"kind": "page_twice", "page": 2}
    for how in ("append", "replace", "partition"):
        plain, twice = arena.golden(kind, how).seen[1], arena.twice(Round(kind, how, 0, page))
        # A page of batch 0: 1,100 rows, ids 2000..2999: 20 dropped, 10 bad.
        assert twice["rows"][0][0] - plain["rows"][0][0] == 1_100 - 20 - 10, how
        assert len(twice["quarantine"]) - len(plain["quarantine"]) == 10, how
        assert twice["state"] == plain["state"], how


def test_a_campaign_kills_at_every_point_of_every_strategy_first(arena: Arena) -> None:
    reached: set[str] = set()
    for kind in DESTINATIONS:
        plan = Plan(arena, SEED, kind)
        kills = [cell for cell in plan.cells if cell.point]
        # Its share of a campaign of 1,000 rounds is enough for each of them.
        assert len(kills) <= 1_000 / len(DESTINATIONS)
        first = [plan.cell(number) for number in range(len(kills))]
        assert (set(first), len(first)) == (set(kills), len(set(kills)))
        points = {(cell.strategy, cell.point) for cell in kills if cell.fault == "kill"}
        assert points == {(how, p) for how in STRATEGIES for end in arena.golden(kind, how).ends for p in end.passages}
        after = [plan.cell(len(kills) + number) for number in range(len(STRATEGIES))]
        assert {(cell.fault, cell.strategy) for cell in after} == {("kill_twice", how) for how in STRATEGIES}
        # One cycle has each cell once.
        assert {plan.cell(number) for number in range(len(plan.cells))} == set(plan.cells)
        reached |= {cell.point for cell in kills}
    assert reached == set(POINTS)


def test_every_point_and_every_fault_is_tried() -> None:
    assert {cell.point for cell in sample()} | OF_PIPELINES == set(POINTS)
    assert {(cell.destination, cell.point) for cell in sample()} >= {(k, p) for k in DESTINATIONS for p in ROUND_COMMIT}
    assert {fault for faults in FAULTS_OF.values() for fault in faults} | {"kill", "pipeline", "torn"} == set(KINDS)


def test_a_point_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    from dataflow_platform.core.injection import kill_at

    with pytest.raises(ValueError, match="'nowhere' is no point of a load; there are: opened, locked"):
        kill_at("nowhere")
