"""Check ``in_range``."""

from collections.abc import Sequence

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, rule, rule_names
from dataflow_platform.checks._bounds import Bound, outside, refuse_bounds
from dataflow_platform.core import sql
from dataflow_platform.core.base import Claim, Column, Rule


class InRange(RowCheck):
    """A column whose values lie between two bounds."""

    column: str = Field(description="The column. NULL breaks no range; add not_null for that.")
    min: Bound | None = Field(default=None, description="The lower bound: a number, a date or a text.")
    max: Bound | None = Field(default=None, description="The upper bound.")
    exclusive: bool = Field(default=False, description="True where the bounds themselves are out of range.")

    @model_validator(mode="after")
    def _check(self) -> "InRange":
        refuse_bounds("in_range", self.min, self.max)
        return self

    def names(self) -> list[str]:
        """``in_range_<column>``."""
        return rule_names(self, [f"in_range_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The bounds."""
        return [Claim(self.names()[0], self.column, self.min, self.max, self.exclusive)]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        violation = outside(sql.quote(column.name), column, self.min, self.max, self.exclusive)
        return [rule(self, self.names()[0], self._message(column.name), column=column.name, violation=violation)]

    def _message(self, column: str) -> str:
        if self.min is not None and self.max is not None:
            return f"{column} is not between {self.min} and {self.max}" + (" (both excluded)" if self.exclusive else "")
        if self.min is not None:
            return f"{column} is not {'above' if self.exclusive else 'at least'} {self.min}"
        return f"{column} is not {'below' if self.exclusive else 'at most'} {self.max}"
