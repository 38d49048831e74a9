"""Check ``unique``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.checks import as_list, column_of, repeated_keys, rule, rule_names
from dataflow_platform.core.base import Check, Column, Dimension, Rule


class Unique(Check):
    """A key that no two rows of a load share."""

    shorthand: ClassVar[str | None] = "columns"
    dimension: ClassVar[Dimension] = "uniqueness"

    columns: str | list[str] = Field(
        min_length=1,
        description="The column or columns of the key. Several columns make one key together. As in SQL, a row with "
        "NULL in its key repeats nothing.",
    )

    def names(self) -> list[str]:
        """``unique_<columns>``."""
        return rule_names(self, ["_".join(["unique", *as_list(self.columns)])])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails by the number of rows after the first of each key."""
        key = [column_of(name, columns).name for name in as_list(self.columns)]
        message = f"{', '.join(key)} is there more than once"
        only = key[0] if len(key) == 1 else None
        return [rule(self, self.names()[0], message, column=only, verdict=repeated_keys(key))]
