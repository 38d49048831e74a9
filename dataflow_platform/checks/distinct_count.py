"""Check ``distinct_count``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import as_list, column_of, rule, rule_names
from dataflow_platform.checks._bounds import bounded, refuse_bounds
from dataflow_platform.checks._history import metric
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Claim, Column, Dimension, Rule


class DistinctCount(Check):
    """How many different values a column, or several together, have; kept as a metric with every load."""

    dimension: ClassVar[Dimension] = "uniqueness"

    columns: str | list[str] = Field(min_length=1, description="The column or columns. Rows with NULL are left out.")
    min: int | None = Field(default=None, ge=0, description="The fewest different values.")
    max: int | None = Field(default=None, ge=0, description="The most different values.")

    @model_validator(mode="after")
    def _check(self) -> "DistinctCount":
        refuse_bounds("distinct_count", self.min, self.max)
        return self

    def names(self) -> list[str]:
        """``distinct_count_<columns>``."""
        return rule_names(self, ["_".join(["distinct_count", *as_list(self.columns)])])

    def claims(self) -> Sequence[Claim]:
        """The bounds of the number."""
        subject = f"the number of different values of {', '.join(as_list(self.columns))}"
        return [Claim(self.names()[0], subject, self.min, self.max)]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails by the values that are missing or too many."""
        names = [column_of(name, columns).name for name in as_list(self.columns)]
        key = ", ".join(map(sql.quote, names))
        known = " AND ".join(f"{sql.quote(name)} IS NOT NULL" for name in names)
        counted = f"(SELECT count(*) FROM (SELECT DISTINCT {key} FROM staged WHERE {known}) AS each_once)"
        words, over = bounded(self.min, self.max), "0" if self.max is None else f"value - {self.max}"
        sentence = sql.literal(f" different values of {', '.join(names)}, expected {words}")
        verdict = (
            f"SELECT greatest({self.min or 0} - value, {over}, 0) AS failing, value || {sentence} AS sentence "
            f"FROM (SELECT {counted} AS value) AS made"
        )
        message = f"the number of different values of {', '.join(names)} is not {words}"
        only = names[0] if len(names) == 1 else None
        measures = metric("distinct_count", ", ".join(names), f"CAST({counted} AS DOUBLE)", "")
        return [rule(self, self.names()[0], message, column=only, verdict=verdict, measures=measures)]
