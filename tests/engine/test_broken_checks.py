"""A check that fails by itself is named, with what it failed with, and never passed; the others judge as before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.checks.expression import Expression
from dataflow_platform.checks.in_range import InRange
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.checks.row_count import RowCount
from dataflow_platform.checks.unique import Unique
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.parquet_dataset import ParquetDataset
from dataflow_platform.core.base import Check, Column, Rule
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine import validate
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StagedLoad
from dataflow_platform.engine.validate import Verdict
from dataflow_platform.transformations.mask import Mask
from tests.engine.test_line import make, table

ROWS = [
    {"id": 1, "v": "5", "n": 1},
    {"id": 2, "v": "x", "n": 2},
    {"id": 3, "v": "-5", "n": 3},
    {"id": 4, "v": None, "n": -4},
    {"id": 5, "v": "y", "n": -5},
]
NUMERIC = {"sql": "cast(v as integer) > 0", "name": "positive", "severity": "warn"}
BESIDE = [InRange(column="n", min=0, severity="warn"), NotNull(columns="v", severity="warn")]


class Aggregate(Check):
    """A set rule of a SELECT as it is."""

    verdict: str
    measures: str | None = None

    def names(self) -> list[str]:
        return [self.name or "aggregate"]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        return [Rule(self.names()[0], "", self.severity, verdict=self.verdict, measures=self.measures)]


@pytest.fixture(params=["duckdb", "parquet_dataset"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """One where rows are staged, and one where they are written once and the bad ones taken out again."""
    if request.param == "duckdb":
        return DuckDB(path=str(tmp_path / "w.duckdb"), wait_seconds=0.3)
    return ParquetDataset(path=str(tmp_path / "lake"))


def loaded(warehouse: Any, *checks: Check, rows: list[dict[str, Any]] = ROWS, **changes: Any) -> StagedLoad:
    staged = stage(make(warehouse, "replace", rows, checks=checks, **changes))
    publish(staged)
    return staged


def found(staged: StagedLoad) -> dict[str, tuple[bool, int, bool]]:
    """Rule -> passed, failing, broken."""
    return {each.rule.name: (each.passed, each.failing, each.broken is not None) for each in staged.verdicts}


def verdict_of(staged: StagedLoad, name: str) -> Verdict:
    return next(each for each in staged.verdicts if each.rule.name == name)


def test_a_rule_that_raises_over_a_row_is_broken_and_the_others_judge_all_rows(warehouse: Any) -> None:
    staged = loaded(warehouse, Expression(**NUMERIC), *BESIDE, Unique(columns="n", severity="warn"))
    # x and y are no numbers (rows 2 and 5), -5 is not positive (row 3); n is below 0 in 4 and 5; v is missing in 4.
    assert found(staged) == {
        "positive": (False, 3, True),
        "in_range_n": (False, 2, False),
        "not_null_v": (False, 1, False),
        "unique_n": (True, 0, False),
    }
    broken = verdict_of(staged, "positive")
    assert str(broken.broken).startswith("Conversion Error: Could not convert string 'x' to INT32")
    assert "over 2 rows" in str(broken.broken)
    assert "broken" in broken.sentence
    # A row that could not be judged is not published as a good one.
    assert table(warehouse, "SELECT id FROM raw.t") == [(1,)]
    kept = table(
        warehouse, "SELECT json_extract(row_values, '$.id')::INT, reasons FROM raw._dataflow_quarantine ORDER BY 1"
    )
    assert [(number, reasons.count('"rule"')) for number, reasons in kept] == [(2, 1), (3, 1), (4, 2), (5, 2)]
    ((detail,),) = table(warehouse, "SELECT detail FROM raw._dataflow_quality WHERE name = 'positive'")
    assert "Could not convert" in detail


def test_a_broken_rule_of_severity_error_publishes_nothing(warehouse: Any) -> None:
    with pytest.raises(DataError, match="'positive' failed, nothing was published: the check is broken"):
        loaded(warehouse, Expression(**{**NUMERIC, "severity": "error", "at_most": 100}))


def test_a_rule_that_raises_over_no_row_is_not_broken(warehouse: Any) -> None:
    staged = loaded(warehouse, Expression(**NUMERIC), rows=[ROWS[0], ROWS[2]])
    assert found(staged) == {"positive": (False, 1, False)}


def test_a_row_stays_where_a_broken_rule_only_counts(warehouse: Any) -> None:
    staged = loaded(warehouse, Expression(**NUMERIC, scope="set"), BESIDE[0])
    assert found(staged) == {"positive": (False, 3, True), "in_range_n": (False, 2, False)}
    # Rows 4 and 5 are below 0 and go; 2 and 3 only break the rule that counts.
    assert table(warehouse, "SELECT id FROM raw.t ORDER BY id") == [(1,), (2,), (3,)]
    # Row 5 was known to be bad only when its rules were judged one by one: its source's values are kept all the same.
    assert table(warehouse, "SELECT count(*), count(source_values) FROM raw._dataflow_quarantine") == [(2, 2)]


def test_more_rules_than_a_mask_has_bits(warehouse: Any) -> None:
    # 62 rules fill the first mask; the one that raises is in the second, a plain one on either side of it.
    many = [InRange(column="n", min=-place, severity="warn", name=f"r{place}") for place in range(63)]
    staged = loaded(warehouse, *many, Expression(**NUMERIC), BESIDE[1])
    counts = found(staged)
    # -4 and -5 are below 0 to -3; -5 alone is below -4.
    assert [counts[f"r{place}"][1] for place in range(7)] == [2, 2, 2, 2, 1, 0, 0]
    assert counts["positive"] == (False, 3, True)
    assert counts["not_null_v"] == (False, 1, False)


def test_a_rule_that_does_not_fit_its_column_judges_nothing_and_passes_nothing(warehouse: Any) -> None:
    staged = loaded(warehouse, Expression(sql="length(n) > 2", severity="warn", name="odd"), *BESIDE)
    assert found(staged) == {
        "odd": (False, 0, True), "in_range_n": (False, 2, False), "not_null_v": (False, 1, False),
    }  # fmt: skip
    assert "length(BIGINT)" in str(verdict_of(staged, "odd").broken)


@pytest.mark.parametrize(
    "fault",
    [
        {"verdict": "SELECT sum(CAST(v AS INTEGER)), '' FROM staged"},
        {"verdict": "SELECT count(*) FROM staged"},
        {"verdict": "SELECT NULL, 'nothing' FROM staged"},
        {"verdict": "SELECT no_such_column, '' FROM staged"},
        {"verdict": "SELECT 0, ''", "measures": "SELECT 'm', NULL, CAST(min(v) || 'a' AS DOUBLE), NULL FROM staged"},
    ],
)
def test_a_set_rule_that_fails_takes_no_other_down(warehouse: Any, fault: dict[str, Any]) -> None:
    bad, worse = Aggregate(**fault, severity="warn"), Aggregate(**fault, severity="warn", name="another")
    staged = loaded(warehouse, bad, RowCount(min=9, severity="warn"), worse, *BESIDE[:1])
    # Three rows are published, nine were asked for.
    assert found(staged) == {
        "aggregate": (False, 0, True),
        "row_count": (False, 6, False),
        "another": (False, 0, True),
        "in_range_n": (False, 2, False),
    }
    assert table(warehouse, "SELECT count(*) FROM raw.t") == [(3,)]
    with pytest.raises(DataError, match="'aggregate' failed"):
        loaded(warehouse, Aggregate(**fault), load_id="2")


def test_a_failure_tells_no_value_where_the_load_masks(warehouse: Any) -> None:
    hidden = Mask.model_validate({"n": "null"})
    crash = Aggregate(verdict="SELECT sum(CAST(v || 'q' AS INTEGER)), '' FROM staged", severity="warn")
    staged = loaded(warehouse, Expression(**NUMERIC), crash, steps=(hidden,))
    for name in ("positive", "aggregate"):
        text = verdict_of(staged, name).broken
        assert str(text).startswith("Conversion Error; its words are left out")
        assert "'" not in f"{text} {verdict_of(staged, name).sentence}"


def test_judged_apart_a_rule_is_broken_by_the_row_it_raises_over() -> None:
    columns = [Column("v", "VARCHAR"), Column("n", "INTEGER")]
    rules = validate.compile_rules([Expression(**NUMERIC), BESIDE[0]], columns)
    rows = "SELECT * FROM (VALUES ('5', 1), ('x', 2), ('-5', -3), ('y', -4)) AS t(v, n)"
    with duckdb.connect(":memory:") as connection:
        judged = validate.with_masks(rows, rules, apart=True)
        apart = connection.execute(f"SELECT {validate.MASK}0 FROM ({judged})").fetchall()
        judged = validate.with_masks(rows, rules)
        together = connection.execute(f"SELECT {validate.MASK}0 < 0 FROM ({judged})").fetchall()
    # Bit 1: not positive, or no number; bit 2: n below 0. A replay takes these as they are.
    assert apart == [(0,), (1,), (3,), (3,)]
    assert together == [(False,), (True,), (False,), (True,)]
