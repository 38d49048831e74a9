"""The score of a load: what it is made of, that nothing is invented, where it is kept."""

import json
from typing import Any

import dagster as dg
import pytest

from dataflow_platform.checks.expression import Expression
from dataflow_platform.checks.in_range import InRange
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.checks.row_count import RowCount
from dataflow_platform.checks.unique import Unique
from dataflow_platform.core.base import Rule
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine import metadata
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.quality_score import WEIGHTS, scores
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.validate import Verdict
from tests.engine.test_line import make, table, warehouse  # noqa: F401  # the fixture of the destinations' line

ROWS: list[dict[str, Any]] = [{"id": 1, "v": 5}, {"id": 2, "v": -1}, {"id": 3, "v": None}, {"id": 3, "v": 7}]
CHECKS = (
    NotNull(columns="v", severity="warn"),
    NotNull(columns="id", severity="warn"),
    InRange(column="v", min=0, severity="warn"),
    Unique(columns="id", severity="warn"),
    RowCount(min=10, severity="warn"),
)
# completeness: v 3 of 4, id 4 of 4, too few rows 0; validity: 3 of 4. Rows 2 and 3 go to quarantine before uniqueness
# is judged: no id is left twice.
COMPLETENESS = 100 * (0.75 + 1 + 0) / 3
OVERALL = (25 * COMPLETENESS + 30 * 75 + 20 * 100) / 75


def kept(into: Any, columns: str = "name, value") -> list[tuple[Any, ...]]:
    return table(into, f"SELECT {columns} FROM raw._dataflow_quality WHERE kind = 'score' ORDER BY name")


def test_a_score_is_kept_with_the_load_and_shown_on_the_materialization(warehouse: Any) -> None:  # noqa: F811
    staged = stage(make(warehouse, "append", ROWS, "1", checks=CHECKS))
    shown = metadata.of_record(staged, publish(staged))
    assert kept(warehouse) == [
        ("completeness", pytest.approx(COMPLETENESS)), ("quality", pytest.approx(OVERALL)), ("uniqueness", 100.0),
        ("validity", 75.0),
    ]  # fmt: skip
    ((sentence, detail),) = table(
        warehouse, "SELECT sentence, detail FROM raw._dataflow_quality WHERE kind = 'score' AND name = 'quality'"
    )
    assert sentence == (
        "quality 76.1: completeness 58.3 (3 rules), validity 75 (1 rule), uniqueness 100 (1 rule); "
        "not measured: consistency, timeliness"
    )
    assert json.loads(detail)["weights"] == {"completeness": 25, "validity": 30, "uniqueness": 20}
    assert shown["quality score"] == dg.MetadataValue.float(round(OVERALL, 4))
    assert {name for name in shown if name.startswith("quality")} == {
        "quality score", "quality: completeness", "quality: validity", "quality: uniqueness"
    }  # fmt: skip


def test_a_refused_load_is_scored_as_well(warehouse: Any) -> None:  # noqa: F811
    with pytest.raises(DataError, match="nothing was published"):
        publish(stage(make(warehouse, "append", ROWS, "1", checks=(Expression(sql="v > 0"),))))
    # -1 is not above 0, NULL breaks no expression: 3 of 4.
    assert kept(warehouse, "name, value, published") == [("consistency", 75.0, False), ("quality", 75.0, False)]


def test_a_load_without_checks_has_no_score(warehouse: Any) -> None:  # noqa: F811
    staged = stage(make(warehouse, "merge", ROWS, "1"))
    assert staged.verdicts, "the key's own rule judged the rows"
    shown = metadata.of_record(staged, publish(staged))
    assert [name for name in shown if name.startswith("quality")] == []


def verdict(failing: int, of: int, broken: str | None = None, **about: Any) -> Verdict:
    return Verdict(Rule("r", "", **about), failing, of, failing == 0, "", broken)


def test_a_rule_that_measured_nothing_counts_for_nothing() -> None:
    of_rows = {"violation": "FALSE"}
    assert scores([verdict(0, 0, **of_rows)], 0) == []  # no rows: nothing was looked at
    assert scores([verdict(0, 10, broken="it crashed", **of_rows)], 10) == []
    ((_, validity)) = scores([verdict(5, 10, **of_rows), verdict(0, 10, broken="it crashed", **of_rows)], 10)
    assert validity.value == 50.0


def test_a_rule_over_the_whole_is_all_or_nothing_unless_it_counts_rows() -> None:
    def value(**about: Any) -> float | None:
        return scores([verdict(4, 10, **about)], 10)[0].value

    assert value(verdict="SELECT 4, ''") == 0.0
    assert value(verdict="SELECT 4, ''", rows="SELECT * FROM staged") == 60.0
    assert value(verdict="SELECT 4, ''", dimension="uniqueness") == 60.0
    assert scores([verdict(99, 10, dimension="uniqueness")], 10)[0].value == 0.0  # never below nothing


def test_the_weights_are_of_a_hundred() -> None:
    assert sum(WEIGHTS.values()) == 100
