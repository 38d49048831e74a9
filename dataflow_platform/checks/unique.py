"""Check ``unique``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.checks import as_list, column_of, repeated_keys, repeated_rows, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import ordering


class Unique(Check):
    """A key that no two rows of a load share."""

    shorthand: ClassVar[str | None] = "columns"
    dimension: ClassVar[Dimension] = "uniqueness"

    columns: str | list[str] = Field(
        min_length=1,
        description="The column or columns of the key. Several columns make one key together. As in SQL, a row with "
        "NULL in its key repeats nothing.",
    )
    scope: Literal["set", "row"] = Field(
        default="set",
        description="`set`: the rows are counted and judged; `row`: rows after the first of a key go to quarantine.",
    )
    first: str | None = Field(
        default=None,
        description="Of scope `row`: which row of a key comes first and stays, as after ORDER BY, such as "
        "`updated_at desc`. Without it it is any of them.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Unique":
        if self.first is not None:
            ordering(self.first)
            if self.scope != "row":
                raise ConfigError(
                    "check.scope", "`first` chooses the row that stays, and in scope `set` all stay", where="first",
                    fix="add scope: row, or leave it out",
                )  # fmt: skip
        return self

    def names(self) -> list[str]:
        """``unique_<columns>``."""
        return rule_names(self, ["_".join(["unique", *as_list(self.columns)])])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule; it fails by the number of rows after the first of each key."""
        key = [column_of(name, columns).name for name in as_list(self.columns)]
        message = f"{', '.join(key)} is there more than once"
        only = key[0] if len(key) == 1 else None
        if self.scope == "set":
            rows = repeated_rows(key)
            return [rule(self, self.names()[0], message, column=only, verdict=repeated_keys(key), rows=rows, shows=key)]
        quoted = [sql.quote(name) for name in key]
        order = f" ORDER BY {ordering(self.first, columns=[each.name for each in columns])}" if self.first else ""
        known = " AND ".join(f"{name} IS NOT NULL" for name in quoted)
        number = f"row_number() OVER (PARTITION BY {', '.join(quoted)}{order})"
        return [
            rule(self, self.names()[0], message, column=only, violation=f"{number} > 1 AND {known}", shows=key)
        ]  # fmt: skip
