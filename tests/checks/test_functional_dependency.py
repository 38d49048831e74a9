"""Check functional_dependency: rows that deviate from the most frequent value of their group."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError
from tests.checks.verdicts import check, columns_of, failing, staged, violating

ZIP = {"columns": "zip", "determines": ["city", "state"]}
TYPES = {"zip": "VARCHAR", "city": "VARCHAR", "state": "VARCHAR"}
PLACES = [
    ("10001", "New York", "NY"),
    ("10001", "New York", "NY"),
    ("10001", "NYC", "NY"),  # 2: two of three say New York
    ("60601", "Chicago", "IL"),
    ("60601", "Chikago", "IL"),  # 3, 4: one against one
    ("33101", None, "FL"),
    ("33101", "Miami", "FL"),
    (None, "Nowhere", "XX"),
    (None, "Somewhere", "YY"),  # no zip, no group
]


def test_the_most_frequent_value_wins_and_a_tie_decides_nothing() -> None:
    with staged(TYPES, PLACES) as connection:
        city, state, undecided = check("functional_dependency", ZIP).rules(columns_of(TYPES))
        assert (city.name, city.column, violating(connection, city)) == ("functional_dependency_zip_city", "city", [2])
        assert violating(connection, state) == []
        assert undecided.name == "functional_dependency_zip_undecided"
        # As the engine asks it: of the rows that break no row rule.
        connection.execute("DELETE FROM staged WHERE _row = 2")
        told = "2 rows in 1 groups of (zip) have no most frequent value of city, state"
        assert failing(connection, undecided) == (2, told)
        rows = connection.execute(f"SELECT _row FROM ({undecided.rows}) ORDER BY _row").fetchall()
        assert rows == [(3,), (4,)]


def test_names_and_settings() -> None:
    made = check("functional_dependency", {**ZIP, "name": "place", "severity": "warn", "owner": "team:maps"})
    assert made.names() == ["place_city", "place_state", "place_undecided"]
    rules = made.rules(columns_of(TYPES))
    assert {(rule.severity, rule.owner) for rule in rules} == {("warn", "team:maps")}
    with pytest.raises(ConfigError, match="unknown column 'town'"):
        check("functional_dependency", {"columns": "zip", "determines": "town"}).rules([Column("zip", "VARCHAR")])


@pytest.mark.parametrize("kind", ["DOUBLE", "DECIMAL(9, 2)", "TIMESTAMPTZ", "INTEGER[]", "BOOLEAN", "UUID", "BLOB"])
def test_values_of_every_kind_are_compared(kind: str) -> None:
    value = {
        "DOUBLE": ("nan", "1.5"),
        "DECIMAL(9, 2)": ("1.25", "1.5"),
        "TIMESTAMPTZ": ("2024-01-01", "2024-01-02"),
        "INTEGER[]": ("[1]", "[1, 2]"),
        "BOOLEAN": ("true", "false"),
        "UUID": ("0" * 32, "1" * 32),
        "BLOB": ("a", "b"),
    }[kind]
    rows = [("k", value[0]), ("k", value[1]), ("k", value[0])]
    found = deviating({"columns": "k", "determines": "v"}, {"k": "VARCHAR", "v": kind}, rows)
    assert found == [1]


def deviating(value: object, types: dict[str, str], rows: list[tuple[object, ...]]) -> list[int]:
    with staged(types, rows) as connection:
        return violating(connection, check("functional_dependency", value).rules(columns_of(types))[0])


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None]), st.sampled_from(["x", "y", "z", None])),
    max_size=14,
)


@given(rows=ROWS)
@settings(max_examples=50)
def test_a_row_deviates_where_one_value_of_its_group_is_more_frequent_than_any(
    rows: list[tuple[str | None, int | None, str | None]],
) -> None:
    expected = []
    for number, (first, second, value) in enumerate(rows):
        same = Counter(v for a, b, v in rows if (a, b) == (first, second) and v is not None)
        top = same.most_common(2)
        decided = top and (len(top) == 1 or top[0][1] > top[1][1])
        if None not in (first, second, value) and decided and value != top[0][0]:
            expected.append(number)
    types = {"a": "VARCHAR", "b": "INTEGER", "v": "VARCHAR"}
    assert deviating({"columns": ["a", "b"], "determines": "v"}, types, list(rows)) == expected
