"""Check ``compare``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from dataflow_platform.checks import RowCheck, column_of, family, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError

_WORDS = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_ALIKE = {
    **dict.fromkeys(("integer", "float", "decimal"), "number"),
    **dict.fromkeys(("date", "timestamp", "timestamp with time zone"), "time"),
}


class Compare(RowCheck):
    """Two columns of one row, compared."""

    dimension: ClassVar[Dimension] = "consistency"

    column: str = Field(description="The left column.")
    is_: Literal["=", "<>", "<", "<=", ">", ">="] = Field(alias="is", description="How they must stand.")
    to: str = Field(description="The right column. A row that misses one of the two breaks nothing.")

    def names(self) -> list[str]:
        """``compare_<column>_<operator>_<column>``."""
        return rule_names(self, [f"compare_{self.column}_{_WORDS[self.is_]}_{self.to}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        left, right = column_of(self.column, columns), column_of(self.to, columns)
        kinds = [family(column.type) for column in (left, right)]
        if _ALIKE.get(kinds[0], kinds[0]) != _ALIKE.get(kinds[1], kinds[1]):
            raise ConfigError(
                "check.type", f"'{left.name}' is {left.type}, '{right.name}' is {right.type}: they cannot be compared",
                where=left.name, fix="cast one of them first",
            )  # fmt: skip
        # Without NOT: a NULL on either side leaves it open, and open is no fault.
        violation = f"NOT ({sql.quote(left.name)} {self.is_} {sql.quote(right.name)})"
        message = f"{left.name} is not {self.is_} {right.name}"
        shown = (left.name, right.name)
        return [rule(self, self.names()[0], message, shows=shown, violation=violation)]
