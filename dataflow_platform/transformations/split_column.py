"""Transformation ``split_column``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.projection import found, projected, refuse_known
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import Dialect


class SplitColumn(Spec, Transformation):
    """Splits a text at a separator into several columns."""

    holds: ClassVar[tuple[Dialect, ...]] = ("duckdb", "postgres")
    instead: ClassVar[str] = "derive with split_part()"

    column: str = Field(description="The text column.")
    separator: str = Field(min_length=1, description="What stands between the parts, as it is (no pattern).")
    into: list[str] = Field(
        min_length=2,
        description="The new columns. A text with fewer parts leaves the last ones NULL; of one with more the last "
        "column holds the whole rest.",
    )
    keep: bool = Field(default=False, description="Keep the column itself.")

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and the parts."""
        column, last = found(self.column, columns), len(self.into)
        refuse_known(self.into, columns, "split_column")
        parts = f"string_split({quote(column.name)}, {literal(self.separator)})"
        made = {name: f"list_extract({parts}, {place})" for place, name in enumerate(self.into[:-1], start=1)}
        rest = f"array_to_string(list_slice({parts}, {last}, len({parts})), {literal(self.separator)})"
        made[self.into[-1]] = f"CASE WHEN len({parts}) >= {last} THEN {rest} END"
        return projected(columns, made, leave_out=() if self.keep else (column.name,))
