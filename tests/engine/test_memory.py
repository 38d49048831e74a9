"""Invariant 4: ten times the rows do not take ten times the memory."""

import multiprocessing
import resource
from pathlib import Path

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.files import Files
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append

_CONTEXT = multiprocessing.get_context("spawn")


def load(folder: Path, name: str, answer: "multiprocessing.Queue[tuple[int, int]]") -> None:
    """Load one Parquet file; answers with rows loaded and this process's peak memory in bytes."""
    record = publish(
        stage(
            StreamLoad(
                pipeline="p",
                stream=Stream("t", Files.StreamOptions.model_validate({"path": name})),
                source=Files(root=str(folder)),
                destination=DuckDB(path=str(folder / f"{name}.duckdb"), memory_limit="200MB", threads=2),
                target=Table("raw", "t"),
                strategy=Append(),
                strategy_name="append",
                load_id=name,
            )
        )
    )
    answer.put((record.rows_loaded, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def test_memory_stays_when_rows_grow(tmp_path: Path) -> None:
    peaks = {}
    for rows in (400_000, 4_000_000):
        file = tmp_path / f"{rows}.parquet"
        with duckdb.connect(config={"memory_limit": "300MB"}) as connection:
            connection.execute(
                f"COPY (SELECT range AS id, md5(range::VARCHAR) AS v FROM range({rows})) TO '{file}' (FORMAT parquet)"
            )
        answer: multiprocessing.Queue[tuple[int, int]] = _CONTEXT.Queue()
        child = _CONTEXT.Process(target=load, args=(tmp_path, file.name, answer))
        child.start()
        loaded, peaks[rows] = answer.get(timeout=120)
        child.join()
        assert loaded == rows
    # 4 million rows are about 190 MB of values; held whole they would come on top of the small load's peak.
    # The engine may use its limit of 200 MB and somewhat more while it writes; it may not grow with the rows.
    assert peaks[4_000_000] < peaks[400_000] + 250_000_000
    assert peaks[4_000_000] > 50_000_000  # the measure itself works


@pytest.mark.parametrize("limit", ["100MB"])
def test_the_limit_is_the_engines_own(tmp_path: Path, limit: str) -> None:
    with DuckDB(path=str(tmp_path / "w.duckdb"), memory_limit=limit).reader() as connection:
        shown = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    assert shown == [("95.3 MiB",)]  # 100 MB in binary units
