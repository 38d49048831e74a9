"""Transformation ``unpivot``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import chosen, refuse_known
from dataflow_platform.core.sql import literal, quote


class Unpivot(Spec, Transformation):
    """Makes a row of each of several columns: its name and its value; the other columns are repeated."""

    instead: ClassVar[str] = "one derive and a union for each column"

    columns: list[str] = Field(min_length=1, description="The columns, all of one type.")
    name: str = Field(default="name", description="The new column for their names.")
    value: str = Field(default="value", description="The new column for their values.")
    keep_null: bool = Field(default=False, description="Make a row of a NULL too.")

    @property
    def rows(self) -> Rows:
        """One becomes several, or none."""
        return "more"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of the other columns, name and value."""
        wanted = chosen(self.columns, columns, "unpivot")
        types = {column.type: column.name for column in wanted}
        if len(types) > 1:
            told = ", ".join(f"{name} is {kind}" for kind, name in types.items())
            raise ConfigError(
                "column.type", f"unpivot takes columns of one type: {told}", where="columns",
                fix="cast them to one type in a step before",
            )  # fmt: skip
        stay = [column for column in columns if column not in wanted]
        refuse_known([self.name, self.value], stay, "unpivot")
        pairs = ", ".join(f"{{'n': {literal(each.name)}, 'v': {quote(each.name)}}}" for each in wanted)
        items = f"[{pairs}]" if self.keep_null else f"list_filter([{pairs}], lambda pair: pair.v IS NOT NULL)"
        kept = [quote(column.name) for column in stay]
        opened = [f"unnest({items}).n AS {quote(self.name)}", f"unnest({items}).v AS {quote(self.value)}"]
        return f"SELECT {', '.join([*kept, *opened])} FROM input"
