"""Rows that a step cannot make anything of: to quarantine with a reason, and back when the step is mended."""

import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import registry
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import quarantine, replay
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from tests.fixtures.rows import Rows, RowsOptions
from tests.transformations.stepping import step

ROWS = [{"id": 1, "price": "1.5"}, {"id": 2, "price": "free"}, {"id": 3, "price": None}]
TRIED: dict[str, Any] = {"price": {"type": "decimal(6,2)", "misfit": "quarantine"}}


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDB:
    return DuckDB(path=str(tmp_path / "w.duckdb"))


def make(warehouse: DuckDB, *steps: tuple[str, Any]) -> StreamLoad:
    return StreamLoad(
        pipeline="p",
        stream=Stream("t", RowsOptions(), None, ("id",)),
        source=Rows().with_rows(pa.Table.from_pylist(ROWS)),
        destination=warehouse,
        target=Table("raw", "t"),
        strategy=registry.load_strategy("append")(),
        strategy_name="append",
        load_id=uuid.uuid4().hex,
        steps=[step(name, value) for name, value in steps],
    )


def table(warehouse: DuckDB) -> list[str]:
    with warehouse.reader() as connection:
        return [str(row) for row in connection.execute("SELECT id, price::VARCHAR FROM raw.t ORDER BY id").fetchall()]


@pytest.mark.parametrize(
    "later",
    [
        (),
        # The value that could not be cast is NULL, and the filter keeps no NULL: its row is set aside all the same.
        (("filter", "price > 0 or id = 3"), ("derive", {"twice": "price * 2"})),
        (("rename", {"price": "cost"}), ("rename", {"cost": "price"})),
        (("select", ["id", "price"]), ("fill", {"columns": ["id"], "value": 0})),
    ],
)
def test_a_value_that_cannot_be_cast_is_kept_with_its_reason(warehouse: DuckDB, later: Any) -> None:
    record = publish(stage(make(warehouse, ("cast", TRIED), *later)))
    assert (record.rows_read, record.rows_loaded, record.rows_quarantined) == (3, 2, 1)
    assert table(warehouse) == ["(1, '1.50')", "(3, None)"]
    session = warehouse.session()
    try:
        (bad,) = quarantine.rows_of(session, "raw", "p", "t", 10)
    finally:
        session.close()
    assert bad["source"] == {"id": "2", "price": "free"}
    assert bad["reasons"] == [{"rule": "cast_price", "message": "price is no decimal(6,2)"}]


def test_a_replay_asks_the_step_as_it_is_now(warehouse: DuckDB) -> None:
    publish(stage(make(warehouse, ("cast", TRIED))))
    mended = make(warehouse, ("derive", {"price": "if(price = 'free', '0', price)"}), ("cast", TRIED))
    replayed = replay.replay(mended, replay.Selection(), "test")
    assert (replayed.loaded, replayed.still_bad) == (1, 0)
    assert table(warehouse) == ["(1, '1.50')", "(2, '0.00')", "(3, None)"]


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (("aggregate", {"compute": {"total": "sum(price)"}}), "transform.judged_before"),
        (("deduplicate", "price"), "transform.judged_before"),
        (("sample", 50), "transform.judged_before"),
        (("cast", {"PRICE": {"type": "double", "misfit": "quarantine"}}), "check.duplicate"),
    ],
)
def test_what_would_lose_the_rows_that_were_set_aside_is_refused(warehouse: DuckDB, later: Any, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stage(make(warehouse, ("cast", TRIED), later))
    assert (caught.value.code, str(caught.value.where)) == (code, "transform[1]")


def test_a_filter_counts_what_it_leaves_out_beside_what_was_set_aside(warehouse: DuckDB) -> None:
    record = publish(stage(make(warehouse, ("cast", TRIED), ("filter", "price > 9"))))
    assert (record.rows_read, record.rows_loaded, record.rows_quarantined, record.rows_filtered) == (3, 0, 1, 2)
