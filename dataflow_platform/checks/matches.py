"""Check ``matches``."""

from collections.abc import Sequence

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, regexp, require_text, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rule


class Matches(RowCheck):
    """A text column whose whole value matches a regular expression."""

    column: str = Field(description="The column. NULL breaks nothing; add not_null for that.")
    pattern: str = Field(
        description="RE2 regular expression for the whole value, such as `N[0-9A-Z]{1,5}`. "
        "In RE2 `\\d` and `\\w` mean ASCII characters only."
    )

    @model_validator(mode="after")
    def _check(self) -> "Matches":
        regexp(self.pattern)
        return self

    def names(self) -> list[str]:
        """``matches_<column>``."""
        return rule_names(self, [f"matches_{self.column}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        require_text(column)
        violation = f"NOT regexp_full_match({sql.quote(column.name)}, {regexp(self.pattern)})"
        message = f"{column.name} does not match {self.pattern}"
        return [rule(self, self.names()[0], message, column=column.name, violation=violation)]
