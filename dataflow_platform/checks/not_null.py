"""Check ``not_null``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.checks import RowCheck, as_list, column_of, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Claim, Column, Dimension, Rule


class NotNull(RowCheck):
    """Columns that always have a value; one rule for each column."""

    shorthand: ClassVar[str | None] = "columns"
    dimension: ClassVar[Dimension] = "completeness"

    columns: str | list[str] = Field(min_length=1, description="The column or columns that may not be NULL.")

    def names(self) -> list[str]:
        """``not_null_<column>`` for each column."""
        wanted = as_list(self.columns)
        return rule_names(self, [f"not_null_{name}" for name in wanted], wanted)

    def claims(self) -> Sequence[Claim]:
        """There are no rows without a value."""
        return [
            Claim(name, f"the share of rows without {column}", high=0)
            for name, column in zip(self.names(), as_list(self.columns), strict=True)
        ]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule for each column."""
        found = [column_of(name, columns) for name in as_list(self.columns)]
        return [
            rule(
                self, name, f"{column.name} is missing", column=column.name,
                violation=f"{sql.quote(column.name)} IS NULL",
            )
            for name, column in zip(self.names(), found, strict=True)
        ]  # fmt: skip
