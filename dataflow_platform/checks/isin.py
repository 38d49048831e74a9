"""Check ``isin``."""

from collections.abc import Sequence

from pydantic import Field

from dataflow_platform.checks import RowCheck, Value, column_of, listed_values, rule, rule_names, value_for
from dataflow_platform.core import sql
from dataflow_platform.core.base import Claim, Column, Rule


class IsIn(RowCheck):
    """A column that takes only listed values."""

    column: str = Field(description="The column. NULL breaks nothing; add not_null for that.")
    values: list[Value] = Field(min_length=1, description="The values it may take, of the column's own kind.")

    def names(self) -> list[str]:
        """``isin_<column>``."""
        return rule_names(self, [f"isin_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The values."""
        return [Claim(self.names()[0], self.column, values=frozenset(self.values))]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        allowed = ", ".join(value_for(value, column) for value in self.values)
        message = f"{column.name} is not one of {listed_values(self.values)}"
        violation = f"{sql.quote(column.name)} NOT IN ({allowed})"
        return [rule(self, self.names()[0], message, column=column.name, violation=violation)]
