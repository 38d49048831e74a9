"""A table of ranges of pages goes into a lake by as many writers, each with a connection of its own."""

import re
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors._lake.at_once import at_once
from dataflow_platform.connectors._lake.store import LocalStore
from dataflow_platform.connectors._lake.writing import Layout, PendingFiles
from dataflow_platform.connectors.parquet_dataset import ParquetDataset
from dataflow_platform.connectors.postgres import Postgres, source
from dataflow_platform.core import injection
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.spilling_engine import spilling_engine
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.transformations.derive import Derive
from tests.engine.test_page_ranges import BEFORE, bank
from tests.engine.test_page_ranges import load as load_into_duckdb
from tests.reliability import processes

__all__ = ["bank"]


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_threads", lambda engine: 2)


def load(bank: Postgres, folder: Path, **fields: Any) -> StreamLoad:
    lake = ParquetDataset(path=str(folder / "lake"))
    return replace(load_into_duckdb(bank, folder), destination=lake, strategy=Replace(), **fields)


def there(folder: Path) -> Any:
    with ParquetDataset(path=str(folder / "lake")).reader() as connection:
        return connection.execute("SELECT count(*), sum(amount)::INT, any_value(code) FROM raw.t").fetchone()


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "lake").rglob("part-*.parquet"))


def test_two_writers_see_one_moment(bank: Postgres, postgres_server: PostgresServer, tmp_path: Path) -> None:
    changes = "UPDATE ledger SET amount = amount + 1, id = 3000 - id; DELETE FROM ledger WHERE id % 3 = 0"

    def change(point: str, _: int) -> None:
        if point == "scanned":
            postgres_server.execute(changes, bank.database)

    start = len(postgres_server.log.read_text())
    injection.arm(change)
    try:
        with bank.consistent():
            staged = stage(load(bank, tmp_path))
    finally:
        injection.arm(None)
    record = publish(staged)
    assert there(tmp_path) == BEFORE
    assert (record.rows_read, record.rows_loaded) == (2100, 2100)
    # A file of each: its session's token, the writer's number and its first file.
    assert [re.sub("-[0-9a-f]{16}-", "-", name) for name in files(tmp_path)] == ["part-0-0.parquet", "part-1-0.parquet"]
    log = postgres_server.log.read_text()[start:]
    copies = re.findall(r"\[(\d+)\] LOG:  (?:statement|execute .*): COPY .*(ctid [<>]=? '\(\d+,0\)')", log)
    # Two backends, half of the 2,100 pages each.
    assert sorted(condition for _, condition in copies) == ["ctid < '(1050,0)'", "ctid >= '(1050,0)'"]
    assert len({process for process, _ in copies}) == 2


def test_steps_are_given_all_rows_by_one_connection(bank: Postgres, tmp_path: Path) -> None:
    with bank.consistent():
        publish(stage(load(bank, tmp_path, steps=(Derive({"twice": "amount * 2"}),))))
    assert there(tmp_path) == BEFORE
    assert len(files(tmp_path)) == 1


def test_what_fails_in_one_part_fails_the_load_and_leaves_nothing(
    bank: Postgres, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    postgres_server.execute("UPDATE ledger SET amount = 'NaN' WHERE id = 2100", bank.database)
    with bank.consistent(), pytest.raises(DataflowError, match='"amount"'):
        stage(load(bank, tmp_path))
    assert files(tmp_path) == []
    # The next load finds the table free.
    postgres_server.execute("UPDATE ledger SET amount = 2100 WHERE id = 2100", bank.database)
    with bank.consistent():
        publish(stage(load(bank, tmp_path)))
    assert there(tmp_path) == BEFORE


def test_wide_rows_are_written_in_small_groups(tmp_path: Path) -> None:
    """122,880 rows of 4 kB, or as many of 1 kB with each of two writers, were more than the engine's memory."""
    with spilling_engine("test", "488MiB", 1, str(tmp_path)) as engine:
        readers = [engine.cursor(), engine.cursor()]
        for start, reader in zip((0, 20_000), readers, strict=True):
            made = f"SELECT range AS id, repeat(md5(range::VARCHAR), 32) AS text FROM range({start}, {start + 20_000})"
            reader.execute(f"CREATE TEMP VIEW part AS {made}")
        pending = PendingFiles(engine, LocalStore(tmp_path / "lake"), "t", 0)
        columns = [Column("id", "BIGINT"), Column("text", "VARCHAR")]
        files = pending.write("SELECT * FROM part", columns, Layout(), readers)
    assert sum(file.rows or 0 for file in files) == 40_000
    groups = f"SELECT count(DISTINCT (file_name, row_group_id)) FROM parquet_metadata('{tmp_path}/lake/t/*.parquet')"
    # 20,000 rows of 1 kB are 20 MB in each of two files, in groups of 16 MB at most.
    assert duckdb.sql(groups).fetchall() == [(4,)]


def load_and_die(given: tuple[dict[str, Any], str, str], parent: Connection) -> None:
    """Load by two writers; killed at a point where one is named."""
    fields, folder, point = given
    source._threads = lambda engine: 2
    injection.arm(injection.kill_at(point) if point else None)
    bank = Postgres(**fields)
    parent.send("it begins")
    with bank.consistent():
        parent.send(publish(stage(load(bank, Path(folder)))).rows_loaded)


@pytest.mark.kill
@pytest.mark.parametrize("point", ["staged", "files_written"])
def test_a_killed_load_leaves_the_next_one_nothing_of_both_writers(bank: Postgres, tmp_path: Path, point: str) -> None:
    killed, _ = processes.fork(load_and_die, (bank.model_dump(), str(tmp_path), point))
    assert killed
    left = files(tmp_path)
    assert len(left) == 2
    assert processes.fork(load_and_die, (bank.model_dump(), str(tmp_path), "")) == (False, BEFORE[0])
    assert there(tmp_path) == BEFORE
    assert len(files(tmp_path)) == 2
    assert not set(files(tmp_path)) & set(left)


def test_statements_run_at_once_and_the_first_error_ends_the_others() -> None:
    with duckdb.connect() as engine:
        engine.create_function("meet", Meeting(2).arrive, ["BIGINT"], "BIGINT", side_effects=True)  # type: ignore[arg-type, list-item]
        sides = [engine.cursor(), engine.cursor()]
        assert at_once(sides, ["SELECT meet(1)", "SELECT meet(2)"], 2) == [[(1,)], [(2,)]]
        endless = "SELECT count(*) FROM range(1000000000000) WHERE range % 7 = 8"
        with pytest.raises(duckdb.InvalidInputException, match="on purpose"):
            at_once(sides, [endless, "SELECT error('on purpose')"], 2)


class Meeting:
    """Each who arrives waits for the others, twenty seconds at most."""

    def __init__(self, parties: int) -> None:
        self._barrier = Barrier(parties)

    def arrive(self, number: int) -> int:
        self._barrier.wait(20)
        return number


def test_no_more_writers_than_memory_is_for() -> None:
    running, most = set[int](), [0]

    def seen(number: int) -> int:
        running.add(number)
        most[0] = max(most[0], len(running))
        running.discard(number)
        return number

    with duckdb.connect() as engine:
        engine.create_function("seen", seen, ["BIGINT"], "BIGINT", side_effects=True)  # type: ignore[arg-type, list-item]
        sides = [engine.cursor() for _ in range(4)]
        assert at_once(sides, [f"SELECT seen({n})" for n in range(4)], 1) == [[(n,)] for n in range(4)]
    assert most == [1]
