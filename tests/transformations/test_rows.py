"""Steps that change which rows there are: aggregate, pivot, unpivot, unnest, join, union."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.core.base import Column
from tests.transformations.stepping import over, refusal, step

SALES = """SELECT * FROM (VALUES
    (1, 'a', 'north', 10.0), (2, 'a', 'south', 5.0), (3, 'b', 'north', NULL), (4, NULL, 'west', 1.0)
) AS r(id, customer, region, amount)"""
COLUMNS = [Column("id", "INTEGER"), Column("customer", "VARCHAR"), Column("l", "INTEGER[]")]


def rows_of(name: str, value: Any, source: str = SALES, **tables: str) -> tuple[list[str], list[Any]]:
    named = {key.replace("__", "."): rows for key, rows in tables.items()}
    names, rows = over(source, step(name, value), tables=named)
    return names, sorted(rows, key=str)


def test_aggregate() -> None:
    computed = {"total": "sum(amount)", "n": "count(*)", "late": "count(*) filter (where amount > 6)"}
    names, rows = rows_of("aggregate", {"by": ["CUSTOMER"], "compute": computed})
    assert names == ["customer", "total", "n", "late"]
    # NULL is a group of its own; the sum of nothing is NULL.
    assert rows == [("a", 15, 2, 1), ("b", None, 1, 0), (None, 1, 1, 0)]
    assert rows_of("aggregate", {"compute": {"n": "count(distinct region)"}})[1] == [(3,)]


def test_aggregate_without_rows_and_groups_is_one_row() -> None:
    assert rows_of("aggregate", {"compute": {"n": "count(*)"}}, f"{SALES} WHERE FALSE")[1] == [(0,)]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"by": ["customer"], "compute": {"customer": "count(*)"}}, "column.duplicate"),
        ({"by": ["custmer"], "compute": {"n": "count(*)"}}, "column.unknown"),
        ({"by": ["id"], "compute": {"n": "sum(amont)"}}, "column.unknown"),
        ({"by": ["id"], "compute": {"n": "(select 1)"}}, "expression.refused"),
    ],
)
def test_aggregate_refuses(value: Any, code: str) -> None:
    assert refusal("aggregate", value, COLUMNS).code == code


def test_an_expression_that_folds_nothing_is_told_by_the_engine() -> None:
    with pytest.raises(Exception, match="must appear in the GROUP BY clause"):
        rows_of("aggregate", {"by": ["customer"], "compute": {"x": "amount"}})


def test_pivot_has_the_declared_columns_whatever_the_batch_holds() -> None:
    value = {"by": ["customer"], "column": "region", "values": ["north", "east"], "function": "sum", "of": "amount"}
    assert rows_of("pivot", value) == (["customer", "north", "east"], [("a", 10, None), ("b", None, None)])
    counted = {"by": ["customer"], "column": "region", "values": ["north", "west"], "function": "count"}
    assert rows_of("pivot", counted)[1] == [("a", 1, 0), ("b", 1, 0), (None, 0, 1)]
    assert refusal("pivot", {**value, "of": None}, COLUMNS).code == "pivot.of"


def test_unpivot() -> None:
    wide = "SELECT 1 AS id, 2 AS a, NULL::INTEGER AS b"
    value = {"columns": ["a", "b"], "name": "metric"}
    assert rows_of("unpivot", value, wide) == (["id", "metric", "value"], [(1, "a", 2)])
    assert rows_of("unpivot", {**value, "keep_null": True}, wide)[1] == [(1, "a", 2), (1, "b", None)]
    # Two types would need a third that holds both: the pipeline says which.
    assert refusal("unpivot", {"columns": ["id", "customer"]}, COLUMNS).code == "column.type"
    assert refusal("unpivot", {"columns": ["id"], "name": "Customer"}, COLUMNS).code == "column.duplicate"


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9), min_size=1))
def test_pivot_undoes_unpivot(values: dict[str, int]) -> None:
    wide = "SELECT 7 AS id, " + ", ".join(f"{value} AS {name}" for name, value in values.items())
    long = step("unpivot", {"columns": list(values)})
    back = {"by": ["id"], "column": "name", "values": list(values), "function": "any_value", "of": "value"}
    assert over(wide, long, step("pivot", back)) == (["id", *values], [(7, *values.values())])


def test_unnest() -> None:
    lists = "SELECT * FROM (VALUES (1, [10, 20]), (2, []), (3, NULL), (4, [NULL])) AS r(id, l)"
    assert rows_of("unnest", "L", lists) == (["id", "l"], [(1, 10), (1, 20), (4, None)])
    kept = rows_of("unnest", {"column": "l", "position": "at", "keep_empty": True}, lists)
    assert kept == (
        ["id", "l", "at"], [(1, 10, 1), (1, 20, 2), (2, None, 1), (3, None, 1), (4, None, 1)]
    )  # fmt: skip
    assert refusal("unnest", "customer", COLUMNS).code == "column.type"
    assert refusal("unnest", {"column": "l", "position": "ID"}, COLUMNS).code == "column.duplicate"


OTHER = "SELECT * FROM (VALUES ('a', 'Ann', 3), ('c', 'Cid', 4)) AS r(key, name, input)"


@pytest.mark.parametrize(
    ("value", "names", "wanted"),
    [
        ({"columns": ["name"]}, ["name"], [(1, "Ann"), (2, "Ann"), (3, None), (4, None)]),
        ({"columns": {"name": "who"}, "how": "inner"}, ["who"], [(1, "Ann"), (2, "Ann")]),
        ({"how": "semi"}, [], [(1,), (2,)]),
        ({"how": "anti"}, [], [(3,), (4,)]),  # a row without a key has no match
        ({"columns": ["input"]}, ["input"], [(1, 3), (2, 3), (3, None), (4, None)]),
    ],
)
def test_join(value: Any, names: list[str], wanted: list[Any]) -> None:
    made = step("join", {"table": "crm.people", "by": {"customer": "KEY"}, **value})
    found, rows = over(SALES, made, tables={"crm.people": OTHER})
    assert found == ["id", "customer", "region", "amount", *names]
    assert sorted((row[0], *row[4:]) for row in rows) == wanted


def test_a_join_as_of_takes_the_last_that_is_not_later() -> None:
    prices = "SELECT * FROM (VALUES ('x', 1, 100), ('x', 5, 120), ('y', 2, 7)) AS r(item, since, price)"
    orders = "SELECT * FROM (VALUES (0, 'x'), (1, 'x'), (4, 'x'), (5, 'x'), (9, 'y')) AS r(t, item)"
    value = {"table": "s.prices", "by": ["item"], "as_of": {"t": "since"}, "columns": ["price"]}
    names, rows = rows_of("join", value, orders, s__prices=prices)
    assert names == ["t", "item", "price"]
    assert rows == [(0, "x", None), (1, "x", 100), (4, "x", 100), (5, "x", 120), (9, "y", 7)]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"by": ["customer"], "columns": ["name"]}, "column.unknown"),  # the other one calls it key
        ({"by": {"customer": "key"}, "columns": ["nam"]}, "column.unknown"),
        ({"by": {"customer": "key"}, "columns": {"name": "ID"}}, "column.duplicate"),
        ({"by": {"customer": "key"}}, "join.columns"),
        ({"by": {"customer": "key"}, "columns": ["name"], "how": "semi"}, "join.columns"),
        ({"by": {"customer": "key"}, "how": "anti", "as_of": {"id": "input"}}, "join.as_of"),
        ({"table": "people", "by": ["customer"], "columns": ["name"]}, "table.name"),
    ],
)
def test_join_refuses(value: Any, code: str) -> None:
    people = {"crm.people": [Column("key", "VARCHAR"), Column("name", "VARCHAR"), Column("input", "INTEGER")]}
    assert refusal("join", {"table": "crm.people", **value}, COLUMNS, people).code == code


def test_union() -> None:
    old = "SELECT 'z' AS customer, 9 AS id, 1 AS other"
    names, rows = rows_of("union", "raw.old", "SELECT 1 AS id, 'a' AS customer, 2 AS n", raw__old=old)
    assert (names, rows) == (["id", "customer", "n"], [(1, "a", 2), (9, "z", None)])
    other = {"raw.old": [Column("ID", "BIGINT")]}
    assert refusal("union", "raw.old", COLUMNS, other).code == "column.type"


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3), unique=True))
def test_semi_and_anti_part_the_rows(left: list[int], right: list[int]) -> None:
    def listed(values: list[int]) -> str:
        return f"SELECT unnest({values}::INTEGER[]) AS k"

    parts = [
        over(listed(left), step("join", {"table": "s.o", "by": ["k"], "how": how}), tables={"s.o": listed(right)})[1]
        for how in ("semi", "anti")
    ]
    assert Counter(row[0] for row in parts[0] + parts[1]) == Counter(left)
    assert all(row[0] in right for row in parts[0])
