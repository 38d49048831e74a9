"""Windows, order and rows that are alike."""

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import transform
from tests.transformations.stepping import over, step

ORDERS = """SELECT * FROM (VALUES
(1, 'a', TIMESTAMP '2024-01-01 10:00', 10), (2, 'a', TIMESTAMP '2024-01-01 10:20', 20),
(3, 'a', TIMESTAMP '2024-01-01 11:00', 30), (4, 'b', TIMESTAMP '2024-01-01 10:00', 5), (5, 'b', NULL, 7))
AS t(id, who, seen, amount)"""


def windowed(columns: dict[str, Any], order: str = "seen, id") -> list[tuple[Any, ...]]:
    names, rows = over(ORDERS, step("window", {"by": ["who"], "order": order, "columns": columns}))
    assert names == ["id", "who", "seen", "amount", *columns]
    return [row[4:] if len(columns) > 1 else row[4] for row in sorted(rows)]


def test_places() -> None:
    assert windowed({"place": "row_number"}) == [1, 2, 3, 1, 2]
    assert windowed({"place": "rank"}, "date_trunc('hour', seen)") == [1, 1, 3, 1, 2]
    assert windowed({"place": "dense_rank"}, "date_trunc('hour', seen)") == [1, 1, 2, 1, 2]
    assert windowed({"half": {"function": "ntile", "parts": 2}}) == [1, 1, 2, 1, 2]


def test_neighbours() -> None:
    assert windowed({"before": {"function": "lag", "of": "amount"}}) == [None, 10, 20, None, 5]
    assert windowed({"next": {"function": "lead", "of": "Amount", "offset": 2, "default": 0}}) == [30, 0, 0, 0, 0]


def test_running_and_moving_sums() -> None:
    assert windowed({"so_far": {"function": "sum", "of": "amount"}}) == [10, 30, 60, 5, 12]
    assert windowed({"two": {"function": "sum", "of": "amount", "rows": 2}}) == [10, 30, 50, 5, 12]
    # 11:00 is 40 minutes after 10:20 and an hour after 10:00; NULL is near NULL alone.
    near = {"function": "sum", "of": "amount", "within": "interval 40 minutes"}
    assert windowed({"near": near}, "seen") == [10, 30, 50, 5, 7]
    assert windowed({"n": {"function": "count", "rows": 3}}) == [1, 2, 3, 1, 2]
    assert windowed({"first": {"function": "first_value", "of": "id"}}) == [1, 1, 1, 4, 4]


def test_sessions() -> None:
    session = {"function": "session", "of": "seen", "gap": "interval 30 minutes"}
    # a: 10:00, 10:20 | 11:00; b: 10:00, and a row without a time, of which no gap is known.
    assert windowed({"visit": session}) == [1, 1, 2, 1, 1]
    both = windowed({"visit": session, "place": "row_number"})
    assert both == [(1, 1), (1, 2), (2, 3), (1, 1), (1, 2)]


@given(st.lists(st.integers(0, 60), max_size=25), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_sessions_are_what_a_loop_finds(times: list[int], gap: int) -> None:
    wanted, number, last = [], 0, None
    for each in sorted(times):
        number += last is None or each - last > gap
        wanted.append((each, number))
        last = each
    columns = {"s": {"function": "session", "of": "t", "gap": str(gap)}}
    _, rows = over(f"SELECT unnest({times}::INTEGER[]) AS t", step("window", {"order": "t", "columns": columns}))
    assert sorted(rows) == wanted


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("sum", "needs the column"),
        ({"function": "rank", "of": "id"}, "looks at no column"),
        ({"function": "lag", "of": "id", "rows": 3}, "has no frame"),
        ({"function": "ntile"}, "goes with `parts`"),
        ({"function": "session", "of": "id"}, "goes with `gap`"),
        ({"function": "sum", "of": "id", "rows": 2, "within": "5"}, "not both"),
        ({"function": "sum", "of": "id", "default": 2}, "no offset"),
        ({"function": "session", "of": "id", "gap": "getenv('A')"}, "not allowed"),
        ({"function": "sum", "of": "id", "within": "other"}, "unknown column 'other'"),
    ],
)
def test_a_window_that_means_nothing_is_refused(column: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        step("window", {"order": "id", "columns": {"x": column}})


def test_only_new_rows_are_not_enough() -> None:
    needing = [
        step("window", {"order": "id", "columns": {"n": "row_number"}}),
        step("sort", {"by": "id", "limit": 3}),
    ]
    for each in needing:
        with pytest.raises(ConfigError) as raised:
            transform.refuse_unfit([each], "id")
        assert raised.value.code == "transform.needs_all"
        transform.refuse_unfit([each], None)
    transform.refuse_unfit([step("sort", "id")], "id")


def test_sort_and_the_first_rows() -> None:
    assert [row[0] for row in over(ORDERS, step("sort", "amount desc"))[1]] == [3, 2, 1, 5, 4]
    assert [row[0] for row in over(ORDERS, step("sort", {"by": "who desc", "limit": 3}))[1]] == [4, 5, 1]
    assert over(ORDERS, step("sort", {"by": "who desc", "limit": 0}))[1] == []


PEOPLE = """SELECT * FROM (VALUES
(1, '10115', 'Anna Schmidt'), (2, '10115', 'Anna Schmitt'), (3, '10115', 'Bernd Maier'),
(4, '20095', 'Anna Schmidt'), (5, '10115', NULL), (6, '10115', NULL), (7, '10115', '')) AS t(id, zip, name)"""


@pytest.mark.parametrize("method", ["jaro_winkler", "levenshtein", "jaccard"])
def test_of_rows_that_are_alike_the_first_stays(method: str) -> None:
    alike = {"by": "zip", "order": "id", "similar": {"columns": ["name"], "at_least": 0.85, "method": method}}
    _, rows = over(PEOPLE, step("deduplicate", alike))
    # Schmitt is like Schmidt in the same place; 6 has no name like 5; another place is another person.
    assert [row[0] for row in sorted(rows)] == [1, 3, 4, 5, 7]


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab", max_size=5)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_alike_at_one_is_equal(rows: list[tuple[int, str]]) -> None:
    made = ", ".join(f"({k}, '{s}')" for k, s in rows) or "(NULL, NULL)"
    where = "" if rows else " WHERE FALSE"
    alike = {"by": "k", "similar": {"columns": ["s"], "at_least": 1, "method": "levenshtein"}}
    _, kept = over(
        f"SELECT k::INT AS k, s::VARCHAR AS s FROM (VALUES {made}) AS t(k, s){where}", step("deduplicate", alike)
    )
    assert sorted(kept) == [key for key, _ in groupby(sorted(rows))]
