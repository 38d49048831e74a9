"""Parts of schemas beyond single columns and values: patterns of names, coerce, default, duplicates, refusals."""

from typing import Any

import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pytest
from pandera import extensions

from dataflow_platform.core.base import Rule
from dataflow_platform.core.errors import ConfigError
from tests.checks import schemas
from tests.checks.verdicts import check, columns_of, failing, staged, violating


def rules(schema: Any, types: dict[str, str], **more: Any) -> dict[str, Rule]:
    """The rules of a schema by what follows its name."""
    schemas.generated = schema  # type: ignore[attr-defined]
    made = check("pandera", {"schema": "tests.checks.schemas:generated", **more})
    found = made.rules(columns_of(types))
    assert [rule.name for rule in found] == made.names()
    return {rule.name.removeprefix("generated_"): rule for rule in found}


def test_a_pattern_stands_for_all_columns_it_matches() -> None:
    schema = pa.DataFrameSchema({"x_[ab]": pa.Column(int, pa.Check.ge(0), unique=True, regex=True)}, strict=True)
    types = {"x_a": "BIGINT", "x_b": "BIGINT", "y": "BIGINT"}
    found = rules(schema, types)
    with staged(types, [(1, 1, 1), (-1, 2, 2), (3, 2, -1), (4, None, 3)]) as connection:
        assert violating(connection, found["x_ab_greater_than_or_equal_to"]) == [1]
        assert violating(connection, found["x_ab_not_null"]) == [3]
        # Two rows share the 2 of x_b; all values of x_a differ.
        assert failing(connection, found["x_ab_unique"]) == (
            2, "no key of (x_a) repeats; 2 rows share 1 keys of (x_b)",
        )  # fmt: skip
        # All rows have another number in _row; without it the two would be told apart no more, and both be listed.
        rows = str(found["x_ab_unique"].rows)
        assert len(connection.execute(f"WITH staged AS (SELECT x_b AS x_a, x_b FROM staged) {rows}").fetchall()) == 2
        assert failing(connection, found["columns"]) == (1, "columns the schema does not know: y")
        assert failing(connection, found["x_ab_dtype"]) == (0, "x_a is BIGINT; x_b is BIGINT")


@pytest.mark.parametrize("required", [True, False])
def test_a_pattern_that_matches_no_column(required: bool) -> None:
    schema = pa.DataFrameSchema({"x_.*": pa.Column(int, regex=True, required=required)})
    if required:
        with pytest.raises(ConfigError) as caught:
            rules(schema, {"y": "BIGINT"})
        assert caught.value.code == "column.unknown"
    else:
        assert all(rule.violation is None for rule in rules(schema, {"y": "BIGINT"}).values())


def test_polars_leaves_columns_that_are_named_to_what_is_said_there() -> None:
    columns = {"^x.*$": pp.Column(pl.Int64, pp.Check.ge(0), regex=True), "x1": pp.Column(pl.Int64)}
    types = {"x1": "BIGINT", "x2": "BIGINT"}
    found = rules(pp.DataFrameSchema(columns), types)
    with staged(types, [(-1, 1), (1, -1)]) as connection:
        assert violating(connection, found["x_greater_than_or_equal_to"]) == [1]


def test_coerce_asks_whether_a_value_could_be_read_and_loses_nothing() -> None:
    schema = pa.DataFrameSchema({"n": pa.Column(int, pa.Check.ge(0))}, coerce=True)
    types = {"n": "VARCHAR"}
    found = rules(schema, types)
    with staged(types, [("7",), (" 7 ",), ("x",), ("1.5",), (None,), ("-1",), ("99999999999999999999",)]) as connection:
        # 1.5 and a number beyond 64 bits would be read with a loss; what is missing is none of coerce's business.
        assert violating(connection, found["n_coerce"]) == [2, 3, 6]
        assert violating(connection, found["n_not_null"]) == [4]
        assert violating(connection, found["n_greater_than_or_equal_to"]) == [5]
    assert found["n_coerce"].message == "n cannot be read as int64 without a loss"
    small = rules(pa.DataFrameSchema({"n": pa.Column("int8", coerce=True)}), {"n": "BIGINT"})
    with staged({"n": "BIGINT"}, [(127,), (128,)]) as connection:
        assert violating(connection, small["n_coerce"]) == [1]
    with pytest.raises(ConfigError, match="of which nothing is read as int64"):
        rules(schema, {"n": "DATE"})


@pytest.mark.parametrize(
    ("given", "wanted", "values", "lost"),
    [
        ("DOUBLE", int, [1.0, 1.5, None, float("nan")], [1]),
        ("BIGINT", bool, [0, 1, 7], [2]),
        ("BIGINT", str, [1, None], []),
        ("TIMESTAMP", pl.Date, ["2020-01-01 00:00:00", "2020-01-01 00:00:01"], [1]),
        ("VARCHAR", pl.Datetime("us"), ["2020-01-01", "2020-13-01"], [1]),
        ("VARCHAR", pl.Decimal(4, 1), ["1.5", "12345", "x"], [1, 2]),
        ("BOOLEAN", float, [True, False], []),
    ],
)
def test_what_is_lost_by_reading_a_value_as_another_type(given: str, wanted: Any, values: Any, lost: Any) -> None:
    module: Any = pp if isinstance(wanted, pl.DataType) or wanted is pl.Date else pa
    schema = module.DataFrameSchema({"x": module.Column(wanted, coerce=True, nullable=True)})
    found = rules(schema, {"x": given})
    with staged({"x": given}, [(value,) for value in values]) as connection:
        assert violating(connection, found["x_coerce"]) == lost


def test_a_missing_value_counts_as_the_default() -> None:
    schema = pa.DataFrameSchema({"n": pa.Column(int, pa.Check.ge(0), default=-1, unique=True)})
    found = rules(schema, {"n": "BIGINT"})
    with staged({"n": "BIGINT"}, [(1,), (None,), (-1,)]) as connection:
        assert violating(connection, found["n_not_null"]) == []
        assert violating(connection, found["n_greater_than_or_equal_to"]) == [1, 2]
        assert failing(connection, found["n_unique"])[0] == 2
    for schema in (
        pa.DataFrameSchema({"n": pa.Column(int, default="none")}),
        pp.DataFrameSchema({"n": pp.Column(pl.Int64, default=pl.lit(1))}),
    ):
        with pytest.raises(ConfigError):
            rules(schema, {"n": "BIGINT"})


@pytest.mark.parametrize(("reported", "counted"), [("all", 5), ("exclude_first", 3), ("exclude_last", 3)])
def test_duplicates_are_counted_as_the_schema_says(reported: Any, counted: int) -> None:
    # Three rows share 1 and two share 2: all five, or all but one of each.
    schema = pa.DataFrameSchema({"n": pa.Column(int, unique=True, report_duplicates=reported)})
    found = rules(schema, {"n": "BIGINT"})["n_unique"]
    with staged({"n": "BIGINT"}, [(1,), (2,), (1,), (2,), (3,), (1,)]) as connection:
        assert failing(connection, found)[0] == counted
        assert len(connection.execute(str(found.rows)).fetchall()) == counted


def test_keys_may_be_several() -> None:
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int)}, unique=[["a"], ["a", "b"]])
    types = {"a": "BIGINT", "b": "BIGINT"}
    found = rules(schema, types)
    with staged(types, [(1, 1), (1, 2)]) as connection:
        assert failing(connection, found["unique_a"])[0] == 2
        assert failing(connection, found["unique_a_b"])[0] == 0


def test_a_check_of_the_frame_is_one_of_each_column() -> None:
    types = {"a": "BIGINT", "b": "DOUBLE"}
    found = rules(pa.DataFrameSchema(checks=pa.Check.ge(0)), types)["greater_than_or_equal_to"]
    assert found.message == "a is not at least 0; b is not at least 0"
    with staged(types, [(1, 1.0), (-1, 1.0), (1, -1.0), (None, float("nan"))]) as connection:
        assert violating(connection, found) == [1, 2]


def test_the_type_of_the_frame_is_that_of_each_column() -> None:
    found = rules(pa.DataFrameSchema({"a": pa.Column(str)}, dtype=int), {"a": "BIGINT"})
    with staged({"a": "BIGINT"}, []) as connection:
        assert failing(connection, found["a_dtype"]) == (0, "a is BIGINT")


def test_rows_that_pandera_would_drop_only_warn() -> None:
    schema = pa.DataFrameSchema({"a": pa.Column(int, unique=True)}, drop_invalid_rows=True)
    severities = {name: rule.severity for name, rule in rules(schema, {"a": "BIGINT"}).items()}
    assert severities == {"a_dtype": "error", "a_not_null": "warn", "a_unique": "error"}


def test_an_optional_column_may_be_missed() -> None:
    schema = pa.DataFrameSchema({"a": pa.Column(int, required=False, on_missing="warn")})
    found = rules(schema, {"b": "BIGINT"})
    with staged({"b": "BIGINT"}, []) as connection:
        assert failing(connection, found["a_present"]) == (1, "a is optional and not there")
    assert (found["a_present"].severity, found["a_dtype"].severity) == ("warn", "error")


def test_the_values_that_are_there_are_those_wanted() -> None:
    schema = pa.DataFrameSchema({"a": pa.Column(str, pa.Check.unique_values_eq(["x", "y", "z"]), nullable=True)})
    found = rules(schema, {"a": "VARCHAR"})["a_unique_values_eq"]
    with staged({"a": "VARCHAR"}, [("x",), ("y",), (None,), ("w",), ("w",)]) as connection:
        # z is missing and w is unknown.
        assert failing(connection, found) == (2, "2 values are missing or unknown")
        assert connection.execute(f"SELECT _row FROM ({found.rows}) ORDER BY 1").fetchall() == [(3,), (4,)]


def test_a_statistical_test_gets_all_rows() -> None:
    tested = pa.Hypothesis(
        lambda a, b: (a.mean() - b.mean(), 0.0), samples=["a", "b"], groupby="v", relationship=lambda diff, _: diff < 0,
        name="less",
    )  # fmt: skip
    schema = pa.DataFrameSchema({"n": pa.Column(int, tested), "v": pa.Column(str)})
    types = {"n": "BIGINT", "v": "VARCHAR"}
    found = rules(schema, types)["n_less"]
    for first, counted in ((1, 0), (9, 1)):
        with staged(types, [(first, "a"), (2, "b")]) as connection:
            assert failing(connection, found)[0] == counted


@pytest.mark.parametrize(
    ("column", "kind", "code"),
    [
        (pa.Column(checks=pa.Check.gt(5)), "VARCHAR", "check.type"),
        (pa.Column(checks=pa.Check.str_length(1)), "BIGINT", "check.type"),
        (pa.Column(checks=pa.Check.gt("2020-01-01T00:00:00+00:00")), "BOOLEAN", "check.type"),
        (pp.Column(str, pa.Check.str_matches("(?=a)")), "VARCHAR", "check.pattern"),
    ],
)
def test_contradictions_are_told_before_a_row_is_read(column: Any, kind: str, code: str) -> None:
    module: Any = pp if isinstance(column, pp.Column) else pa
    with pytest.raises(ConfigError) as caught:
        rules(module.DataFrameSchema({"x": column}), {"x": kind})
    assert (caught.value.code, caught.value.where.path) == (code, "x")


def test_a_name_under_whole_that_no_check_has() -> None:
    with pytest.raises(ConfigError, match="unknown check 'evn'"):
        rules(schemas.own, {}, whole=["evn"])


class Told(pa.DataFrameModel):
    """A model whose checks are methods."""

    n: int
    v: str = pa.Field(nullable=True)

    @pa.check("n")
    @classmethod
    def even(cls, numbers: Any) -> Any:
        return numbers % 2 == 0

    @pa.dataframe_check
    @classmethod
    def longer(cls, frame: Any) -> Any:
        return frame["v"].str.len() > frame["n"]


class ToldToPolars(pp.DataFrameModel):
    """The same in polars' flavour."""

    n: int
    v: str = pp.Field(nullable=True)

    @pp.check("n")
    @classmethod
    def even(cls, data: Any) -> Any:
        return data.lazyframe.select(pl.col(data.key) % 2 == 0)

    @pp.dataframe_check
    @classmethod
    def longer(cls, data: Any) -> Any:
        return data.lazyframe.select(pl.col("v").str.len_chars() > pl.col("n"))


@pytest.mark.parametrize("model", [Told, ToldToPolars])
def test_methods_of_a_model(model: Any) -> None:
    types = {"n": "BIGINT", "v": "VARCHAR"}
    found = {name.partition("_")[2]: rule for name, rule in rules(model, types).items()}
    with staged(types, [(2, "abc"), (3, "abcd"), (4, "abc")]) as connection:
        assert violating(connection, found["n_even"]) == [1]
        assert violating(connection, found["longer"]) == [2]


def test_a_check_that_is_registered_with_pandera() -> None:
    @extensions.register_check_method(statistics=["factor"])
    def is_multiple_of(series: Any, *, factor: int) -> Any:
        return series % factor == 0

    schema = pa.DataFrameSchema({"n": pa.Column(int, pa.Check.is_multiple_of(factor=3))})
    found = rules(schema, {"n": "BIGINT"})["n_is_multiple_of"]
    with staged({"n": "BIGINT"}, [(3,), (4,), (6,)]) as connection:
        assert violating(connection, found) == [1]
