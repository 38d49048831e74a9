"""Check ``statistic``."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from dataflow_platform.checks import column_of, family, rule, rule_names
from dataflow_platform.checks._bounds import Bound, bounded, outside, refuse_bounds
from dataflow_platform.checks._history import metric
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Claim, Column, Rule
from dataflow_platform.core.errors import ConfigError

_FUNCTIONS = {
    "sum": "sum({})", "mean": "avg({})", "median": "median({})", "stddev": "stddev_samp({})",
    "min": "min({})", "max": "max({})",
}  # fmt: skip


class Statistic(Check):
    """A number made of all values of a column, between two bounds; kept as a metric with every load."""

    column: str = Field(description="The column. NULL is left out; where nothing is left, nothing is judged.")
    of: Literal["sum", "mean", "median", "quantile", "stddev", "min", "max"] = Field(
        description="Which number; `stddev` is that of a sample."
    )
    quantile: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Of `quantile`: which one, such as 0.95. Between two values it is interpolated.",
    )
    min: Bound | None = Field(default=None, description="The least it may be.")
    max: Bound | None = Field(default=None, description="The most it may be.")

    @model_validator(mode="after")
    def _check(self) -> "Statistic":
        refuse_bounds("statistic", self.min, self.max)
        if (self.of == "quantile") != (self.quantile is not None):
            raise ConfigError(
                "check.quantile", "`of: quantile` and `quantile` go together", where="quantile",
                fix="write of: quantile, quantile: 0.95",
            )  # fmt: skip
        return self

    def _called(self) -> str:
        return self.of if self.quantile is None else f"quantile_{self.quantile:g}"

    def names(self) -> list[str]:
        """``<statistic>_<column>``."""
        return rule_names(self, [f"{self._called()}_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The bounds of the number."""
        return [Claim(self.names()[0], f"the {self._called()} of {self.column}", self.min, self.max)]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails as a whole."""
        column = column_of(self.column, columns)
        kind, ordered = family(column.type), self.of in ("min", "max")
        if kind not in ("integer", "float", "decimal") and not (ordered and kind in ("date", "timestamp")):
            raise ConfigError(
                "check.type", f"column '{column.name}' is {column.type}, of which there is no {self.of}",
                where=column.name, fix="choose a column of numbers; min and max know dates as well",
            )  # fmt: skip
        value = sql.quote(column.name)
        # A sum of HUGEINT or DECIMAL(38, n) may not fit its type; DOUBLE holds what any sum comes to.
        wide = f"CAST({value} AS DOUBLE)" if self.of in ("sum", "mean", "stddev") and kind != "integer" else value
        made = f"quantile_cont({value}, {self.quantile})" if self.quantile else _FUNCTIONS[self.of].format(wide)
        result = Column(column.name, column.type if ordered else "DOUBLE")
        words = f"{self._called().replace('_', ' ')} of {column.name}"
        number = f"CAST({made} AS DOUBLE)" if kind in ("integer", "float", "decimal") else f"epoch({made})"
        return [
            rule(
                self, self.names()[0], f"the {words} is not {bounded(self.min, self.max)}", column=column.name,
                verdict=_judged(made, result, self.min, self.max, words),
                measures=metric(self._called(), column.name, number),
            )
        ]  # fmt: skip


def _judged(made: str, result: Column, low: Bound | None, high: Bound | None, words: str) -> str:
    shown = "CAST(value AS VARCHAR)"
    sentence = f"{sql.literal(words + ' is ')} || {shown} || {sql.literal(', expected ' + bounded(low, high))}"
    cast = f"CAST({made} AS DOUBLE)" if result.type == "DOUBLE" else made
    return (
        f"SELECT CASE WHEN {outside('value', result, low, high)} THEN 1 ELSE 0 END AS failing, "
        f"coalesce({sentence}, {sql.literal(f'there is no value to take the {words}')}) AS sentence "
        f"FROM (SELECT {cast} AS value FROM staged) AS made"
    )
