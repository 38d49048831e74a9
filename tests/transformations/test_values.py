"""Steps that give columns other values: fill, bucket, one_hot, ordinal; and drop, sample."""

from typing import Any

import pytest

from dataflow_platform.core.base import Column
from tests.transformations.stepping import over, refusal, step

COLUMNS = [Column("t", "INTEGER"), Column("g", "VARCHAR"), Column("v", "INTEGER")]
ROWS = "SELECT * FROM (VALUES (1, 'a', NULL), (2, 'a', 5), (3, 'a', NULL), (4, 'b', NULL), (5, 'b', 8)) AS r(t, g, v)"


def filled(**settings: Any) -> list[Any]:
    names, rows = over(ROWS, step("fill", {"columns": ["v"], **settings}))
    assert names == ["t", "g", "v"]
    return [row[2] for row in sorted(rows)]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"value": 0}, [0, 5, 0, 0, 8]),
        ({"from_row": "previous", "order": "t"}, [None, 5, 5, 5, 8]),
        ({"from_row": "previous", "order": "t", "by": ["g"]}, [None, 5, 5, None, 8]),
        ({"from_row": "next", "order": "t"}, [5, 5, 8, 8, 8]),
        ({"from_row": "previous", "order": "t desc"}, [5, 5, 8, 8, 8]),
        ({"statistic": "mean"}, [6.5, 5.0, 6.5, 6.5, 8.0]),  # (5 + 8) / 2
        ({"statistic": "max", "by": ["g"]}, [5, 5, 5, 8, 8]),
    ],
)
def test_fill(settings: dict[str, Any], wanted: list[Any]) -> None:
    assert filled(**settings) == wanted


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, "fill.with"),
        ({"value": 1, "statistic": "mean"}, "fill.with"),
        ({"from_row": "next"}, "fill.order"),
        ({"value": 1, "order": "t"}, "fill.order"),
        ({"from_row": "next", "order": "tt"}, "column.unknown"),
        ({"from_row": "next", "order": "t; drop table x"}, "expression.refused"),
    ],
)
def test_fill_refuses(settings: dict[str, Any], code: str) -> None:
    assert refusal("fill", {"columns": ["v"], **settings}, COLUMNS).code == code


def test_a_decimal_is_filled_with_the_number_that_was_written() -> None:
    rows = "SELECT CAST(NULL AS DECIMAL(20, 19)) AS v"
    (value,) = over(rows, step("fill", {"columns": ["v"], "value": 0.1}))[1][0]
    assert str(value) == "0.1000000000000000000"  # as a double it would be 0.1000000000000000055


def test_bucket() -> None:
    rows = "SELECT * FROM (VALUES (17.9), (18), (64.9), (65), (NULL)) AS r(age)"
    made = step("bucket", {"column": "AGE", "bounds": [18, 65], "into": "band"})
    wanted = [["< 18", "18 to < 65", "18 to < 65", ">= 65", None], ["minor", "adult", "adult", "senior", None]]
    assert [row[1] for row in over(rows, made)[1]] == wanted[0]
    named = {"column": "age", "bounds": [18, 65], "into": "band", "labels": ["minor", "adult", "senior"]}
    assert [row[1] for row in over(rows, step("bucket", named))[1]] == wanted[1]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"bounds": [2, 1]}, "bucket.bounds"),
        ({"bounds": [1, 1]}, "bucket.bounds"),
        ({"bounds": [1], "labels": ["low"]}, "bucket.labels"),
        ({"bounds": [1], "into": "G"}, "column.duplicate"),
        ({"bounds": [1], "column": "w"}, "column.unknown"),
    ],
)
def test_bucket_refuses(settings: dict[str, Any], code: str) -> None:
    assert refusal("bucket", {"column": "v", "into": "band", **settings}, COLUMNS).code == code


def test_one_hot_makes_the_declared_columns_whatever_the_batch_holds() -> None:
    made = step("one_hot", {"column": "g", "values": ["a", "c"]})
    names, rows = over(ROWS, made)
    assert names == ["t", "v", "g_a", "g_c"]
    assert [row[2:] for row in sorted(rows, key=lambda row: row[0])] == [(True, False)] * 3 + [(False, False)] * 2
    assert over("SELECT NULL::VARCHAR AS g", made)[1] == [(False, False)]
    assert refusal("one_hot", {"column": "g", "values": ["a", "A"]}, COLUMNS).code == "column.duplicate"


def test_ordinal_numbers_by_the_declared_order() -> None:
    made = step("ordinal", {"column": "g", "values": ["b", "a"], "into": "rank"})
    assert [row[3] for row in sorted(over(ROWS, made)[1])] == [1, 1, 1, 0, 0]
    assert over("SELECT 'x' AS g", made)[1] == [("x", None)]
    assert refusal("ordinal", {"column": "g", "values": ["a", "a"], "into": "r"}, COLUMNS).code == "ordinal.values"


def test_drop() -> None:
    assert over(ROWS, step("drop", ["G", "t"]))[0] == ["v"]
    assert refusal("drop", ["x"], COLUMNS).code == "column.unknown"
    assert refusal("drop", ["g", "G"], COLUMNS).code == "column.duplicate"
    assert refusal("drop", ["t", "g", "v"], COLUMNS).code == "column.none"


def test_sample_keeps_the_same_rows_each_time() -> None:
    rows = "SELECT range AS id, range % 100 AS customer FROM range(20000)"
    kept = {row[0] for row in over(rows, step("sample", 10))[1]}
    # 20,000 rows at 10 %: 2,000 expected, the deviation of a fair choice is 42; six of it are 252.
    assert abs(len(kept) - 2000) < 252
    assert kept == {row[0] for row in over(f"{rows} ORDER BY id DESC", step("sample", 10))[1]}
    by_customer = over(rows, step("sample", {"percent": 30, "by": ["customer"]}))[1]
    counts = {customer: sum(row[1] == customer for row in by_customer) for customer in {row[1] for row in by_customer}}
    assert set(counts.values()) == {200}  # all 200 rows of a customer, or none
    assert 0 < len(counts) < 100
