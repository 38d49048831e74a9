"""The declared checks, each run by DuckDB over rows whose faults are known."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from dataflow_platform.core import registry
from dataflow_platform.core.errors import ConfigError
from tests.checks.verdicts import broken_by, check, columns_of, failing, staged, violating

TYPES = {"Tailnum": "VARCHAR", "distance": "BIGINT", "speed": "DOUBLE", "day": "DATE", "at_time": "TIMESTAMP"}
EXAMPLES: dict[str, Any] = {
    "not_null": ["tailnum", "distance"],
    "unique": ["tailnum", "day"],
    "in_range": {"column": "distance", "min": 1, "max": 6000},
    "isin": {"column": "tailnum", "values": ["N1", "N2"]},
    "matches": {"column": "tailnum", "pattern": "N[0-9]+"},
    "row_count": {"min": 1},
    "foreign_key": {"column": "tailnum", "references": "raw.planes.tailnum"},
    "expression": "distance > 0 or speed is null",
    "notin": {"column": "tailnum", "values": ["N9"]},
    "length": {"column": "tailnum", "min": 1, "max": 6},
    "compare": {"column": "distance", "is": "<=", "to": "speed"},
    "conditional": {"when": "distance > 5", "then": {"not_null": "tailnum"}},
    "type": {"column": "tailnum", "reads_as": "integer"},
    "schema": {"columns": {"tailnum": "text", "distance": "integer"}},
    "format": {"column": "tailnum", "as": "email"},
    "statistic": {"column": "distance", "of": "mean", "min": 1},
    "distinct_count": {"columns": "tailnum", "min": 1},
    "null_share": {"column": "tailnum", "max": "5%"},
    "freshness": {"column": "at_time", "max_age": "2d"},
    "monotonic": {"column": "distance", "by": "at_time"},
    "drift": {"column": "distance"},
    "anomaly": {"metric": "mean", "column": "distance"},
    "custom_sql": {"rows": "select * from staged where distance > 5"},
    "custom_python": {"function": "os:getcwd", "columns": ["tailnum"]},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_names_are_stable_without_data_and_fit_for_dagster(name: str) -> None:
    made = check(name, EXAMPLES[name])
    names = [rule.name for rule in made.rules(columns_of(TYPES))]
    assert made.names() == names == check(name, EXAMPLES[name]).names()
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", each) for each in names)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_every_check_may_set_reaches_its_rules(name: str) -> None:
    cls: Any = registry.check(name)
    field = cls.shorthand
    value = EXAMPLES[name] if isinstance(EXAMPLES[name], dict) else {field: EXAMPLES[name]}
    common = {"severity": "warn", "at_most": "0.5%", "name": "mine", "description": "why", "owner": "team:a"}
    rules = check(name, {**value, **common}).rules(columns_of(TYPES))
    for rule in rules:
        assert (rule.severity, rule.at_most, rule.at_most_is_share, rule.description) == ("warn", 0.005, True, "why")
        assert rule.owner == "team:a"
    expected = ["mine_tailnum", "mine_distance"] if len(rules) == 2 else ["mine"]
    assert [rule.name for rule in rules] == expected


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot name a check"):
        check("not_null", {"columns": "a", "name": "a b"}).names()


def test_names_that_differ_only_in_special_characters_stay_apart() -> None:
    assert check("not_null", ["a-b", "a b", "größe"]).names() == ["not_null_a_b", "not_null_a_b_2", "not_null_gr__e"]


OF_NO_COLUMN = ("row_count", "schema", "custom_sql", "freshness")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in OF_NO_COLUMN])
def test_an_unknown_column_gets_the_nearest_name(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(name, EXAMPLES[name]).rules(columns_of({"Tailnumb": "VARCHAR", "distanc": "BIGINT"}))
    assert caught.value.code == "column.unknown"
    assert "did you mean" in caught.value.fix


def test_not_null() -> None:
    rows = [("N1", 1), (None, 2), ("", None), (None, None)]
    # '' is a value; rows 1 and 3 lack the first column, 2 and 3 the second.
    types = {"Tailnum": "VARCHAR", "distance": "BIGINT"}
    assert broken_by("not_null", ["tailnum", "distance"], types, rows) == {
        "not_null_tailnum": [1, 3],
        "not_null_distance": [2, 3],
    }
    (rule,) = check("not_null", "tailnum").rules(columns_of(types))
    assert (rule.message, rule.column) == ("Tailnum is missing", "Tailnum")


def test_unique_counts_the_rows_after_the_first_of_each_key() -> None:
    rows = [("a", 1), ("a", 1), ("a", 1), ("b", 1), ("b", 2), ("c", None), ("c", None), (None, None)]
    types = {"x": "VARCHAR", "y": "BIGINT"}
    with staged(types, rows) as connection:
        (both,) = check("unique", ["x", "y"]).rules(columns_of(types))
        # Only (a, 1) repeats: two rows after its first. Keys with a NULL repeat nothing.
        assert failing(connection, both) == (2, "2 rows repeat 1 keys of (x, y)")
        (one,) = check("unique", "x").rules(columns_of(types))
        # a: 2, b: 1, c: 1.
        assert failing(connection, one) == (4, "4 rows repeat 3 keys of (x)")
        connection.execute("DELETE FROM staged")
        assert failing(connection, both) == (0, "no key of (x, y) repeats")


@pytest.mark.parametrize(
    ("bounds", "bad"),
    [
        # Rows 0 to 5: 0, 1, 5, 10, 11, NULL. NULL is never out of range.
        ({"min": 1, "max": 10}, [0, 4]),
        ({"min": 1, "max": 10, "exclusive": True}, [0, 1, 3, 4]),
        ({"min": 5}, [0, 1]),
        ({"max": 5}, [3, 4]),
        ({"min": 4.5, "max": Decimal("10.5")}, [0, 1, 4]),
        ({"max": 5, "exclusive": True}, [2, 3, 4]),
    ],
)
def test_in_range(bounds: dict[str, Any], bad: list[int]) -> None:
    rows = [(0,), (1,), (5,), (10,), (11,), (None,)]
    assert broken_by("in_range", {"column": "n", **bounds}, {"n": "BIGINT"}, rows) == {"in_range_n": bad}


def test_in_range_of_floats_refuses_nan_from_either_side() -> None:
    rows = [(float("nan"),), (float("inf"),), (1.0,), (None,)]
    for bounds, bad in (({"min": 0}, [0]), ({"max": 2}, [0, 1]), ({"min": 0, "max": 2}, [0, 1])):
        assert broken_by("in_range", {"column": "n", **bounds}, {"n": "DOUBLE"}, rows) == {"in_range_n": bad}


def test_in_range_of_dates_written_as_dates_or_text() -> None:
    rows = [(date(2012, 12, 31),), (date(2013, 1, 1),), (date(2013, 12, 31),), (date(2014, 1, 1),)]
    for low, high in ((date(2013, 1, 1), date(2013, 12, 31)), ("2013-01-01", "2013-12-31")):
        value = {"column": "d", "min": low, "max": high}
        assert broken_by("in_range", value, {"d": "DATE"}, rows) == {"in_range_d": [0, 3]}
    value = {"column": "d", "min": datetime(2013, 1, 1, 12)}
    assert broken_by("in_range", value, {"d": "TIMESTAMP"}, rows) == {"in_range_d": [0, 1]}


def test_in_range_says_its_bounds() -> None:
    columns = columns_of(TYPES)
    said = [
        check("in_range", {"column": "distance", **bounds}).rules(columns)[0].message
        for bounds in ({"min": 1, "max": 6000}, {"min": 1, "exclusive": True}, {"max": 9})
    ]
    assert said == ["distance is not between 1 and 6000", "distance is not above 1", "distance is not at most 9"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("in_range", {"column": "distance"}, "check.bounds"),
        ("in_range", {"column": "distance", "min": 2, "max": 1}, "check.bounds"),
        ("in_range", {"column": "distance", "min": 2, "max": "x"}, "check.bounds"),
        ("in_range", {"column": "distance", "min": float("nan")}, "check.bounds"),
        ("in_range", {"column": "distance", "min": "a"}, "check.type"),
        ("in_range", {"column": "tailnum", "min": 1}, "check.type"),
        ("in_range", {"column": "day", "min": "soon"}, "check.type"),
        ("in_range", {"column": "day", "min": 2013}, "check.type"),
        ("isin", {"column": "tailnum", "values": [1]}, "check.type"),
        ("isin", {"column": "distance", "values": [True]}, "check.type"),
        ("matches", {"column": "distance", "pattern": "1"}, "check.type"),
        ("matches", {"column": "tailnum", "pattern": "("}, "check.pattern"),
        ("matches", {"column": "tailnum", "pattern": "(?=N)"}, "check.pattern"),
        ("matches", {"column": "tailnum", "pattern": r"(a)\1"}, "check.pattern"),
        ("matches", {"column": "tailnum", "pattern": "[[:alpha:]]"}, "check.pattern"),
        ("row_count", {"min": 0}, "check.bounds"),
        ("row_count", {"min": 5, "max": 4}, "check.bounds"),
        ("foreign_key", {"column": "tailnum", "references": "planes.tailnum"}, "check.references"),
        ("expression", "distance in (select 1)", "expression.refused"),
        ("expression", "sum(distance) > 1", "expression.refused"),
        ("not_null", {"columns": "tailnum", "at_most": "many"}, "check.at_most"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: Any, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(name, value).rules(columns_of(TYPES))
    assert caught.value.code == code
    assert caught.value.fix


def test_isin() -> None:
    rows = [("AA",), ("aa",), (None,), ("it's",), ("",)]
    value = {"column": "x", "values": ["AA", "it's"]}
    assert broken_by("isin", value, {"x": "VARCHAR"}, rows) == {"isin_x": [1, 4]}
    # Values keep the type YAML gave them.
    numbers = {"column": "x", "values": [1, 2.5, Decimal("3.25")]}
    assert broken_by("isin", numbers, {"x": "DOUBLE"}, [(1,), (2.5,), (3.25,), (3,)]) == {"isin_x": [3]}
    assert check("isin", value).rules(columns_of({"x": "VARCHAR"}))[0].message == "x is not one of AA, it's"


def test_matches_means_the_whole_value() -> None:
    rows = [("N12",), ("N12x",), ("xN12",), (None,), ("",), ("N12\n",), ("M7",)]
    # An alternative binds to both ends: M7 passes whole, xN12 and N12x do not.
    value = {"column": "x", "pattern": "N[0-9]+|M7"}
    assert broken_by("matches", value, {"x": "VARCHAR"}, rows) == {"matches_x": [1, 2, 4, 5]}


@pytest.mark.parametrize(
    ("value", "rows", "expected"),
    [
        ({"min": 2, "max": 3}, 1, (1, "1 rows, expected between 2 and 3")),
        ({"min": 2, "max": 3}, 3, (0, "3 rows, expected between 2 and 3")),
        ({"min": 2, "max": 3}, 7, (4, "7 rows, expected between 2 and 3")),
        (1, 0, (1, "0 rows, expected at least 1")),
    ],
)
def test_row_count_fails_by_what_is_missing_or_too_many(value: Any, rows: int, expected: tuple[int, str]) -> None:
    with staged({"x": "BIGINT"}, [(1,)] * rows) as connection:
        (rule,) = check("row_count", value).rules([])
        assert failing(connection, rule) == expected


def test_foreign_key_is_null_safe_on_both_sides_and_one_join() -> None:
    made = check("foreign_key", {"column": "dest", "references": "raw.airports.faa"})
    assert (made.reads_tables, made.upstream()) == (True, ("raw.airports",))
    types = {"dest": "VARCHAR"}
    (rule,) = made.rules(columns_of(types))
    with staged(types, [("JFK",), ("XXX",), (None,), ("SJU",)]) as connection:
        connection.execute("CREATE SCHEMA raw")
        # A NULL among the keys makes a plain NOT IN unknown for every row: nothing would ever be found.
        connection.execute("CREATE TABLE raw.airports AS SELECT unnest(['JFK', NULL]) AS faa")
        assert violating(connection, rule) == [1, 3]
        ((_, plan),) = connection.execute(
            f"EXPLAIN SELECT CASE WHEN {rule.violation} THEN 1 END FROM staged"
        ).fetchall()
        assert plan.count("MARK") == 1
        assert plan.count("JOIN") == 1
        connection.execute("DELETE FROM raw.airports")
        # Against an empty table every value is an orphan, NULL still is not.
        assert violating(connection, rule) == [0, 1, 3]


def test_expression_passes_where_true_or_unknown() -> None:
    rows = [(1, 5), (-1, 5), (None, 5), (-1, None)]
    # a > 0 or b < 3: row 0 true; row 1 false; row 2 NULL or false = NULL; row 3 false or NULL = NULL.
    types = {"a": "BIGINT", "b": "BIGINT"}
    assert broken_by("expression", "A > 0 or b < 3", types, rows) == {"expression_a_gt_0_or_b_lt_3": [1]}


def test_expressions_that_differ_have_different_names() -> None:
    texts = ["a > 1", "a < 1", "a >= 1", "a <> 1", "a = 1", "a > 1 and " * 20 + "b", "a > 1 and " * 20 + "c"]
    names = [check("expression", text).names()[0] for text in texts]
    assert len(set(names)) == len(texts)
    assert max(map(len, names)) <= len("expression_") + 60


def test_expression_tells_what_it_was_told_to_tell() -> None:
    (rule,) = check("expression", {"sql": "a > 1", "message": "a is too small"}).rules(columns_of({"A": "BIGINT"}))
    assert (rule.message, rule.column) == ("a is too small", "A")


def test_hostile_columns_and_values_stay_names_and_values() -> None:
    name = 'x" IS NULL) OR (1=1 --'
    types = {'x"" IS NULL) OR (1=1 --': "VARCHAR"}
    with staged(types, [("'; DROP TABLE staged --",), ("b",)]) as connection:
        columns = columns_of({name: "VARCHAR"})
        for kind, value, bad in (
            ("not_null", name, []),
            ("isin", {"column": name, "values": ["'; DROP TABLE staged --"]}, [1]),
            ("matches", {"column": name, "pattern": "'.*"}, [1]),
            ("in_range", {"column": name, "min": "'"}, []),
        ):
            (rule,) = check(kind, value).rules(columns)
            assert violating(connection, rule) == bad
        (rule,) = check("unique", name).rules(columns)
        assert failing(connection, rule)[0] == 0
        assert connection.execute("SELECT count(*) FROM staged").fetchone() == (2,)


def test_every_check_has_an_example_here() -> None:
    # Those two have tests of the same by themselves.
    assert set(registry.names("checks")) - set(EXAMPLES) == {"pandera", "functional_dependency"}
