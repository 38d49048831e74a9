"""Transformation ``drop``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict, Field, RootModel

from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import chosen, names_of, projected
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Drop(RootModel[list[str]], Transformation):
    """Leaves the listed columns out; the others stay as they are."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    model_config = ConfigDict(frozen=True)

    root: list[str] = Field(min_length=1, description="The columns to leave out.")

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of the columns that are not listed."""
        gone = names_of(chosen(self.root, columns, "drop"))
        if len(gone) == len(columns):
            raise ConfigError("column.none", "drop leaves no column", fix="keep at least one column")
        return projected(columns, {}, leave_out=gone)
