"""Rules that look back on earlier loads, that ask a SELECT or a function of one's own: in whole loads."""

from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.checks.custom_python import CustomPython
from dataflow_platform.checks.custom_sql import CustomSql
from dataflow_platform.checks.drift import Drift
from dataflow_platform.checks.freshness import Freshness
from dataflow_platform.checks.monotonic import Monotonic
from dataflow_platform.checks.row_count import RowCount
from dataflow_platform.checks.statistic import Statistic
from dataflow_platform.checks.unique import Unique
from dataflow_platform.core.base import Check, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StagedLoad
from tests.engine.test_broken_checks import warehouse  # noqa: F401  # a stage, and rows written once
from tests.engine.test_line import make, table

LOOKING_BACK = [
    RowCount(max_decrease="10%", max_increase="10%"),
    Drift(column="n"),
    Drift(column="kind", name="kinds"),
    Statistic(column="n", of="mean", min=0, max=1000),
    Freshness.model_validate({"column": "at", "max_age": "52000w"}),
]


def rows(count: int, offset: int = 0, kind: str = "a") -> list[dict[str, Any]]:
    # 2001-09-09 01:46:40 UTC and later.
    return [
        {"id": i, "n": i + offset, "kind": kind, "at": pa.scalar(i + 10**9, pa.timestamp("s")).as_py()}
        for i in range(count)
    ]


def loaded(warehouse: Any, *checks: Check, given: list[dict[str, Any]], **changes: Any) -> StagedLoad:  # noqa: F811
    staged = stage(make(warehouse, "replace", given, checks=checks, **changes))
    publish(staged)
    return staged


def failed(staged: StagedLoad) -> set[str]:
    return {each.rule.name for each in staged.verdicts if not each.passed}


def test_a_load_is_compared_with_what_the_last_one_left(warehouse: Any) -> None:  # noqa: F811
    assert failed(loaded(warehouse, *LOOKING_BACK, given=rows(100))) == set()
    assert failed(loaded(warehouse, *LOOKING_BACK, given=rows(105), load_id="2")) == set()
    kept = table(warehouse, "SELECT DISTINCT name, column_name FROM raw._dataflow_quality WHERE kind = 'metric'")
    assert sorted(kept, key=str) == sorted(
        [("row_count", None), ("classes of psi", "n"), ("classes of psi", "kind"), ("mean", "n"), ("newest", "at")],
        key=str,
    )
    checks = [check.model_copy(update={"severity": "warn"}) for check in LOOKING_BACK]
    other = loaded(warehouse, *checks, given=rows(80, 90, "b"), load_id="3")
    # 80 rows after 105; n from 90 on where it was 0 to 104; kind b where it was a.
    assert failed(other) == {"row_count_change", "drift_n", "kinds"}
    # What was published, warned of or not, is what the next load is compared with.
    assert failed(loaded(warehouse, *LOOKING_BACK, given=rows(80, 90, "b"), load_id="4")) == set()


def test_a_refused_load_is_no_measure_for_the_next(warehouse: Any) -> None:  # noqa: F811
    loaded(warehouse, *LOOKING_BACK, given=rows(100))
    for load_id in ("2", "3"):
        with pytest.raises(DataError, match="row_count_change"):
            loaded(warehouse, *LOOKING_BACK, given=rows(50), load_id=load_id)
    assert table(warehouse, "SELECT count(*) FROM raw.t") == [(100,)]


def test_rows_after_the_first_of_a_key_go_to_quarantine(warehouse: Any) -> None:  # noqa: F811
    given = [{"id": i, "n": i % 3, "v": 10 - i} for i in range(7)]
    check = Unique(columns="n", scope="row", first="v", severity="warn")
    staged = loaded(warehouse, check, given=given)
    # Of n = 0: ids 0, 3, 6; of 1: 1, 4; of 2: 2, 5. The least v is that of the greatest id.
    assert table(warehouse, "SELECT id FROM raw.t ORDER BY id") == [(4,), (5,), (6,)]
    assert [(each.failing, each.passed) for each in staged.verdicts] == [(4, False)]
    assert table(warehouse, "SELECT count(*) FROM raw._dataflow_quarantine") == [(4,)]


@pytest.mark.parametrize(("scope", "left"), [("row", [1, 2, 4]), ("set", [1, 2, 3, 4])])
def test_rows_out_of_order(warehouse: Any, scope: Any, left: list[int]) -> None:  # noqa: F811
    given = [{"id": 4, "n": 9}, {"id": 1, "n": 5}, {"id": 3, "n": 6}, {"id": 2, "n": 7}]
    staged = loaded(warehouse, Monotonic(column="n", by="id", scope=scope, severity="warn"), given=given)
    # By id: 5, 7, 6, 9; 6 is below the one before.
    assert table(warehouse, "SELECT id FROM raw.t ORDER BY id") == [(number,) for number in left]
    assert [each.failing for each in staged.verdicts] == [1]
    assert staged.samples == {"monotonic_n": ['{"id":3,"n":6}']}


def test_a_select_of_ones_own(warehouse: Any) -> None:  # noqa: F811
    loaded(warehouse, given=[{"id": 1, "n": 30}], load_id="0", target=Table("raw", "known"))
    checks = [
        CustomSql(
            rows="select s.* from staged s anti join raw.known k on s.id = k.id", name="unknown", severity="warn"
        ),
        CustomSql(verdict="select greatest(sum(n) - 99, 0), 'sum ' || sum(n) from staged", name="sum", severity="warn"),
        CustomSql(
            verdict="select count(*), 'before: ' || count(*) from history where name = 'row_count'", name="past",
            severity="warn",
        ),
    ]  # fmt: skip
    given = [{"id": 1, "n": 50}, {"id": 2, "n": 60}]
    staged = loaded(warehouse, *checks, given=given)
    assert checks[0].upstream() == ("raw.known",)
    assert {each.rule.name: (each.failing, each.sentence) for each in staged.verdicts} == {
        "unknown": (1, "1 rows"),
        "sum": (11, "sum 110"),
        "past": (0, "before: 0"),
    }
    assert staged.samples["unknown"] == ['{"id":2,"n":60}']
    again = loaded(warehouse, *checks, given=given, load_id="2")
    assert [each.sentence for each in again.verdicts][2] == "before: 1"


def even(batch: pa.RecordBatch) -> list[bool | None]:
    assert batch.schema.names == ["n"]
    return [None if n is None else n % 2 == 0 for n in batch.column("n").to_pylist()]


def too_many(reader: pa.RecordBatchReader) -> tuple[int, str]:
    count = sum(batch.num_rows for batch in reader)
    return max(count - 2, 0), f"{count} came"


def crashing(given: Any) -> Any:
    raise ValueError("out of luck")


def short(batch: pa.RecordBatch) -> list[bool]:
    return [True]


HERE = "tests.engine.test_rules_of_sets"


def test_a_function_of_ones_own(warehouse: Any) -> None:  # noqa: F811
    given = [{"id": i, "n": None if i == 5 else i} for i in range(6)]
    checks = [
        CustomPython(function=f"{HERE}:even", columns=["n"], severity="warn"),
        CustomPython(function=f"{HERE}:too_many", takes="rows", severity="warn"),
        CustomPython(function=f"{HERE}:crashing", severity="warn"),
        CustomPython(function=f"{HERE}:crashing", takes="rows", severity="warn", name="crashes"),
        CustomPython(function=f"{HERE}:short", severity="warn"),
    ]
    staged = loaded(warehouse, *checks, given=given)
    assert {each.rule.name: (each.passed, each.failing, each.broken) for each in staged.verdicts} == {
        # 1 and 3 are odd, of 5 nothing is known; four rows are left for what looks at all of them.
        "even": (False, 2, None),
        "too_many": (False, 2, None),
        "crashing": (False, 0, "ValueError: out of luck"),
        "crashes": (False, 1, "ValueError: out of luck"),
        "short": (False, 0, "ValueError: it gave 1 answers for 6 rows"),
    }
    assert table(warehouse, "SELECT id FROM raw.t ORDER BY id") == [(0,), (2,), (4,), (5,)]
