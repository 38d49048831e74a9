"""Transformation ``union``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.core.table_name import TableName
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Union(Spec, Transformation):
    """Adds the rows of another table of the destination. It needs all rows: the stream has no cursor."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE
    shorthand: ClassVar[str | None] = "table"

    table: TableName = Field(
        description="The other table, as `schema.table`. Columns belong together by their names and are of one type; "
        "those the other table lacks are NULL in its rows, those only it has are left out."
    )

    @property
    def rows(self) -> Rows:
        """Those of the stream and those of the table."""
        return "anew"

    def upstream(self) -> tuple[str, ...]:
        """The other table."""
        return (self.table,)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` of both."""
        there = {column.name.lower(): column for column in tables[self.table]}
        parts = []
        for column in columns:
            other = there.get(column.name.lower())
            if other is not None and other.type != column.type:
                raise ConfigError(
                    "column.type", f"'{column.name}' is {column.type} here and {other.type} in {self.table}",
                    where=column.name, fix=f"cast it to {other.type} in a step before",
                )  # fmt: skip
            value = f"CAST(NULL AS {column.type})" if other is None else f"other.{quote(other.name)}"
            parts.append(f"{value} AS {quote(column.name)}")
        own = ", ".join(f"{quote(column.name)} AS {quote(column.name)}" for column in columns)
        more = f"SELECT {', '.join(parts)} FROM {qualified(*self.table.split('.'))} AS other"
        names = ", ".join(f"both_.{quote(column.name)} AS {quote(column.name)}" for column in columns)
        return f"SELECT {names} FROM (SELECT {own} FROM input UNION ALL {more}) AS both_"
