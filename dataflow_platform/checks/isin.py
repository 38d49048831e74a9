"""Check ``isin``."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from pydantic import Field

from dataflow_platform.checks import column_of, rule, rule_names, value_for
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Rule


class IsIn(Check):
    """A column that takes only listed values."""

    column: str = Field(description="The column. NULL breaks nothing; add not_null for that.")
    values: list[bool | int | float | Decimal | datetime | date | str] = Field(
        min_length=1, description="The values it may take, of the column's own kind."
    )

    def names(self) -> list[str]:
        """``isin_<column>``."""
        return rule_names(self, [f"isin_{self.column}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        allowed = ", ".join(value_for(value, column) for value in self.values)
        shown = ", ".join(str(value) for value in self.values[:10]) + (", ..." if len(self.values) > 10 else "")
        message = f"{column.name} is not one of {shown}"
        violation = f"{sql.quote(column.name)} NOT IN ({allowed})"
        return [rule(self, self.names()[0], message, column=column.name, violation=violation)]
