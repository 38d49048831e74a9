"""Conditions as data say the same as their SQL."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dataflow_platform.core import sql
from tests.transformations.stepping import over, step

ROWS = """SELECT * FROM (VALUES
    (1, 'JFK', 100.5, DATE '2024-01-01', TRUE), (2, 'LAX', NULL, DATE '2024-02-01', FALSE),
    (3, NULL, 0.1, NULL, NULL), (4, 'it''s', 300, DATE '2025-01-01', TRUE)
) AS r(id, dest, price, day, paid)"""


def kept(condition: Any) -> list[int]:
    return sorted(row[0] for row in over(ROWS, step("filter", condition))[1])


@pytest.mark.parametrize(
    ("field", "operator", "value", "wanted"),
    [
        ("ID", "eq", 2, [2]),
        ("id", "ne", 2, [1, 3, 4]),
        ("dest", "ne", "JFK", [2, 4]),  # NULL is not known to differ: as in SQL, it goes
        ("id", "gt", 2, [3, 4]),
        ("id", "gte", 2, [2, 3, 4]),
        ("id", "lt", 2, [1]),
        ("id", "lte", 2, [1, 2]),
        ("price", "eq", 0.1, [3]),  # the decimal 0.1, not the nearest double
        ("price", "lt", 100.5, [3]),
        ("id", "in", [1, 4, 9], [1, 4]),
        ("dest", "not_in", ["JFK"], [2, 4]),
        ("price", "between", [0.1, 100.5], [1, 3]),
        ("day", "gte", "2024-02-01", [2, 4]),
        ("dest", "eq", "it's", [4]),
        ("dest", "contains", "F", [1]),
        ("dest", "starts_with", "L", [2]),
        ("dest", "ends_with", "X", [2]),
        ("dest", "matches", "[A-Z]{3}", [1, 2]),
        ("dest", "matches", "J", []),  # the whole text has to match
        ("dest", "is_null", None, [3]),
        ("dest", "is_not_null", None, [1, 2, 4]),
        ("paid", "eq", True, [1, 4]),
    ],
)
def test_each_operator(field: str, operator: str, value: Any, wanted: list[int]) -> None:
    written = {"field": field, "operator": operator} | ({} if value is None else {"value": value})
    assert kept(written) == wanted


def test_joined() -> None:
    one = {"field": "id", "operator": "gte", "value": 2}
    other = {"field": "dest", "operator": "is_null"}
    assert kept({"and": [one, {"not": other}]}) == [2, 4]
    assert kept({"or": [{"not": one}, other]}) == [1, 3]
    assert kept({"not": {"and": [one, {"or": [other, {"field": "id", "operator": "eq", "value": 4}]}]}}) == [1, 2]


@pytest.mark.parametrize(
    "written",
    [
        {"field": "id", "operator": "equals", "value": 1},
        {"field": "id", "value": 1},
        {"field": "id", "operator": "eq", "value": 1, "and": []},
        {"and": []},
        {"and": [{"or": [{"field": "id"}]}]},
        {"operator": "eq"},
        {},
        3,
    ],
)
def test_what_is_no_condition(written: Any) -> None:
    with pytest.raises(ValidationError):
        step("filter", written)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("eq", None), ("eq", [1]), ("in", 1), ("in", []), ("between", [1]), ("between", [1, 2, 3]),
        ("is_null", 1), ("contains", 1), ("starts_with", None),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_operator(operator: str, value: Any) -> None:
    with pytest.raises(Exception, match=r"condition\.value"):
        step("filter", {"field": "id", "operator": operator, "value": value})


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), st.text("a\"'; -/*", min_size=1))
def test_a_value_stays_a_value_and_a_name_a_name(value: str, name: str) -> None:
    made = step("filter", {"field": name, "operator": "eq", "value": value})
    column, text = sql.quote(name), sql.literal(value)
    assert over(f"SELECT {text} AS {column}", made) == ([name], [(value,)])
