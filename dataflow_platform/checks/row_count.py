"""Check ``row_count``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import rule, rule_names
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError


class RowCount(Check):
    """How many rows a load brings."""

    shorthand: ClassVar[str | None] = "min"
    dimension: ClassVar[Dimension] = "completeness"

    min: int = Field(default=0, ge=0, description="The fewest rows a load may bring.")
    max: int | None = Field(default=None, ge=0, description="The most rows a load may bring.")

    @model_validator(mode="after")
    def _check(self) -> "RowCount":
        if (self.max is None and self.min == 0) or (self.max is not None and self.max < self.min):
            raise ConfigError(
                "check.bounds", f"row_count from {self.min} to {self.max} says nothing", where="min",
                fix="write min: 1, max: 1000000, or both with min below max",
            )  # fmt: skip
        return self

    def names(self) -> list[str]:
        """``row_count``."""
        return rule_names(self, ["row_count"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails by the number of rows that are missing or too many."""
        bounds = f"at least {self.min}" if self.max is None else f"between {self.min} and {self.max}"
        over = "0" if self.max is None else f"count(*) - {self.max}"
        verdict = (
            f"SELECT greatest({self.min} - count(*), {over}, 0) AS failing, "
            f"count(*) || ' rows, expected {bounds}' AS sentence FROM staged"
        )
        return [rule(self, self.names()[0], f"the number of rows is not {bounds}", verdict=verdict)]
