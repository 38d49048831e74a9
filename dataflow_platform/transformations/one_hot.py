"""Transformation ``one_hot``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.projection import found, projected, refuse_known
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class OneHot(Spec, Transformation):
    """Makes a boolean column of each value of a column: true where the row has it."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    column: str = Field(description="The column.")
    values: list[bool | int | str] = Field(
        min_length=1,
        description="The values that get a column, `<column>_<value>`. A row with another one, or NULL, has false in "
        "all: the columns of a table do not hang on what a batch happens to hold.",
    )
    keep: bool = Field(default=False, description="Keep the column itself.")

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and those of the values."""
        column = found(self.column, columns)
        made = {
            f"{column.name}_{value}": f"{quote(column.name)} IS NOT DISTINCT FROM {literal(value)}"
            for value in self.values
        }
        refuse_known([f"{column.name}_{value}" for value in self.values], columns, "one_hot")
        return projected(columns, made, leave_out=() if self.keep else (column.name,))
