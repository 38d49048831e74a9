"""Check ``foreign_key``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import column_of, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError


class ForeignKey(Check):
    """A column whose values all appear in a column of another table of the destination."""

    reads_tables: ClassVar[bool] = True
    dimension: ClassVar[Dimension] = "consistency"

    column: str = Field(description="The column. NULL breaks nothing; add not_null for that.")
    references: str = Field(description="The other column, as `schema.table.column`.")

    @model_validator(mode="after")
    def _check(self) -> "ForeignKey":
        parts = self.references.split(".")
        if len(parts) != 3 or not all(part.strip() == part and part for part in parts):
            raise ConfigError(
                "check.references", f"'{self.references}' is not a column of a table", where="references",
                fix="write it as schema.table.column, such as raw.airports.faa",
            )  # fmt: skip
        return self

    def names(self) -> list[str]:
        """``foreign_key_<column>``."""
        return rule_names(self, [f"foreign_key_{self.column}"])

    def upstream(self) -> tuple[str, ...]:
        """The table that is looked into."""
        return (self.references.rpartition(".")[0],)

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule; DuckDB runs it as one mark join."""
        column = column_of(self.column, columns)
        schema, table, other = self.references.split(".")
        name, key = sql.quote(column.name), sql.quote(other)
        # Without NULLs among the keys NOT IN is never unknown for a row that has a value.
        known = f"SELECT {key} FROM {sql.qualified(schema, table)} WHERE {key} IS NOT NULL"
        violation = f"{name} IS NOT NULL AND {name} NOT IN ({known})"
        message = f"{column.name} is not in {self.references}"
        return [rule(self, self.names()[0], message, column=column.name, violation=violation)]
