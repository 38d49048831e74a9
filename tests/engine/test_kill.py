"""SIGKILL at every named point of a load, then a rerun: same rows, same quarantine, same state.

Invariant 1 (one transaction) is what makes it so; no clean-up code runs in a killed process.
"""

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.engine.injection import POINTS
from tests.engine import killed

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.engine.killed"])


def everything(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that a load leaves behind, without the clock."""
    queries = {
        "rows": "SELECT * FROM raw.t ORDER BY ALL",
        "state": "SELECT * EXCLUDE (updated_at) FROM raw._dataflow_state ORDER BY ALL",
        "quarantine": "SELECT load_id, row_values, reasons FROM raw._dataflow_quarantine ORDER BY ALL",
        "loads": "SELECT * EXCLUDE (started_at, committed_at) FROM raw._dataflow_loads ORDER BY ALL",
        "tables": "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL",
    }
    with DuckDB(path=str(path)).reader() as connection:
        return {name: connection.execute(sql).fetchall() for name, sql in queries.items()}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """What two loads that nobody disturbed leave behind, by strategy."""
    found = {}
    for how in killed.STRATEGIES:
        path = tmp_path_factory.mktemp("golden") / f"{how}.duckdb"
        killed.load(path, how, 0)
        killed.load(path, how, 1)
        found[how] = everything(path)
    return found


def test_the_golden_run_is_what_the_batches_say(golden: dict[str, dict[str, list[tuple[Any, ...]]]]) -> None:
    # Batch 0 has ids 0..11999, batch 1 has 9000..20999; one id in a hundred (..07) is bad.
    # merge: 21,000 ids less the 210 bad ones. replace: the 12,000 of batch 1 less 120.
    assert len(golden["merge"]["rows"]) == 20_790
    assert len(golden["replace"]["rows"]) == 11_880
    # append reads batch 1 from cursor 1199 on (ids 11990..20999): 10 of them were there, but as "batch 0" rows,
    # so their values differ and they are new versions: 9,010 rows less 90 bad, on top of 11,880.
    assert len(golden["append"]["rows"]) == 11_880 + 9_010 - 90
    # A snapshot leaves the keys of batch 1 alone.
    assert len(golden["delta"]["rows"]) == 11_880
    # Ten ids share an `at`: batch 1 replaces those from 900 on (id 9000); below stay 9,000 rows less 90.
    assert len(golden["partition"]["rows"]) == 9_000 - 90 + 11_880
    # As under merge. scd2 has one version a key: the ten rows that changed did so without their time moving.
    for how in ("scd1", "scd2", "scd3"):
        assert len(golden[how]["rows"]) == 20_790, how
    (_, _, value, previous, changed) = next(row for row in golden["scd3"]["rows"] if row[0] == 11_995)
    assert (value, previous, changed) == ("batch 1 row 11995", "batch 0 row 11995", 1199)


# What the strategies do differently lies between these; the points before and after are the engine's own.
OF_STRATEGIES = ("schema_applied", "rows_written", "committed")
WIDE = ("append", "merge", "replace")


@pytest.mark.kill
@pytest.mark.parametrize(
    ("how", "point"),
    [(how, point) for how in killed.STRATEGIES for point in (POINTS if how in WIDE else OF_STRATEGIES)],
)
def test_kill_and_rerun(
    golden: dict[str, dict[str, list[tuple[Any, ...]]]], tmp_path: Path, how: str, point: str
) -> None:
    path = tmp_path / "w.duckdb"
    first = 0 if how == "merge" else 1  # one strategy is enough to show it on a table that does not exist yet
    if first:
        killed.load(path, how, 0)
    for number in range(first, 2):
        child = _CONTEXT.Process(target=killed.load_and_die, args=(path, how, number, point))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, f"the load never reached '{point}'"
        killed.load(path, how, number)
    assert everything(path) == golden[how]


def test_a_point_nobody_named_kills_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATAFLOW_KILL_AT", "nowhere")
    assert killed.load(tmp_path / "w.duckdb", "append", 0).rows_loaded == 11_880
