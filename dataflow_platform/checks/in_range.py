"""Check ``in_range``."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, family, rule, rule_names, value_for
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rule
from dataflow_platform.core.errors import ConfigError

Bound = int | float | Decimal | datetime | date | str


class InRange(RowCheck):
    """A column whose values lie between two bounds."""

    column: str = Field(description="The column. NULL breaks no range; add not_null for that.")
    min: Bound | None = Field(default=None, description="The lower bound: a number, a date or a text.")
    max: Bound | None = Field(default=None, description="The upper bound.")
    exclusive: bool = Field(default=False, description="True where the bounds themselves are out of range.")

    @model_validator(mode="after")
    def _check(self) -> "InRange":
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        fault = None if bounds else "in_range needs min, max or both"
        if any(isinstance(bound, bool) or (isinstance(bound, float) and math.isnan(bound)) for bound in bounds):
            fault = "a bound of in_range is a number, a date or a text"
        elif len(bounds) == 2:
            try:
                if bounds[0] > bounds[1]:  # type: ignore[operator]  # of one kind, or the TypeError below says so
                    fault = f"min {bounds[0]} is above max {bounds[1]}"
            except TypeError:
                fault = f"min {bounds[0]!r} and max {bounds[1]!r} are not of one kind"
        if fault:
            raise ConfigError("check.bounds", fault, where="min", fix="write min: 1 and max: 6000, or one of the two")
        return self

    def names(self) -> list[str]:
        """``in_range_<column>``."""
        return rule_names(self, [f"in_range_{self.column}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        name = sql.quote(column.name)
        low, high = ("<=", ">=") if self.exclusive else ("<", ">")
        bad = [
            f"{name} {sign} {value_for(bound, column)}"
            for sign, bound in ((low, self.min), (high, self.max))
            if bound is not None
        ]
        if family(column.type) == "float" and self.max is None:
            # DuckDB sorts NaN above every number: only an upper bound refuses it by itself.
            bad.append(f"isnan({name})")
        violation = " OR ".join(bad)
        return [rule(self, self.names()[0], self._message(column.name), column=column.name, violation=violation)]

    def _message(self, column: str) -> str:
        if self.min is not None and self.max is not None:
            return f"{column} is not between {self.min} and {self.max}" + (" (both excluded)" if self.exclusive else "")
        if self.min is not None:
            return f"{column} is not {'above' if self.exclusive else 'at least'} {self.min}"
        return f"{column} is not {'below' if self.exclusive else 'at most'} {self.max}"
