"""What a killed load spilled is gone after the next one, which need not spill itself."""

import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.demo.postgres import PostgresServer
from tests.reliability import processes
from tests.reliability.warehouses import DuckDBFiles, Fields, Kind, PostgresDatabases
from tests.reliability.workload import destination

_SORT = "CREATE TEMP TABLE sorted AS SELECT md5(range::VARCHAR) AS t FROM range(3000000) ORDER BY t"


def spill_and_die(fields: Fields, parent: Connection) -> None:
    """Sort more than the engine may hold (90 MB in 40), and die as soon as some of it is on the disk."""
    parent.send("it begins")
    folder = Path(fields.get("spill_folder") or Path(fields["path"]).parent)

    def watch() -> None:
        while not [file for file in folder.glob("*spill*/*") if file.stat().st_size]:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    destination({**fields, "memory_limit": "40MB"}).session().connection.execute(_SORT)


@pytest.fixture(params=["duckdb", "postgres"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param == "duckdb":
        return DuckDBFiles(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return PostgresDatabases(server, tmp_path)


@pytest.mark.kill
def test_a_load_after_a_killed_one_clears_what_that_spilled(kind: Kind) -> None:
    fields = kind.new()
    killed, _ = processes.fork(spill_and_die, fields)
    assert killed
    assert kind.stale(fields) != []
    assert not processes.run(processes.Job(fields, "append", 0)).failed
    assert kind.stale(fields) == []
    kind.drop(fields)


def test_two_sessions_of_a_process_leave_each_other_what_they_spilled(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"path": str(tmp_path / "w.duckdb"), "memory_limit": "60MB", "threads": 1}
    first = DuckDB(**fields).session()
    try:
        first.connection.execute(_SORT)
        assert list(tmp_path.glob("w.duckdb.spill-*/*"))
        DuckDB(**fields).session().close()
        # 3,000,000 texts of 32 digits: none of what lies on the disk was taken away.
        assert first.query("SELECT count(*), sum(length(t)) FROM sorted") == [(3_000_000, 96_000_000)]
    finally:
        first.close()


def test_only_spill_folders_are_removed(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("w.duckdb.spillway", "other.duckdb.spill-1-0123abcd")]
    gone = [tmp_path / name for name in ("w.duckdb.spill", "w.duckdb.spill-1-0123abcd")]
    for folder in (*kept, *gone):
        folder.mkdir()
        (folder / "file").touch()
    DuckDB(path=str(tmp_path / "w.duckdb")).session().close()
    assert [folder.exists() for folder in (*kept, *gone)] == [True, True, False, False]


def test_a_session_that_does_not_open_lets_go_of_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "w.duckdb")
    with duckdb.connect(path) as connection:  # what looks like a staging table left behind, and cannot be dropped
        connection.execute("CREATE TABLE u__dataflow_stage_0123456789ab (i INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE v (i INTEGER REFERENCES u__dataflow_stage_0123456789ab (i))")
    with pytest.raises(duckdb.Error, match="main key table") as caught:
        DuckDB(path=path).session()
    # The error, and with it the frames that opened the file, still lives: another way to open it would be refused.
    duckdb.connect(path, config={"threads": "1", "memory_limit": "300MB"}).close()
    assert caught.value is not None
