"""Pandera schemas in the engine: the rules, what is refused, and agreement with Pandera itself."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.core.base import Rule
from dataflow_platform.core.errors import ConfigError
from tests.checks import schemas
from tests.checks.verdicts import check, columns_of, failing, staged, violating

FLIGHTS = {"tailnum": "VARCHAR", "distance": "BIGINT", "arr_delay": "DOUBLE"}


def rules(name: str, types: dict[str, str], **common: Any) -> dict[str, Rule]:
    made = check("pandera", {"schema": f"tests.checks.schemas:{name}", **common})
    found = made.rules(columns_of(types))
    assert [rule.name for rule in found] == made.names()
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", rule.name) for rule in found)
    return {rule.name: rule for rule in found}


def test_the_names_are_known_without_data_and_in_the_schemas_order() -> None:
    assert check("pandera", "tests.checks.schemas:flights").names() == [
        "flights_columns",
        "flights_order",
        "flights_unique_tailnum_distance",
        "flights_tailnum_dtype",
        "flights_tailnum_str_matches",
        "flights_distance_dtype",
        "flights_distance_not_null",
        "flights_distance_in_range",
        "flights_distance_not_equal_to",
        "flights_arr_delay_dtype",
        "flights_arr_delay_less_than",
    ]


def test_rows_that_break_the_schema() -> None:
    rows = [("N1", 100, 5.0), (None, 1, None), ("X1", 7, 3000.0), ("N2x", None, float("nan")), ("N1", 100, 1.0)]
    found = rules("flights", FLIGHTS)
    with staged(FLIGHTS, rows) as connection:
        bad = {name: violating(connection, rule) for name, rule in found.items() if rule.violation}
        # X1 does not start with N; N2x does start with N2, which is all str_matches asks.
        # distance 1 is excluded by include_min=False; NaN is pandas' word for missing and breaks no bound.
        assert bad == {
            "flights_tailnum_str_matches": [2],
            "flights_distance_not_null": [3],
            "flights_distance_in_range": [1],
            "flights_distance_not_equal_to": [2],
            "flights_arr_delay_less_than": [2],
        }
        # (N1, 100) is there twice.
        assert failing(connection, found["flights_unique_tailnum_distance"])[0] == 1
        assert failing(connection, found["flights_columns"]) == (0, "no unknown column")
        assert failing(connection, found["flights_order"])[0] == 0


def test_severity_and_words() -> None:
    found = rules("flights", FLIGHTS, at_most="1%")
    assert found["flights_arr_delay_less_than"].severity == "warn"
    assert found["flights_distance_in_range"].severity == "error"
    assert found["flights_distance_in_range"].message == "distance is not between 1 and 6000 (1 excluded)"
    assert found["flights_distance_not_equal_to"].message == "distance is not different from 7: seven is a test flight"
    assert found["flights_tailnum_str_matches"].message == "tailnum does not start with a match of N[0-9A-Z]+"
    # A tolerance is for rows; a wrong type has no share of bad rows.
    assert (found["flights_distance_in_range"].at_most, found["flights_distance_dtype"].at_most) == (0.01, 0.0)


def test_a_wrong_type_fails_in_words_and_is_never_compared() -> None:
    types = {"tailnum": "VARCHAR", "distance": "VARCHAR", "arr_delay": "BIGINT"}
    found = rules("flights", types)
    with staged(types, [("N1", "far", 1)]) as connection:
        said = {name: failing(connection, rule) for name, rule in found.items() if rule.verdict}
    assert said["flights_distance_dtype"] == (1, "distance is VARCHAR, the schema asks for integer (int64)")
    assert said["flights_distance_in_range"] == (1, "not checked: distance is VARCHAR, the schema asks for integer")
    assert said["flights_distance_not_null"][0] == 1
    # An integer column with gaps is float64 in pandas: a nullable float takes it.
    assert said["flights_arr_delay_dtype"] == (0, "arr_delay is BIGINT")


def test_strict_ordered_and_optional_columns() -> None:
    types = {"distance": "BIGINT", "extra": "BIGINT", "tailnum": "VARCHAR"}
    found = rules("flights", types)
    with staged(types, []) as connection:
        assert failing(connection, found["flights_columns"]) == (1, "columns the schema does not know: extra")
        assert failing(connection, found["flights_order"]) == (1, "the columns come not in the order tailnum, distance")
        assert failing(connection, found["flights_arr_delay_less_than"]) == (0, "arr_delay is optional and not there")
    with pytest.raises(ConfigError) as caught:
        rules("flights", {"tail_num": "VARCHAR", "distance": "BIGINT"})
    assert caught.value.code == "column.unknown"


@pytest.mark.parametrize("model", ["Planes", "PolarsPlanes"])
def test_models_of_both_flavours(model: str) -> None:
    types = {"tailnum": "VARCHAR", "seats": "INTEGER"}
    found = rules(model, types)
    rows = [("N1", 1), ("N", None), ("N1", 0), ("N123456", 4), (None, 2), (None, 2)]
    with staged(types, rows) as connection:
        bad = {name.removeprefix(f"{model}_"): violating(connection, r) for name, r in found.items() if r.violation}
        assert bad == {
            "tailnum_not_null": [4, 5],
            "tailnum_str_length": [1, 3],
            "seats_greater_than_or_equal_to": [2],
            "seats_isin": [2, 3],
        }
        # N1 twice and, as Pandera counts, the missing value twice.
        assert failing(connection, found[f"{model}_tailnum_unique"])[0] == 2


def _named(**types: str) -> dict[str, str]:
    return types


def test_flags_of_patterns_and_types_of_polars() -> None:
    found = rules("ignore_case", {"x": "VARCHAR"})
    with staged({"x": "VARCHAR"}, [("xABCx",), ("ab",)]) as connection:
        assert violating(connection, found["ignore_case_x_str_contains"]) == [1]
    types = _named(
        i="INTEGER", f="DOUBLE", s="VARCHAR", b="BOOLEAN", d="DATE", t="TIMESTAMP", z="TIMESTAMP WITH TIME ZONE",
        n="DECIMAL(10,2)", o="TIME", u="INTERVAL", y="BLOB",
    )  # fmt: skip
    swapped = dict(zip(types, [*list(types.values())[1:], "INTEGER"], strict=True))
    for given_types, fails in ((types, 0), (swapped, 1)):
        with staged(given_types, []) as connection:
            for name, rule in rules("polars_types", given_types).items():
                if name.endswith("_dtype"):
                    assert failing(connection, rule)[0] == fails, name


@pytest.mark.parametrize("name", schemas.REFUSED)
def test_what_the_engine_cannot_run_is_refused_never_skipped(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("pandera", f"tests.checks.schemas:{name}")
    assert caught.value.code == "pandera.unsupported"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tests.checks.schemas", "path.form"),
        ("tests.checks.schemaz:flights", "path.module"),
        ("tests.checks.schemas:flightz", "path.attribute"),
        ("tests.checks.schemas:not_a_schema", "pandera.schema"),
    ],
)
def test_a_wrong_path_says_which_half_is_wrong(path: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("pandera", path)
    assert caught.value.code == code


# From here on: the rows our SQL finds are the rows Pandera finds.

INTS = st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=12)
FLOATS = st.lists(st.one_of(st.none(), st.floats(-5, 5, width=32)), min_size=1, max_size=12)
# No line ends: Python's $ also matches before the last one, RE2's does not (see the test at the end).
TEXTS = st.lists(st.one_of(st.none(), st.text("abN1_ 'é", max_size=4)), min_size=1, max_size=12)
CHECKS: list[tuple[str, st.SearchStrategy[Any], list[Any]]] = [
    (
        "BIGINT",
        INTS,
        [
            pa.Check.eq(1), pa.Check.ne(1), pa.Check.gt(0), pa.Check.ge(0), pa.Check.lt(2), pa.Check.le(-1),
            pa.Check.in_range(-2, 2), pa.Check.in_range(-2, 2, include_min=False, include_max=False),
            pa.Check.isin([1, 2, 3]), pa.Check.notin([0, -1]),
        ],
    ),
    ("DOUBLE", FLOATS, [pa.Check.in_range(-1.5, 2.5), pa.Check.isin([0.0, 1.0]), pa.Check.gt(0.1, ignore_na=False)]),
    ("DOUBLE", FLOATS, [pa.Check.ne(0.0, ignore_na=False), pa.Check.notin([1.0], ignore_na=False)]),
    (
        "VARCHAR",
        TEXTS,
        [
            pa.Check.isin(["a", "é", "'"]), pa.Check.str_matches("a|b1"), pa.Check.str_matches("[ab]*$"),
            pa.Check.str_contains("N1|_"), pa.Check.str_startswith("a"), pa.Check.str_endswith("'"),
            pa.Check.str_length(1, 2), pa.Check.str_length(exact_value=3), pa.Check.str_length(max_value=2),
            pa.Check.eq("a"), pa.Check.str_contains("a", ignore_na=False),
        ],
    ),
]  # fmt: skip
CASES = [(kind, values, each) for kind, values, checks in CHECKS for each in checks]
PANDAS = {"BIGINT": "Int64", "DOUBLE": "float64", "VARCHAR": "str"}


def ours(schema: Any, kind: str, values: Sequence[object], label: str) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas, "generated", schema, raising=False)
        (rule,) = [r for name, r in rules("generated", {"x": kind}).items() if name.endswith(label)]
        with staged({"x": kind}, [(value,) for value in values]) as connection:
            return violating(connection, rule) if rule.violation else [failing(connection, rule)[0]]


def pandas_finds(schema: Any, frame: pd.DataFrame) -> list[int]:
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        return sorted(int(index) for index in errors.failure_cases["index"])
    return []


@pytest.mark.parametrize(("kind", "values", "wanted"), CASES, ids=[f"{k}-{c.error}-{c.ignore_na}" for k, _, c in CASES])
def test_values_as_pandera_on_pandas(kind: str, values: st.SearchStrategy[Any], wanted: pa.Check) -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(checks=wanted, nullable=True)})

    @settings(max_examples=25, deadline=None, database=None)
    @given(values)
    def agree(drawn: list[Any]) -> None:
        frame = pd.DataFrame({"x": pd.array(drawn, dtype=PANDAS[kind])})
        assert ours(schema, kind, drawn, str(wanted.name)) == pandas_finds(schema, frame)

    agree()


@settings(max_examples=30, deadline=None, database=None)
@given(FLOATS)
def test_not_null_as_pandera_on_pandas(drawn: list[Any]) -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(float)})
    frame = pd.DataFrame({"x": pd.array(drawn, dtype="float64")})
    assert ours(schema, "DOUBLE", drawn, "not_null") == pandas_finds(schema, frame)
    ours_alone = [number for number, value in enumerate(drawn) if value is None]
    with staged({"x": "DOUBLE"}, [(value,) for value in drawn]) as connection:
        (rule,) = check("not_null", "x").rules(columns_of({"x": "DOUBLE"}))
        assert violating(connection, rule) == ours_alone == pandas_finds(schema, frame)


@settings(max_examples=30, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=10))
def test_unique_as_pandera_on_pandas(drawn: list[tuple[int, int]]) -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(int), "y": pa.Column(int)}, unique=["x", "y"])
    schema.report_duplicates = "exclude_first"
    found = set(pandas_finds(schema, pd.DataFrame(drawn, columns=["x", "y"])))
    types = {"x": "BIGINT", "y": "BIGINT"}
    with staged(types, drawn) as connection:
        (rule,) = check("unique", ["x", "y"]).rules(columns_of(types))
        # Pandera lists each row after the first of its key; we count them.
        assert failing(connection, rule)[0] == len(found)


@settings(max_examples=30, deadline=None, database=None)
@given(TEXTS)
def test_texts_as_pandera_on_polars(drawn: list[Any]) -> None:
    for wanted in (pp.Check.str_matches("a|b1"), pp.Check.notin(["a"], ignore_na=False), pp.Check.str_length(1, 2)):
        schema = pp.DataFrameSchema({"x": pp.Column(str, wanted, nullable=True)})
        try:
            schema.validate(pl.DataFrame({"x": drawn}, schema={"x": pl.String}), lazy=True)
            found = []
        except pa.errors.SchemaErrors as errors:
            found = sorted(int(index) for index in errors.failure_cases["index"])
        assert ours(schema, "VARCHAR", drawn, str(wanted.name)) == found


def test_where_re2_is_stricter_than_python() -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(str, pa.Check.str_matches("a$"))})
    assert pandas_finds(schema, pd.DataFrame({"x": ["a", "a\n"]})) == []
    assert ours(schema, "VARCHAR", ["a", "a\n"], "str_matches") == [1]
