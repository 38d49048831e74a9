"""Singer taps as a source: a tap of our own for every fault of the protocol, loads through the engine's line."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.singer import Singer, SingerStream
from dataflow_platform.core.base import LoadStrategy, State, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.registry import load_strategy
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from tests.fixtures.evidence import RanAgainst

TAP = Path(__file__).parent.parent / "fixtures" / "hostile_tap.py"
SECRET = 's3cr3t/with"quote'


def tap(mode: str = "", last: int = 10, **fields: Any) -> Singer:
    return Singer(
        command=f"{sys.executable} {TAP}",
        config={"mode": mode, "last": last},
        secrets={"api_key": SECRET},
        **fields,
    )


def stream(cursor: str | None = None, **options: Any) -> Stream:
    return Stream("orders", SingerStream(stream="orders", **options), cursor, ("id",))


def load(source: Singer, warehouse: Path, load_id: str, wanted: Stream, how: str = "merge") -> LoadRecord:
    strategy: LoadStrategy = load_strategy(how)()
    target = Table("raw", "orders")
    return publish(stage(StreamLoad("p", wanted, source, DuckDB(path=str(warehouse)), target, strategy, how, load_id)))


def rows(warehouse: Path, query: str = "FROM raw.orders ORDER BY id") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


@pytest.mark.evidence("singer", "source", "own_stub")
def test_rows_types_and_the_bookmark(tmp_path: Path, ran_against: RanAgainst) -> None:
    warehouse = tmp_path / "w.duckdb"
    record = load(tap(), warehouse, "1", stream())
    assert (record.rows_read, record.rows_loaded) == (10, 10)
    kinds = dict(rows(warehouse, "SELECT column_name, data_type FROM information_schema.columns "
                                 "WHERE table_name = 'orders'"))  # fmt: skip
    assert kinds["id"] == "BIGINT"
    assert kinds["price"] == "DECIMAL(38,2)"
    assert kinds["at"] == "TIMESTAMP WITH TIME ZONE"
    at = rows(warehouse, 'SELECT epoch_us("at"), price, tags, name FROM raw.orders WHERE id = 7')
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
    assert at == [(int(moment.timestamp() * 1e6), Decimal("0.07"), '["a",7]', "n7")]
    # The tap sends its bookmark's row again (id 10), then 11 and 12.
    record = load(tap(last=12), warehouse, "2", stream())
    assert record.rows_read == 3
    assert [row[0] for row in rows(warehouse)] == list(range(1, 13))
    ran_against(tap(), "a tap of our own, Singer specification 0.3")


def test_an_append_recognises_the_row_of_the_bookmark(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    for number, last in enumerate((10, 12, 12)):
        load(tap(last=last), warehouse, str(number), stream(cursor="id"), how="append")
    assert [row[0] for row in rows(warehouse)] == list(range(1, 13))


def test_a_replace_reads_from_the_beginning(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    for number in range(2):
        record = load(tap(), warehouse, str(number), stream(), how="replace")
        assert record.rows_read == 10
    assert len(rows(warehouse)) == 10


FAULTS: dict[str, tuple[type[DataflowError], str, str]] = {
    "exit": (TransientError, "singer.failed", "status 1"),
    "late_exit": (TransientError, "singer.failed", "status 3"),
    "killed": (TransientError, "singer.failed", "signal 9"),
    "garbage": (DataError, "singer.message", "no JSON"),
    "nan": (DataError, "singer.message", "no JSON"),
    "list": (DataError, "singer.message", "no JSON object"),
    "half": (DataError, "singer.message", "no JSON"),
    "kind": (DataError, "singer.message", "RECORD, SCHEMA, STATE"),
    "long": (DataError, "singer.message", "64 MB"),
    "record_first": (DataError, "singer.record_before_schema", "orders"),
    "column": (DataError, "singer.schema_changed", "'new' is new"),
    "retyped": (DataError, "singer.schema_changed", "was BIGINT, now it is VARCHAR"),
    "field": (DataError, "singer.new_field", "'surprise'"),
    "value": (DataError, "singer.type", "a text that is none"),
    "other": (DataError, "singer.unselected", "only 'orders' was selected"),
    "silent": (TransientError, "singer.silent", "no message for"),
    "no_discovery": (DataError, "singer.catalog", "no JSON object"),
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalog file: without one each load asks the tap first, which is another process."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.json"
    path.write_bytes(subprocess.run([sys.executable, str(TAP), "--discover"], capture_output=True, check=True).stdout)
    return str(path)


@pytest.fixture(scope="module")
def loaded(catalog: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with four rows and their bookmark."""
    warehouse = tmp_path_factory.mktemp("loaded") / "w.duckdb"
    load(tap(last=4, catalog=catalog), warehouse, "1", stream())
    return warehouse


@pytest.mark.parametrize("mode", sorted(FAULTS))
def test_a_fault_is_told_and_nothing_is_loaded(mode: str, catalog: str, loaded: Path, tmp_path: Path) -> None:
    warehouse = Path(shutil.copy(loaded, tmp_path))
    before = rows(warehouse, "SELECT position FROM raw._dataflow_state")
    kind, code, words = FAULTS[mode]
    fields = {} if mode == "no_discovery" else {"catalog": catalog}
    with pytest.raises(DataflowError) as caught:
        load(tap(mode, last=40, idle_seconds=2 if mode == "silent" else 60, **fields), warehouse, "2", stream())
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert words in caught.value.what
    assert caught.value.fix
    assert SECRET not in str(caught.value)
    assert len(rows(warehouse)) == 4
    assert rows(warehouse, "SELECT position FROM raw._dataflow_state") == before


def test_what_a_tap_says_last_is_shown_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(TransientError) as caught:
        load(tap("exit"), tmp_path / "w.duckdb", "1", stream())
    assert "Traceback: wrong key ***" in caught.value.what


def test_records_of_other_streams_can_be_skipped(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    assert load(tap("other", unselected="skip"), warehouse, "1", stream()).rows_read == 10


def test_no_rows_leave_the_bookmark(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    load(tap(), warehouse, "1", stream())
    assert load(tap("no_rows"), warehouse, "2", stream()).rows_read == 0
    assert load(tap(last=11), warehouse, "3", stream()).rows_read == 2


def test_notes_of_the_reading() -> None:
    with duckdb.connect() as connection:
        for mode, note in (("activate", "version 7"), ("other", "1 records")):
            scan = tap(mode, unselected="skip").scan(connection, stream(), State())
            assert len(scan.relation.fetchall()) == 10
            scan.close()
            assert note in " ".join(scan.notes.values())


def test_an_upper_bound_is_refused() -> None:
    with duckdb.connect() as connection, pytest.raises(ConfigError, match="upper_bound"):
        tap().scan(connection, stream(cursor="id"), State(until=5))


def test_discovery() -> None:
    assert tap().discover() == ["customers", "orders"]
    table = tap().catalogue()[1]
    assert table.primary_key == ("id",)
    assert {column.name: column.type for column in table.columns}["price"] == "DECIMAL(38,2)"
    assert "2 streams" in tap().test_connection()
    with duckdb.connect() as connection, pytest.raises(ConfigError, match="unknown stream"):
        tap().scan(connection, Stream("x", SingerStream(stream="order")), State())


def test_a_program_that_was_left_alone_is_ended() -> None:
    with duckdb.connect() as connection:
        scan = tap("silent").scan(connection, stream(), State())
        before = _children()
        assert before
        scan.close()
        assert _children() == []


def _children() -> list[str]:
    told = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [line for line in told.stdout.splitlines() if TAP.name in line]


LOAD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.bridges.test_singer_source import load, stream, tap
load(tap(last=int(sys.argv[3])), Path(sys.argv[2]), sys.argv[4], stream(), "append")
"""


@pytest.mark.kill
@pytest.mark.parametrize("point", ["batch_read:2", "state_written"])
def test_a_killed_load_resumes_where_the_last_committed_one_ended(point: str, tmp_path: Path) -> None:
    """25,000 rows are three batches of 10,000 at most."""
    warehouse = tmp_path / "w.duckdb"
    load(tap(last=100), warehouse, "1", stream(), "append")
    root = str(TAP.parent.parent.parent)
    call = [sys.executable, "-c", LOAD, root, str(warehouse), "25000", "2"]
    left = tmp_path / "left"
    left.mkdir()
    environment = {**os.environ, "DATAFLOW_KILL_AT": point, "TMPDIR": str(left)}
    killed = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # A kill while the tap runs leaves catalog and bookmark behind; the config with the secret must not stay.
    files = {file.name: file.read_text() for file in left.rglob("*.json")}
    assert {*files} == ({"catalog.json", "state.json"} if point == "batch_read:2" else set())
    assert json.dumps(SECRET)[1:-1] not in "".join(files.values())
    assert len(rows(warehouse)) == 100
    # The bookmark is 100, whose row comes again: an append without a cursor takes it a second time.
    record = load(tap(last=25_000), warehouse, "2", stream(), "append")
    assert record.rows_loaded == 25_000 - 100 + 1
    assert rows(warehouse, "SELECT count(*), count(DISTINCT id), sum(id) FROM raw.orders") == [
        (25_001, 25_000, 25_000 * 25_001 // 2 + 100)
    ]
