"""What checks found stays with the load: of a published one in its transaction, of a refused one by itself."""

import json
import multiprocessing
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.checks.in_range import InRange
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.checks.unique import Unique
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import injection
from dataflow_platform.core.base import Check, Column, Destination, Rule
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine import failing_rows, refused_rows
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.replay import Selection, replay
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from tests.engine.test_line import make, run, table, warehouse  # noqa: F401  # the fixture of DuckDB's line

ROWS = [{"id": 1, "v": 5}, {"id": 2, "v": -1}, {"id": 3, "v": None}, {"id": 4, "v": 7}]


class MeanAgainstHistory(Check):
    """A rule that measures the mean of v and compares it with those of earlier loads."""

    def names(self) -> list[str]:
        return ["mean"]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        told = "SELECT count(*) AS failing, coalesce(string_agg(CAST(value AS VARCHAR), ' ' ORDER BY measured_at), '-')"
        known = "FROM history WHERE kind = 'metric' AND name = 'mean of v'"
        measures = "SELECT 'mean of v', 'v', avg(v), '{\"of\": 1}' FROM staged"
        return [
            Rule("mean", "", "warn", verdict=f"{told} AS sentence {known}", measures=measures, reads_history=True,
                 at_most=100)
        ]  # fmt: skip


def kept(warehouse: Destination) -> list[tuple[Any, ...]]:  # noqa: F811
    columns = "load_id, published, kind, name, column_name, value, passed, severity, failing, rows"
    told = f"SELECT {columns} FROM raw._dataflow_quality WHERE kind <> 'score' ORDER BY ALL"
    return table(warehouse, told)  # type: ignore[arg-type]


def checked(load_id: str, rows: list[dict[str, Any]] = ROWS, **changes: Any) -> dict[str, Any]:
    rules = (InRange(column="v", min=0, severity="warn", owner="team:v"), MeanAgainstHistory())
    return {"rows": rows, "load_id": load_id, "how": "append", "checks": rules, **changes}


def test_verdicts_metrics_and_the_number_of_rows_stay_with_a_published_load(warehouse: Any) -> None:  # noqa: F811
    run(warehouse, **checked("1"))
    # -1 breaks the range: 1 of 4 rows; the mean is of the three that are published: (5 + 7) / 2, NULL counts not.
    assert kept(warehouse) == [
        ("1", True, "check", "in_range_v", "v", 0.25, False, "warn", 1, 4),
        ("1", True, "check", "mean", None, 0.0, True, "warn", 0, 4),
        ("1", True, "metric", "mean of v", "v", 6.0, None, None, None, None),
        ("1", True, "metric", "row_count", None, 3.0, None, None, None, 3),
    ]
    ((detail,),) = table(warehouse, "SELECT detail FROM raw._dataflow_quality WHERE name = 'in_range_v'")
    assert json.loads(detail) == {"owner": "team:v"}


def test_history_is_what_earlier_published_loads_of_the_stream_kept(warehouse: Any) -> None:  # noqa: F811
    run(warehouse, **checked("1"))
    refused = checked("2", [{"id": 5, "v": 100}])
    refused["checks"] = (*refused["checks"], NotNull(columns="gone_by_now", severity="error"))
    refused["rows"] = [{"id": 5, "v": 100, "gone_by_now": None}]
    with pytest.raises(DataError, match="nothing was published"):
        run(warehouse, **refused)
    run(warehouse, **checked("3", [{"id": 6, "v": 8}], pipeline="another"))
    staged = stage(make(warehouse, **checked("4", [{"id": 7, "v": 9}])))
    staged.close()
    # Load 2 was refused and load 3 is of another pipeline: only the mean of load 1 is history.
    (verdict,) = [each for each in staged.verdicts if each.rule.name == "mean"]
    assert (verdict.failing, verdict.sentence) == (1, "6.0")


def refused_load(warehouse: Any, load_id: str) -> StreamLoad:  # noqa: F811
    return make(warehouse, "append", ROWS, load_id, checks=(InRange(column="v", min=0),))


def refuse(warehouse: Any) -> None:  # noqa: F811
    for _ in range(2):  # tried again under its id it is still one load
        with pytest.raises(DataError, match="nothing was published"):
            publish(stage(refused_load(warehouse, "1")))


REFUSED = [
    ("1", False, "check", "in_range_v", "v", 0.25, False, "error", 1, 4),
    ("1", False, "metric", "row_count", None, 3.0, None, None, None, 3),
]


def test_a_refused_load_leaves_what_it_found_and_nothing_else(warehouse: Any) -> None:  # noqa: F811
    run(warehouse, "append", [{"id": 0, "v": 1}], "0")
    refuse(warehouse)
    assert kept(warehouse) == REFUSED
    assert table(warehouse) == [(0, 1)]
    assert table(warehouse, "SELECT load_id FROM raw._dataflow_loads") == [("0",)]
    assert table(warehouse, "SELECT load_id FROM raw._dataflow_state") == [("0",)]
    assert table(warehouse, "SELECT status FROM raw._dataflow_quarantine") == [("refused",)]


def test_the_rows_that_refused_a_load_can_be_seen_until_the_next(warehouse: Any) -> None:  # noqa: F811
    run(warehouse, "append", [{"id": 0, "v": 1}], "0")
    rules = (InRange(column="v", min=0), NotNull(columns="v", severity="warn"), Unique(columns="id"))
    rows = [*ROWS, {"id": 4, "v": 7}, {"id": 5, "v": -9}]
    for load_id in ("1", "2"):  # those of the load before are gone
        staged = stage(make(warehouse, "append", rows, load_id, checks=rules))
        with pytest.raises(DataError, match="nothing was published"):
            publish(staged)
        failing = {each.rule.name: each.failing for each in staged.verdicts}
        # -1 and -9; one NULL; id 4 comes twice.
        assert failing == {"in_range_v": 2, "not_null_v": 1, "unique_id": 1}
        told = {each.rule.name: failing_rows.all_of(staged, each, blocked=True) for each in staged.verdicts}
        assert {name: len(table(warehouse, str(sql))) for name, sql in told.items()} == failing
        assert all("--status refused" in failing_rows.where(staged, each, blocked=True) for each in staged.verdicts)
        kept = "SELECT DISTINCT load_id, status FROM raw._dataflow_quarantine"
        assert table(warehouse, kept) == [(load_id, "refused")]
    load = make(warehouse, "append", rows, "3", checks=(InRange(column="v", min=-100),))
    assert replay(load, Selection(), "me").selected == 0
    assert publish(stage(load)).rows_loaded == 6
    assert table(warehouse, "SELECT * FROM raw._dataflow_quarantine") == []


def test_a_few_of_many_rows_are_kept_of_a_refused_load(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Rows that break a blocking rule come first: many that only warn leave them their places."""
    monkeypatch.setattr(refused_rows, "MOST", 3)
    rows = [{"id": number, "v": None} for number in range(50)] + [{"id": 100, "v": -1}, {"id": 101, "v": -1}]
    rules = (InRange(column="v", min=0), NotNull(columns="v", severity="warn"))
    with pytest.raises(DataError):
        run(warehouse, "append", rows, checks=rules)
    found = "SELECT reasons LIKE '%in_range%', count(*) FROM raw._dataflow_quarantine GROUP BY 1 ORDER BY 1"
    assert table(warehouse, found) == [(False, 3), (True, 2)]


def test_a_refused_first_load_makes_no_table(warehouse: Any) -> None:  # noqa: F811
    refuse(warehouse)
    tables = {name for (name,) in table(warehouse, "SELECT table_name FROM information_schema.tables")}
    assert "t" not in tables
    if warehouse.facts.transaction == "table_commit":  # its books are in the table's log, and there is none
        assert "_dataflow_quality" not in tables
    else:
        assert kept(warehouse) == REFUSED


def test_a_stream_without_checks_has_no_such_table(warehouse: Any) -> None:  # noqa: F811
    run(warehouse, "append", ROWS)
    tables = table(warehouse, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw'")
    assert ("_dataflow_quality",) not in tables


_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.engine.test_line", "sqlglot"])


def load_and_die(path: Path, point: str, least: int) -> None:
    injection.arm(injection.kill_at(point))
    rules = (InRange(column="v", min=least),)
    publish(stage(make(DuckDB(path=str(path)), "append", ROWS[:1], "1", checks=rules)))


@pytest.mark.kill
@pytest.mark.parametrize(("point", "least", "stays"), [
    ("quality_written", 0, 0), ("committed", 0, 1), ("quality_written", 100, 0)
])  # fmt: skip
def test_a_killed_load_leaves_its_measurements_with_its_rows_or_neither(
    tmp_path: Path, point: str, least: int, stays: int
) -> None:
    path = tmp_path / "w.duckdb"
    child = _CONTEXT.Process(target=load_and_die, args=(path, point, least))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL, f"the load never reached '{point}'"
    into = DuckDB(path=str(path))
    tables = {name for (name,) in table(into, "SELECT table_name FROM information_schema.tables")}
    assert (len(table(into)) if "t" in tables else 0) == stays
    measured = kept(into) if "_dataflow_quality" in tables else []
    # A verdict and the number of rows.
    assert len(measured) == (2 if point == "committed" else 0)
