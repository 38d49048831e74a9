"""Two runs of one stream at once never interleave."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.core.errors import TransientError
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from tests.fixtures.rows import Rows, RowsOptions


def load(path: Path, load_id: str, stream: str = "t", ids: tuple[int, ...] = (1, 2)) -> StreamLoad:
    return StreamLoad(
        pipeline="p",
        stream=Stream(stream, RowsOptions(), "id"),
        source=Rows().with_rows(pa.table({"id": list(ids)})),
        destination=DuckDB(path=str(path), wait_seconds=0.2),
        target=Table("raw", stream),
        strategy=Append(),
        strategy_name="append",
        load_id=load_id,
    )


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path)) as connection:
        return connection.execute(sql).fetchall()


def test_the_second_of_two_runs_of_one_stream_publishes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    publish(stage(load(path, "0")))  # the tables are there
    first, second = stage(load(path, "1", ids=(2, 3))), stage(load(path, "2", ids=(2, 3)))
    publish(first)
    with pytest.raises(TransientError, match=r"load\.overtaken"):
        publish(second)
    assert rows(path, "SELECT id FROM raw.t ORDER BY 1") == [(1,), (2,), (3,)]
    assert rows(path, "SELECT load_id FROM raw._dataflow_loads ORDER BY 1") == [("0",), ("1",)]
    assert rows(path, "SELECT count(*) FROM duckdb_tables() WHERE contains(table_name, '__dataflow_stage_')") == [(0,)]


def test_two_streams_side_by_side_both_publish(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    publish(stage(load(path, "0")))
    first, second = stage(load(path, "1", "a")), stage(load(path, "2", "b"))
    publish(first)
    publish(second)
    assert rows(path, "SELECT (SELECT count(*) FROM raw.a), (SELECT count(*) FROM raw.b)") == [(2, 2)]


def test_staging_left_by_a_dead_process_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    publish(stage(load(path, "0")))
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE raw.t__dataflow_stage_0123456789ab AS SELECT 1 AS id")
    publish(stage(load(path, "1", "other")))
    assert rows(path, "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' ORDER BY 1") == [
        ("_dataflow_loads",), ("_dataflow_quarantine",), ("_dataflow_state",), ("other",), ("t",),
    ]  # fmt: skip
