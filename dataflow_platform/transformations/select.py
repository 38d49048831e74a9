"""Transformation ``select``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.projection import found, refuse_twice
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Select(RootModel[list[str]], Transformation):
    """Keeps the listed columns, in the listed order."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    model_config = ConfigDict(frozen=True)

    root: list[str] = Field(min_length=1, description="The columns to keep, in their new order.")

    @model_validator(mode="after")
    def _check(self) -> "Select":
        refuse_twice(self.root, "select")
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of the listed columns, spelled as in ``columns``."""
        return f"SELECT {', '.join(sql.quote(found(name, columns).name) for name in self.root)} FROM input"

    def selection(self) -> tuple[str, ...] | None:
        """The listed columns."""
        return tuple(self.root)
