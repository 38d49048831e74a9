"""Transformation ``merge_columns``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.projection import chosen, projected, refuse_known
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class MergeColumns(Spec, Transformation):
    """Writes the values of several columns into one text, one behind the other."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    columns: list[str] = Field(min_length=2, description="The columns, in the order of the text.")
    separator: str = Field(default=" ", description="What stands between two values.")
    into: str = Field(description="The name of the new column. NULLs are left out; it is NULL where all are.")
    keep: bool = Field(default=False, description="Keep the columns themselves.")

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and the text."""
        wanted = chosen(self.columns, columns, "merge_columns")
        gone = () if self.keep else tuple(column.name for column in wanted)
        refuse_known([self.into], [column for column in columns if column.name not in gone], "merge_columns")
        names = ", ".join(quote(column.name) for column in wanted)
        text = (
            f"CASE WHEN coalesce({', '.join(f'CAST({quote(each.name)} AS VARCHAR)' for each in wanted)}) IS NOT NULL "
        )
        made = f"{text}THEN concat_ws({literal(self.separator)}, {names}) END"
        stay = [column for column in columns if column.name not in gone]
        return projected(stay, {self.into: made})
