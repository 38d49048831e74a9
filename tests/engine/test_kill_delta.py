"""SIGKILL at every named point of a load into a Delta table, and round its commit, then a rerun."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors._lake.store import LocalStore
from dataflow_platform.connectors._lake.writing import PendingFiles
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.engine.injection import POINTS
from tests.engine import killed
from tests.fixtures.lake import Rows, everything, orphans

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.engine.killed", "deltalake", "sqlglot"])
ROUND_THE_COMMIT = ("files written", "commit drafted", "log entry written")


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def load_and_die_in_commit(where: dict[str, Any], how: str, number: int, moment: str) -> None:
    """The same load, dying inside ``commit``: before the log entry, while it is prepared, or right after it."""
    if moment == "files written":
        PendingFiles.make_durable = die  # type: ignore[method-assign]
    elif moment == "commit drafted":
        os.link = die  # type: ignore[assignment]
    else:
        PendingFiles.committed = die  # type: ignore[method-assign]
    assert LocalStore.exclusive
    killed.load(where, how, number)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Rows]]:
    """What two loads that nobody disturbed leave behind, by strategy."""
    found = {}
    for how in killed.STRATEGIES:
        where = {"type": "delta", "path": str(tmp_path_factory.mktemp("golden") / how)}
        killed.load(where, how, 0)
        killed.load(where, how, 1)
        found[how] = everything(killed.destination(where))
    return found


def test_every_strategy_leaves_what_it_leaves_on_duckdb(golden: dict[str, dict[str, Rows]], tmp_path: Path) -> None:
    # tests/engine/test_kill.py explains the numbers of rows on DuckDB.
    for how, found in golden.items():
        path = tmp_path / f"{how}.duckdb"
        killed.load(path, how, 0)
        killed.load(path, how, 1)
        assert found == everything(DuckDB(path=str(path))), how


@pytest.mark.kill
@pytest.mark.parametrize(
    ("how", "point"),
    [
        *((how, point) for how in killed.STRATEGIES for point in (POINTS if how == "merge" else ("rows_written",))),
        *((how, moment) for how in ("append", "merge") for moment in ROUND_THE_COMMIT),
    ],
)
def test_kill_and_rerun(golden: dict[str, dict[str, Rows]], tmp_path: Path, how: str, point: str) -> None:
    where = {"type": "delta", "path": str(tmp_path / "lake")}
    first = 0 if how == "merge" else 1  # one strategy is enough to show it on a table that does not exist yet
    if first:
        killed.load(where, how, 0)
    kill = load_and_die_in_commit if point in ROUND_THE_COMMIT else killed.load_and_die
    for number in range(first, 2):
        child = _CONTEXT.Process(target=kill, args=(where, how, number, point))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, f"the load never reached '{point}'"
        killed.load(where, how, number)
    assert everything(killed.destination(where)) == golden[how]
    assert orphans(tmp_path / "lake" / "raw" / "t") == []
