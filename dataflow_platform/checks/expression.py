"""Check ``expression``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, rule, rule_names, words_of
from dataflow_platform.core.base import Column, Dimension, Rule
from dataflow_platform.core.expression import columns_used, expression
from dataflow_platform.core.sql import find_column


class Expression(RowCheck):
    """A SQL expression that is true or NULL for every row."""

    shorthand: ClassVar[str | None] = "sql"
    dimension: ClassVar[Dimension] = "consistency"

    sql: str = Field(description="SQL expression over the row, such as `arr_delay is not null or arr_time is null`.")
    message: str | None = Field(default=None, description="What to tell of a row that breaks it; the SQL if absent.")

    @model_validator(mode="after")
    def _check(self) -> "Expression":
        expression(self.sql, scope="row")
        return self

    def names(self) -> list[str]:
        """``expression_`` and the expression in words, shortened by a checksum where it is long."""
        return rule_names(self, [f"expression_{words_of(self.sql)}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        names = [column.name for column in columns]
        checked = expression(self.sql, columns=names, scope="row")
        used = {find_column(name, names) for name in columns_used(self.sql)}
        message = self.message or f"it is not true that {self.sql}"
        shows = [name for name in names if name in used]
        only = shows[0] if len(shows) == 1 else None
        violation = f"NOT coalesce(({checked}), TRUE)"
        return [rule(self, self.names()[0], message, column=only, violation=violation, shows=shows)]
