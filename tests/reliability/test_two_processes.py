"""Two runs of one stream in two processes: the second waits, or fails with words; the two never interleave."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.core import injection
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine import load as line
from dataflow_platform.engine.stage import stage
from tests.reliability import arena, processes, workload
from tests.reliability.warehouses import Fields, Kind

ROWS = 6_600 - 120 - 60
"""The rows of a batch without those a step drops and those that are bad."""
LOCKED = {
    "duckdb": ("duckdb.locked", "holds w.duckdb; waited 0.2 s"),
    "postgres": ("postgres.locked", "is loading raw.t; waited 0.2 s"),
    "delta": ("lake.locked", "is loading raw.t; waited 0.2 s"),
    "parquet_dataset": ("lake.locked", "is loading raw.t; waited 0.2 s"),
}


@pytest.fixture(scope="module")
def kinds(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    return arena.kinds(tmp_path_factory.mktemp("kinds"), postgres_server)


@dataclass(frozen=True)
class Run:
    """One run of the first batch by ``append``. ``until``: it stops before publishing while that file is missing."""

    fields: Fields
    load_id: str
    until: str = ""


def run(given: Run, parent: Connection) -> None:
    """What a process does; it says when it begins, when it stops, and how it ended."""

    def stop(point: str, passage: int) -> None:
        if point == "validated":
            parent.send("holding")
            while not Path(given.until).exists():
                time.sleep(0.02)

    if given.until:
        injection.arm(stop)
    parent.send("it begins")
    try:
        load = replace(workload.stream_load(given.fields, "append", 0), load_id=given.load_id)
        record = line.publish(stage(load))
        parent.send({"loaded": record.rows_loaded, "cursor": record.cursor_before})
    except DataflowError as error:
        parent.send({"code": error.code, "what": error.what, "type": type(error).__name__})


def begun(given: Run) -> tuple[BaseProcess, Connection]:
    process, pipe = processes.begin(run, given)
    assert pipe.recv() == "it begins"
    return process, pipe


@pytest.fixture
def held(kinds: dict[str, Kind], kind: str, tmp_path: Path) -> Iterator[tuple[Fields, BaseProcess, Connection, Path]]:
    """A warehouse, and a process that has read and staged the stream and holds it until the file is there."""
    fields, release = kinds[kind].new(), tmp_path / "release"
    process, pipe = begun(Run(fields, "first", str(release)))
    assert pipe.recv() == "holding"
    yield fields, process, pipe, release
    release.touch()
    process.join()
    kinds[kind].drop(fields)


everywhere = pytest.mark.parametrize("kind", LOCKED)


@everywhere
@pytest.mark.kill
@pytest.mark.parametrize("killed", [False, True])
def test_the_second_waits_and_starts_where_the_first_ended(
    kinds: dict[str, Kind], kind: str, killed: bool, held: Any
) -> None:
    fields, first, said, release = held
    impatient, told = begun(Run({**fields, "wait_seconds": 0.2}, "impatient"))
    ended = told.recv()
    impatient.join()
    code, words = LOCKED[kind]
    assert (ended["code"], ended["type"]) == (code, "TransientError")
    assert words in ended["what"]
    waiting, told = begun(Run({**fields, "wait_seconds": 60}, "waiting"))
    assert not told.poll(0.5)  # it could end now only if nothing kept it out
    if killed:
        os.kill(first.pid, signal.SIGKILL)
        first.join()
        expected = {"loaded": ROWS, "cursor": None}
    else:
        release.touch()
        assert said.recv() == {"loaded": ROWS, "cursor": None}
        # The greatest cursor is that of the repeat of key 5993, in minute 599: it is read again and recognised.
        expected = {"loaded": 0, "cursor": "2026-01-01 09:59:01+00"}
    assert told.recv() == expected
    waiting.join()
    seen = kinds[kind].seen(fields)
    assert seen["rows"][0][0] == ROWS
    assert {row[0] for row in seen["loads"]} == ({"waiting"} if killed else {"first", "waiting"})
    assert kinds[kind].stuck(fields) == []
    assert kinds[kind].stale(fields) == []
