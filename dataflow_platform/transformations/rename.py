"""Transformation ``rename``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict, Field, RootModel

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import names_of, refuse_twice
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Rename(RootModel[dict[str, str]], Transformation):
    """Gives columns new names; values and order stay."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    model_config = ConfigDict(frozen=True)

    root: dict[str, str] = Field(
        min_length=1,
        description="Old name to new name, such as `dest: destination`. Two columns may swap their names.",
    )

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns`` under their new names."""
        refuse_twice(self.root, "rename")
        names = names_of(columns)
        new_names = {sql.find_column(old, names): new for old, new in self.root.items()}
        taken: dict[str, str] = {}
        for column in names:
            new = new_names.get(column, column)
            if new.lower() in taken:
                raise ConfigError(
                    "column.duplicate", f"after rename both '{taken[new.lower()]}' and '{column}' would be '{new}'",
                    where=taken[new.lower()] if column not in new_names else column,
                    fix="pick another name, or rename or drop the column that has it now",
                )  # fmt: skip
            taken[new.lower()] = column
        parts = [
            f"{sql.quote(column)} AS {sql.quote(new_names[column])}" if column in new_names else sql.quote(column)
            for column in names
        ]
        return f"SELECT {', '.join(parts)} FROM input"
