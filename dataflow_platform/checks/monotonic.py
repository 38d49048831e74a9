"""Check ``monotonic``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from dataflow_platform.checks import RowCheck, as_list, column_of, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Claim, Column, Dimension, Rule


class Monotonic(RowCheck):
    """A column that only rises, or only falls, from row to row in the order of another."""

    dimension: ClassVar[Dimension] = "consistency"

    scope: Literal["row", "set"] = Field(
        default="set",
        description="`set`: rows that break it are counted and judged; `row`: they go to quarantine.",
    )
    column: str = Field(description="The column. Rows without a value are passed over.")
    by: str = Field(description="The column that says the order of the rows; rows that miss it are passed over.")
    per: str | list[str] = Field(default_factory=list, description="Columns: within each of their values anew.")
    falls: bool = Field(default=False, description="True where it falls.")
    strictly: bool = Field(default=False, description="True where it may not stay the same either.")

    def names(self) -> list[str]:
        """``monotonic_<column>``."""
        return rule_names(self, [f"monotonic_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The direction, where it cannot stand still."""
        if not self.strictly:
            return []
        subject = f"the direction of {self.column} by {self.by} per {self.per or 'all rows'}"
        return [Claim(self.names()[0], subject, values=frozenset({"down" if self.falls else "up"}))]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule; a row breaks it whose value does not follow on that of the row before."""
        column, by = column_of(self.column, columns), column_of(self.by, columns)
        groups = [column_of(name, columns).name for name in as_list(self.per)]
        value, place = sql.quote(column.name), sql.quote(by.name)
        partition = f"PARTITION BY {', '.join(map(sql.quote, groups))} " if groups else ""
        # Rows of one place come in the order that breaks nothing.
        order = f"ORDER BY {place} NULLS LAST, {value}{' DESC' if self.falls else ''}"
        sign = (">" if self.falls else "<") + ("=" if self.strictly else "")
        before = f"lag({value} IGNORE NULLS) OVER ({partition}{order})"
        violation = f"{place} IS NOT NULL AND {value} {sign} {before}"
        verb = ("falls" if self.falls else "rises") + (" from row to row" if self.strictly else "")
        message = f"{column.name} is not one that {verb} with {by.name}"
        shows = list(dict.fromkeys([*groups, by.name, column.name]))
        return [rule(self, self.names()[0], message, violation=violation, shows=shows)]
