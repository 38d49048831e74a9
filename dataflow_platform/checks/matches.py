"""Check ``matches``."""

from collections.abc import Sequence

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, regexp, require_text, rule, rule_names
from dataflow_platform.checks._regex import refuse_differences
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rule


class Matches(RowCheck):
    """A text column whose whole value matches a regular expression."""

    column: str = Field(description="The column. NULL breaks nothing; add not_null for that.")
    pattern: str = Field(
        description="Regular expression for the whole value, such as `N[0-9A-Z]{1,5}`. What DuckDB (RE2) and Python "
        "read differently is refused: `\\d`, `\\w`, `\\s` and `\\b` (ASCII or Unicode), `{,3}`, `$` before the end, "
        "look-around, back-references, possessive quantifiers, flags that only one of them has."
    )

    @model_validator(mode="after")
    def _check(self) -> "Matches":
        refuse_differences(self.pattern)
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
