"""Pandera schemas in the engine: the rules, what is refused, and agreement with Pandera itself."""

import re
from typing import Any

import pytest

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
        # (N1, 100) is there twice, and Pandera's report_duplicates="all" counts both rows.
        assert failing(connection, found["flights_unique_tailnum_distance"])[0] == 2
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
        # N1 is there twice and, as Pandera counts, so is the missing value.
        assert failing(connection, found[f"{model}_tailnum_unique"])[0] == 4


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
        ("tests.checks.schemas:NoModel", "pandera.schema"),
        ("tests.checks.broken_schema:flights", "path.module"),
    ],
)
def test_a_wrong_path_says_which_half_is_wrong(path: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("pandera", path)
    assert caught.value.code == code
