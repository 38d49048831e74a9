"""Check ``foreign_key``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, as_list, column_of, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError


class ForeignKey(RowCheck):
    """A column, or several, whose values all appear in another table of the destination.

    A table that is an asset becomes one the stream depends on.
    """

    reads_tables: ClassVar[bool] = True
    dimension: ClassVar[Dimension] = "consistency"

    column: str | list[str] = Field(
        min_length=1,
        description="The column, or the columns of one key. NULL in any of them breaks nothing; add not_null for that.",
    )
    references: str | list[str] = Field(
        min_length=1,
        description="The other column, as `schema.table.column`; of several columns a list, all of one table.",
    )

    @model_validator(mode="after")
    def _check(self) -> "ForeignKey":
        parts = [each.split(".") for each in as_list(self.references)]
        wrong = next((each for each in parts if len(each) != 3 or not all(p and p.strip() == p for p in each)), None)
        if wrong is not None:
            fault = f"'{'.'.join(wrong)}' is not a column of a table"
        elif len({tuple(each[:2]) for each in parts}) > 1:
            fault = "the columns are of several tables"
        elif len(parts) != len(as_list(self.column)):
            fault = f"{len(as_list(self.column))} columns are compared with {len(parts)}"
        else:
            return self
        raise ConfigError(
            "check.references", fault, where="references",
            fix="write it as schema.table.column, such as raw.airports.faa; a list where column is one",
        )  # fmt: skip

    def names(self) -> list[str]:
        """``foreign_key_<columns>``."""
        return rule_names(self, [f"foreign_key_{'_'.join(as_list(self.column))}"])

    def upstream(self) -> tuple[str, ...]:
        """The table that is looked into."""
        return (as_list(self.references)[0].rpartition(".")[0],)

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule; DuckDB runs it as one mark join."""
        own = [column_of(name, columns).name for name in as_list(self.column)]
        schema, table, _ = as_list(self.references)[0].split(".")
        others = [sql.quote(each.rpartition(".")[2]) for each in as_list(self.references)]
        names = [sql.quote(name) for name in own]
        # Without NULLs among the keys NOT IN is never unknown for a row that has a value.
        there = " AND ".join(f"{other} IS NOT NULL" for other in others)
        given = " AND ".join(f"{name} IS NOT NULL" for name in names)
        left, right = (", ".join(each) for each in (names, others))
        if len(own) > 1:
            left, right = f"({left})", f"({right})"
        known = f"SELECT {right} FROM {sql.qualified(schema, table)} WHERE {there}"
        message = f"{', '.join(own)} is not in {', '.join(as_list(self.references))}"
        only = own[0] if len(own) == 1 else None
        violation = f"{given} AND {left} NOT IN ({known})"
        return [rule(self, self.names()[0], message, column=only, violation=violation, shows=own)]
