"""Check ``expression``."""

import re
from collections.abc import Sequence
from typing import ClassVar
from zlib import crc32

from pydantic import Field, model_validator

from dataflow_platform.checks import rule, rule_names
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.expression import columns_used, expression
from dataflow_platform.core.sql import find_column

_OPERATORS = {"<=": "le", ">=": "ge", "<>": "ne", "!=": "ne", "<": "lt", ">": "gt", "=": "eq"}


class Expression(Check):
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
        text = self.sql.lower()
        for sign, name in _OPERATORS.items():
            text = text.replace(sign, f" {name} ")
        text = re.sub(r"[^a-z0-9_]+", "_", text).strip("_")
        if len(text) > 60:
            text = f"{text[:50]}_{crc32(self.sql.encode()):08x}"
        return rule_names(self, [f"expression_{text}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        names = [column.name for column in columns]
        checked = expression(self.sql, columns=names, scope="row")
        used = {find_column(name, names) for name in columns_used(self.sql)}
        message = self.message or f"it is not true that {self.sql}"
        only = used.pop() if len(used) == 1 else None
        return [rule(self, self.names()[0], message, column=only, violation=f"NOT coalesce(({checked}), TRUE)")]
