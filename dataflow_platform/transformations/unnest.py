"""Transformation ``unnest``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import found, projected, refuse_known
from dataflow_platform.core.sql import quote


class Unnest(Spec, Transformation):
    """Makes a row of each element of a list; the other columns are repeated."""

    instead: ClassVar[str] = "make the rows at the source"
    shorthand: ClassVar[str | None] = "column"

    column: str = Field(description="The column with the list; it holds the element then.")
    position: str | None = Field(
        default=None, description="A new column with the place of the element in its list, from 1."
    )
    keep_empty: bool = Field(
        default=False, description="Keep a row whose list is empty or NULL, with NULL as its element; else it goes."
    )

    @property
    def rows(self) -> Rows:
        """One becomes several, or none."""
        return "more"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` for each element."""
        column = found(self.column, columns)
        if not column.type.endswith("]"):
            raise ConfigError(
                "column.type", f"unnest takes a list, column '{column.name}' is {column.type}", where="column",
                fix="cast it to a list, such as varchar[], or choose another column",
            )  # fmt: skip
        items = quote(column.name)
        if self.keep_empty:
            items = f"CASE WHEN len({items}) > 0 THEN {items} ELSE [NULL] END"
        made = {column.name: f"unnest({items})"}
        if self.position:
            refuse_known([self.position], columns, "unnest")
            made[self.position] = f"generate_subscripts({items}, 1)"
        return projected(columns, made)
