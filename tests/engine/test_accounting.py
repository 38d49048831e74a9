"""Invariant 2: read = loaded + quarantined + filtered, over generated batches and every strategy of the line."""

import re
import tempfile
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.transformations.filter import Filter
from tests.fixtures.rows import Rows, RowsOptions
from tests.reliability.workload import STRATEGIES

SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.int64()), ("v", pa.string())])
ROW = st.fixed_dictionaries(
    {"id": st.integers(0, 5), "at": st.integers(0, 4), "v": st.sampled_from(["a", "b", "drop", None])}
)


def loads(path: Path, how: str, batches: list[list[dict[str, Any]]], one_shot: bool) -> None:
    for number, batch in enumerate(batches):
        record = publish(
            stage(
                StreamLoad(
                    pipeline="p",
                    stream=Stream("t", RowsOptions(), "at", ("id",)),
                    source=Rows(one_shot=one_shot).with_rows(pa.Table.from_pylist(batch, schema=SCHEMA)),
                    destination=DuckDB(path=str(path)),
                    target=Table("raw", "t"),
                    strategy=STRATEGIES[how],
                    strategy_name=how,
                    load_id=str(number),
                    steps=[Filter.model_validate("v IS NULL OR v <> 'drop'")],
                    checks=[NotNull(columns=["v"], severity="warn")],
                )
            )
        )
        assert record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered
        assert record.rows_quarantined == quarantined(path, str(number))


def quarantined(path: Path, load_id: str) -> int:
    with duckdb.connect(str(path)) as connection:
        sql = "SELECT count(*) FROM raw._dataflow_quarantine WHERE load_id = ?"
        return int(connection.execute(sql, [load_id]).fetchall()[0][0])


@pytest.mark.parametrize("one_shot", [False, True])
@pytest.mark.parametrize("how", sorted(STRATEGIES))
@settings(max_examples=8, deadline=None)
@given(batches=st.lists(st.lists(ROW, max_size=8), min_size=1, max_size=3))
def test_every_row_is_accounted_for(how: str, one_shot: bool, batches: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loads(Path(folder) / "w.duckdb", how, batches, one_shot)


@pytest.mark.parametrize(("reconcile", "code"), [("off", "load.reconciliation"), ("auto", "load.corrupted")])
def test_a_row_that_vanishes_between_stage_and_publish_stops_the_load(
    tmp_path: Path, reconcile: Literal["off", "auto"], code: str
) -> None:
    load = StreamLoad(
        pipeline="p",
        stream=Stream("t", RowsOptions()),
        source=Rows().with_rows(pa.table({"id": [1, 2, 3]})),
        destination=DuckDB(path=str(tmp_path / "w.duckdb")),
        target=Table("raw", "t"),
        strategy=STRATEGIES["append"],
        strategy_name="append",
        load_id="1",
        reconcile=reconcile,
    )
    staged = stage(load)
    assert staged.staged is not None
    staged.session.in_engine(f'DELETE FROM raw."{staged.staged.name}" WHERE id = 2')
    with pytest.raises(DataError, match=re.escape(code)):
        publish(staged)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        assert connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE NOT starts_with(table_name, '_dataflow_')"
        ).fetchall() == [(0,)]
