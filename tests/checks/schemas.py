"""Pandera schemas the tests name by their dotted path."""

import re
from typing import Any

import pandera.pandas as pa
import pandera.polars as pp
import polars as pl

flights = pa.DataFrameSchema(
    {
        "tailnum": pa.Column(str, pa.Check.str_matches(r"N[0-9A-Z]+"), nullable=True),
        "distance": pa.Column(
            int, [pa.Check.in_range(1, 6000, include_min=False), pa.Check.ne(7, error="seven is a test flight")]
        ),
        "arr_delay": pa.Column(float, pa.Check.lt(2000, raise_warning=True), nullable=True, required=False),
    },
    unique=["tailnum", "distance"],
    strict=True,
    ordered=True,
    name="flights",
)


class Planes(pa.DataFrameModel):
    """A model, as people write them."""

    tailnum: str = pa.Field(unique=True, str_length={"min_value": 2, "max_value": 6})
    seats: int = pa.Field(ge=1, isin=[1, 2, 3], nullable=True)


class PolarsPlanes(pp.DataFrameModel):
    """The same in polars' flavour."""

    tailnum: str = pp.Field(unique=True, str_length={"min_value": 2, "max_value": 6})
    seats: int = pp.Field(ge=1, isin=[1, 2, 3], nullable=True)


ignore_case = pa.DataFrameSchema({"x": pa.Column(str, pa.Check.str_contains(re.compile("abc", re.IGNORECASE)))})
polars_types = pp.DataFrameSchema(
    {
        "i": pp.Column(pl.Int32), "f": pp.Column(pl.Float64), "s": pp.Column(pl.String), "b": pp.Column(pl.Boolean),
        "d": pp.Column(pl.Date), "t": pp.Column(pl.Datetime("us")), "z": pp.Column(pl.Datetime("us", "UTC")),
        "n": pp.Column(pl.Decimal(10, 2)), "o": pp.Column(pl.Time), "u": pp.Column(pl.Duration),
        "y": pp.Column(pl.Binary),
    }
)  # fmt: skip


def custom(series: object) -> bool:
    """A check function of one's own."""
    return series is not None


def _of(**column: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({"x": pa.Column(**column)})


REFUSED = {
    "parser": _of(dtype=str, parsers=pa.Parser(lambda s: s)),
    "schema_parser": pa.DataFrameSchema({"x": pa.Column(int)}, parsers=pa.Parser(lambda d: d)),
    "index": pa.DataFrameSchema({"x": pa.Column(int)}, index=pa.Index(int)),
    "add_missing": pa.DataFrameSchema({"x": pa.Column(int, nullable=True)}, add_missing_columns=True),
    "category": _of(dtype="category"),
    "object": _of(dtype=object),
}
globals().update(REFUSED)
not_a_schema = 5


class NoModel(pa.DataFrameModel):
    """A model with a field of no type that Pandera knows."""

    x: "nothing"  # type: ignore[name-defined]  # noqa: F821


def crashes(series: Any) -> Any:
    """A check that fails as soon as it meets a value above 2."""
    if (series > 2).any():
        raise ValueError("above two")
    return series > 0


own = pa.DataFrameSchema(
    {
        "at": pa.Column(int, [pa.Check(lambda value: value % 2 == 0, element_wise=True, name="even")], nullable=True),
        "v": pa.Column(str, pa.Check(lambda texts: texts.str.len() < 3, name="short"), nullable=True),
    },
    checks=pa.Check(lambda frame: frame["at"] > frame["id"], name="at_after_id"),
    drop_invalid_rows=True,
)
own_polars = pp.DataFrameSchema(
    {
        "at": pp.Column(int, [pa.Check(lambda value: value % 2 == 0, element_wise=True, name="even")], nullable=True),
        "v": pp.Column(
            str,
            pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).str.len_chars() < 3), name="short"),
            nullable=True,
        ),
    },
    checks=pa.Check(lambda data: data.lazyframe.select(pl.col("at") > pl.col("id")), name="at_after_id"),
    drop_invalid_rows=True,
)
crashing = pa.DataFrameSchema({"at": pa.Column(int, [pa.Check(crashes, name="crashes"), pa.Check.ge(0)])})
rising = pa.DataFrameSchema({"at": pa.Column(int, pa.Check(lambda at: at.max() < 100, name="below_100"))})
rising_polars = pp.DataFrameSchema(
    {"at": pp.Column(int, pa.Check(lambda data: data.lazyframe.select(pl.col("at").max() < 100), name="below_100"))}
)
once = pa.DataFrameSchema({"at": pa.Column(int, pa.Check(lambda at: ~at.duplicated(keep=False), name="once"))})
grouped = pa.DataFrameSchema(
    {
        "at": pa.Column(int, pa.Check(lambda of: of["a"].mean() < of["b"].mean(), groupby="v", name="a_before_b")),
        "v": pa.Column(str),
    }
)
two_hundred = pa.DataFrameSchema({"at": pa.Column(int, [pa.Check.le(1000 - n, name=f"le_{n}") for n in range(200)])})
