"""Row rules, each held against a model in Python over generated rows; all rules of an example in one query."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow_platform.core.base import Column, Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal
from tests.checks.verdicts import broken_by, check, columns_of, failing, staged

TYPES = {"n": "BIGINT", "m": "INTEGER", "t": "VARCHAR", "f": "DOUBLE", "l": "INTEGER[]"}
COLUMNS = columns_of(TYPES)
Row = dict[str, Any]
Model = Callable[[Row], bool]
"""Whether a row breaks the rule."""


def integer(text: str, low: int = -(2**127), high: int = 2**127 - 1) -> bool:
    return bool(re.fullmatch("[+-]?[0-9]+", text)) and low <= int(text) <= high


def broken_unless(column: str, holds: Callable[[Any], bool]) -> Model:
    """A NULL breaks nothing."""
    return lambda row: row[column] is not None and not holds(row[column])


def nan(value: float) -> bool:
    return value != value


CASES: list[tuple[str, dict[str, Any], Model]] = [
    ("not_null", {"columns": "t"}, lambda row: row["t"] is None),
    ("in_range", {"column": "n", "min": -2, "max": 3}, broken_unless("n", lambda n: -2 <= n <= 3)),
    ("in_range", {"column": "n", "min": -2, "exclusive": True}, broken_unless("n", lambda n: n > -2)),
    ("in_range", {"column": "f", "min": 0}, broken_unless("f", lambda f: f >= 0)),
    ("isin", {"column": "t", "values": ["a", "it's", ""]}, broken_unless("t", lambda t: t in ("a", "it's", ""))),
    ("notin", {"column": "t", "values": ["a", "it's"]}, broken_unless("t", lambda t: t not in ("a", "it's"))),
    ("notin", {"column": "n", "values": [0, 1]}, broken_unless("n", lambda n: n not in (0, 1))),
    ("length", {"column": "t", "min": 1, "max": 2}, broken_unless("t", lambda t: 1 <= len(t) <= 2)),
    ("length", {"column": "t", "exact": 3}, broken_unless("t", lambda t: len(t) == 3)),
    ("length", {"column": "l", "min": 2}, broken_unless("l", lambda values: len(values) >= 2)),
    ("matches", {"column": "t", "pattern": "a|1+"}, broken_unless("t", lambda t: re.fullmatch("a|1+", t) is not None)),
    ("type", {"column": "t", "reads_as": "integer"}, broken_unless("t", integer)),
    ("type", {"column": "t", "reads_as": "tinyint"}, broken_unless("t", lambda t: integer(t, -128, 127))),
    ("expression", {"sql": "n > m"}, lambda row: None not in (row["n"], row["m"]) and not row["n"] > row["m"]),
    *(
        (
            "compare",
            {"column": "n", "is": sign, "to": "m"},
            lambda row, holds=holds: None not in (row["n"], row["m"]) and not holds(row["n"], row["m"]),
        )
        for sign, holds in {
            "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
        }.items()
    ),
    (
        "conditional",
        {"when": "n > 0", "then": "m is not null"},
        lambda row: row["n"] is not None and row["n"] > 0 and row["m"] is None,
    ),
    (
        "conditional",
        {"when": "t = 'a' or m = 1", "then": {"in_range": {"column": "n", "min": 0}}},
        lambda row: (row["t"] == "a" or row["m"] == 1) and row["n"] is not None and row["n"] < 0,
    ),
]  # fmt: skip

texts = st.none() | st.sampled_from(["a", "it's", "", "11", "-7", "+0", "1.0", "300", "é", "🙂🙂", "a\n", " 1", "128"])
small = st.none() | st.integers(-4, 4)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "n": small,
            "m": small,
            "t": texts | st.text(max_size=4).filter(lambda text: "\0" not in text),
            "f": st.none() | st.floats(-2, 2) | st.just(float("nan")),
            "l": st.none() | st.lists(st.integers(0, 3), max_size=3),
        }
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def fill(engine: duckdb.DuckDBPyConnection, given_rows: list[Row]) -> None:
    def written(value: Any) -> str:
        return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else literal(value)

    declared = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    engine.execute(f"CREATE OR REPLACE TABLE staged (_row INTEGER, {declared})")
    lines = [f"({place}, {', '.join(written(row[name]) for name in TYPES)})" for place, row in enumerate(given_rows)]
    if lines:
        engine.execute(f"INSERT INTO staged VALUES {', '.join(lines)}")


def only_rule(name: str, value: Any) -> Rule:
    (rule,) = check(name, value).rules(COLUMNS)
    return rule


RULES = [only_rule(name, value) for name, value, _ in CASES]


@settings(max_examples=40)
@example([{"n": 1, "m": None, "t": "a", "f": -0.0, "l": None}, {"n": None, "m": 1, "t": None, "f": None, "l": []}])
@given(rows)
def test_row_rules_break_the_rows_a_model_says(engine: duckdb.DuckDBPyConnection, given_rows: list[Row]) -> None:
    fill(engine, given_rows)
    marks = ", ".join(f"CASE WHEN {rule.violation} THEN TRUE ELSE FALSE END" for rule in RULES)
    found = engine.execute(f"SELECT {marks} FROM staged ORDER BY _row").fetchall()
    wrong = [
        (name, value, row, bad)
        for row, marked in zip(given_rows, found, strict=True)
        for (name, value, model), bad in zip(CASES, marked, strict=True)
        if bad is not bool(model(row))
    ]
    assert wrong == []


@settings(max_examples=40)
@given(rows)
def test_the_rows_after_the_first_of_a_key_are_those_a_model_counts(
    engine: duckdb.DuckDBPyConnection, given_rows: list[Row]
) -> None:
    fill(engine, given_rows)
    keys = Counter((row["n"], row["t"]) for row in given_rows if row["n"] is not None and row["t"] is not None)
    repeated = sum(count - 1 for count in keys.values())
    rule = only_rule("unique", {"columns": ["n", "t"], "scope": "row", "first": "m desc nulls last"})
    bad = engine.execute(f"SELECT n, t, m FROM (SELECT *, {rule.violation} AS bad FROM staged) WHERE bad").fetchall()
    assert len(bad) == repeated
    # Of each key the greatest m stays.
    for (n, t), count in keys.items():
        left = [row["m"] for row in given_rows if (row["n"], row["t"]) == (n, t)]
        for value in [m for bad_n, bad_t, m in bad if (bad_n, bad_t) == (n, t)]:
            left.remove(value)
        assert len(left) == 1
        known = [row["m"] for row in given_rows if (row["n"], row["t"]) == (n, t) and row["m"] is not None]
        assert left[0] == (max(known) if known else None), count
    whole = only_rule("unique", {"columns": ["n", "t"]})
    assert engine.execute(str(whole.verdict)).fetchall()[0][0] == repeated
    assert len(engine.execute(str(whole.rows)).fetchall()) == repeated


def test_a_key_of_several_columns_is_looked_up_as_one() -> None:
    types = {"a": "VARCHAR", "b": "BIGINT"}
    value = {"column": ["a", "b"], "references": ["raw.pairs.x", "raw.pairs.y"]}
    made = check("foreign_key", value)
    assert (made.names(), made.upstream()) == (["foreign_key_a_b"], ("raw.pairs",))
    (rule,) = made.rules(columns_of(types))
    with staged(types, [("p", 1), ("p", 2), ("q", 2), (None, 1), ("p", None)]) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.pairs AS SELECT * FROM (VALUES ('p', 1), ('q', 2), (NULL, 2)) AS v(x, y)")
        marked = f"SELECT _row, CASE WHEN {rule.violation} THEN 1 ELSE 0 END FROM staged ORDER BY 1"
        # (p, 2) is no pair, though both its parts are there; a NULL on either side refers to nothing and is no pair.
        assert connection.execute(marked).fetchall() == [(0, 0), (1, 1), (2, 0), (3, 0), (4, 0)]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("number", ["1", "-1.5", "1e3", ".5", "+2."], ["", "x", "1,5", "nan", "inf", "1 ", "0x1f"]),
        ("boolean", ["true", "FALSE"], ["yes", "1", "", "t"]),
        ("date", ["2024-02-29"], ["2023-02-29", "2024-2-9", "29.02.2024", ""]),
        ("timestamp", ["2024-02-29", "2024-02-29 12:00:00", "2024-02-29T12:00:00.5"], ["2024-02-29 25:00:00", "12:00"]),
        ("decimal(4, 2)", ["12.34", "-0.5", "1.5000", "7"], ["1.234", "123", "x", "1e1"]),
        ("smallint", ["32767", "-1"], ["32768", "1.5", "1e2"]),
        ("uuid", ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"], ["x"]),
    ],
)
def test_a_text_reads_as_a_type_without_loss(kind: str, right: list[str], wrong: list[str]) -> None:
    given_texts = [(text,) for text in [*right, None, *wrong]]
    bad = broken_by("type", {"column": "t", "reads_as": kind}, {"t": "VARCHAR"}, given_texts)
    assert bad == {"type_t": list(range(len(right) + 1, len(given_texts)))}


@pytest.mark.parametrize(
    ("given_type", "wanted", "sentence"),
    [
        ("BIGINT", "integer", "x is BIGINT"),
        ("BIGINT", "number", "x is BIGINT"),
        ("BIGINT", "smallint", "x is BIGINT, not smallint"),
        ("DECIMAL(18,2)", "decimal(18, 2)", "x is DECIMAL(18,2)"),
        ("DECIMAL(18,3)", "decimal(18, 2)", "x is DECIMAL(18,3), not decimal(18, 2)"),
        ("VARCHAR", "date", "x is VARCHAR, not date"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp", "x is TIMESTAMP WITH TIME ZONE, not timestamp"),
    ],
)
def test_a_column_is_of_a_type(given_type: str, wanted: str, sentence: str) -> None:
    (rule,) = check("type", {"column": "x", "is": wanted}).rules([Column("x", given_type)])
    with staged({"x": "VARCHAR"}, []) as connection:
        assert failing(connection, rule) == (int("not" in sentence), sentence)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"columns": ["A", "b"]}, []),
        ({"columns": {"a": "integer", "b": None}}, []),
        ({"columns": ["a", "c"]}, ["c is missing"]),
        ({"columns": {"a": "text", "b": "text"}}, ["a is BIGINT, not text"]),
        ({"columns": ["a"], "only": True}, ["b is not expected"]),
        ({"columns": ["b", "a"]}, []),
        ({"columns": ["b", "a"], "order": True}, ["the order is a, b"]),
        ({"columns": ["z", "b", "a"], "order": True, "only": True}, ["z is missing", "the order is a, b"]),
    ],
)
def test_the_columns_of_a_load(value: dict[str, Any], faults: list[str]) -> None:
    (rule,) = check("schema", value).rules(columns_of({"a": "BIGINT", "b": "VARCHAR"}))
    with staged({}, []) as connection:
        assert failing(connection, rule) == (len(faults), "; ".join(faults) or "2 columns as expected")


def test_what_is_computed_only_under_a_condition() -> None:
    # Under TRY or not: the text of the first row is never cast.
    value = {"when": "t <> 'x'", "then": "cast(t as integer) > 0"}
    (bad,) = broken_by("conditional", value, {"t": "VARCHAR"}, [("x",), ("1",), ("0",), (None,)]).values()
    assert bad == [2]


def test_names_and_words_of_a_conditional_rule() -> None:
    made = check("conditional", {"when": "n > 0", "then": {"not_null": ["m", "t"]}})
    rules = made.rules(COLUMNS)
    assert made.names() == [rule.name for rule in rules] == ["not_null_m_when_n_gt_0", "not_null_t_when_n_gt_0"]
    assert [rule.message for rule in rules] == ["m is missing, where n > 0", "t is missing, where n > 0"]
    assert [rule.shows for rule in rules] == [("n", "m"), ("n", "t")]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("length", {"column": "t"}, "check.bounds"),
        ("length", {"column": "t", "min": 3, "max": 2}, "check.bounds"),
        ("length", {"column": "t", "exact": 3, "max": 4}, "check.bounds"),
        ("length", {"column": "n", "min": 1}, "check.type"),
        ("notin", {"column": "n", "values": ["a"]}, "check.type"),
        ("compare", {"column": "n", "is": "<", "to": "t"}, "check.type"),
        ("conditional", {"when": "n >", "then": "m > 0"}, "expression.syntax"),
        ("conditional", {"when": "n > 0", "then": "sum(m) > 0"}, "expression.refused"),
        ("conditional", {"when": "n > 0", "then": {"row_count": 1}}, "check.conditional"),
        ("conditional", {"when": "n > 0", "then": {"not_null": "m", "isin": {}}}, "check.conditional"),
        ("conditional", {"when": "n > 0", "then": {"not_null": {"columns": "m", "name": "x"}}}, "check.conditional"),
        ("conditional", {"when": "n > 0", "then": {"not_nul": "m"}}, "check.unknown"),
        ("conditional", {"when": "n > 0", "then": {"in_range": {"column": "n", "least": 1}}}, "value.type"),
        ("conditional", {"when": "zz > 0", "then": {"not_null": "m"}}, "column.unknown"),
        ("type", {"column": "t"}, "check.type"),
        ("type", {"column": "t", "is": "text", "reads_as": "date"}, "check.type"),
        ("type", {"column": "t", "is": "txt"}, "type.unknown"),
        ("type", {"column": "n", "reads_as": "date"}, "check.type"),
        ("schema", {"columns": ["a", "A"]}, "check.columns"),
        ("schema", {"columns": {"a": "wrong"}}, "type.unknown"),
        ("unique", {"columns": "n", "first": "m"}, "check.scope"),
        ("foreign_key", {"column": ["n", "m"], "references": ["raw.a.x"]}, "check.references"),
        ("foreign_key", {"column": ["n", "m"], "references": ["raw.a.x", "raw.b.y"]}, "check.references"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(name: str, value: Any, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(name, value).rules(COLUMNS)
    assert caught.value.code == code
    assert caught.value.fix
