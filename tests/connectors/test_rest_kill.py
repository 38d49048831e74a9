"""A load from an API killed in the middle: nothing of it is seen, and the next one brings every row once."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.fixtures.rest_api import Seen, Stub

ROWS = 5_000  # in pages of 500: ten of them, more than the two that are read to learn the columns

LOAD = """
import sys, uuid
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core import injection, registry
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad

url, file, point = sys.argv[1:]
if point:
    injection.arm(injection.kill_at(point))
options = Rest.StreamOptions.model_validate({
    "path": "rows", "records": "rows", "delta": {"body_path": "token", "param": "since"},
    "paging": {"type": "next_cursor", "body_path": "next", "param": "cursor"},
})
publish(stage(StreamLoad(
    "p", Stream("rows", options, None, ("id",)), Rest(base_url=url), DuckDB(path=file), Table("raw", "t"),
    registry.load_strategy("append")(), "append", str(uuid.uuid4()),
)))
"""


def answer(seen: Seen) -> Any:
    first = 0 if "since" not in seen.query else ROWS  # what is new after the first load: 500 rows more
    last = ROWS if first == 0 else ROWS + 500
    start = int(seen.query.get("cursor", first))
    end = min(start + 500, last)
    rows = [{"id": number} for number in range(start, end)]
    return {"rows": rows, "next": str(end)} if end < last else {"rows": rows, "token": f"after-{last}"}


def run(stub: Stub, file: Path, point: str = "") -> int:
    words = [sys.executable, "-c", LOAD, stub.url, str(file), point]
    return subprocess.run(words, timeout=120, check=False, cwd=Path(__file__).parents[2]).returncode


def found(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.kill
def test_a_killed_load_leaves_nothing_and_is_repeated_whole(stub: Stub, tmp_path: Path) -> None:
    stub.on("/rows", answer)
    file = tmp_path / "w.duckdb"
    assert run(stub, file, "batch_read:7") == -signal.SIGKILL
    assert run(stub, file) == 0
    assert found(file, "SELECT count(*), count(DISTINCT id) FROM raw.t") == [(ROWS, ROWS)]
    ((position,),) = found(file, "SELECT position FROM raw._dataflow_state")
    assert f"after-{ROWS}" in position
    # Killed once more, the token of the first load is still the one that is sent.
    assert run(stub, file, "state_written") == -signal.SIGKILL
    assert run(stub, file) == 0
    assert found(file, "SELECT count(*), count(DISTINCT id) FROM raw.t") == [(ROWS + 500, ROWS + 500)]
    assert [seen.query["since"] for seen in stub.seen if "since" in seen.query] == [f"after-{ROWS}"] * 2
