"""Transformation ``pivot``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import chosen, found, refuse_known
from dataflow_platform.core.sql import literal_as_written, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Pivot(Spec, Transformation):
    """Makes one row of each group and a column of each value. It needs all rows: the stream has no cursor."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    by: list[str] = Field(min_length=1, description="The columns that make a group.")
    column: str = Field(description="The column whose values become columns.")
    values: list[bool | int | float | str] = Field(
        min_length=1,
        description="Those values; rows with others are left out. The columns of a table do not hang on what a batch "
        "happens to hold.",
    )
    function: Literal["sum", "count", "min", "max", "avg", "any_value"] = Field(description="What is computed.")
    of: str | None = Field(default=None, description="The column it is computed of; `count` counts rows without one.")

    @property
    def rows(self) -> Rows:
        """Each is a group."""
        return "anew"

    @model_validator(mode="after")
    def _check(self) -> "Pivot":
        if self.of is None and self.function != "count":
            raise ConfigError(
                "pivot.of", f"{self.function} of what?", where="of", fix="name a column, such as of: amount"
            )
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of the groups and a column of each value."""
        by, key = chosen(self.by, columns, "pivot"), quote(found(self.column, columns).name)
        refuse_known(map(str, self.values), by, "pivot")
        of = "*" if self.of is None else f"input.{quote(found(self.of, columns).name)}"
        made = [
            f"{self.function}({of}) FILTER (WHERE input.{key} = {literal_as_written(value)}) AS {quote(str(value))}"
            for value in self.values
        ]
        keys = [f"input.{quote(column.name)}" for column in by]
        named = [f"input.{quote(column.name)} AS {quote(column.name)}" for column in by]
        wanted = ", ".join(map(literal_as_written, self.values))
        return (
            f"SELECT {', '.join([*named, *made])} FROM input WHERE input.{key} IN ({wanted}) GROUP BY {', '.join(keys)}"
        )
