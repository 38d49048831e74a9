"""Transformation ``sort``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.expression import ordering
from dataflow_platform.core.projection import names_of
from dataflow_platform.core.sql import quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Sort(Spec, Transformation):
    """Puts the rows of a load in order, so that reading a range of them later touches little; or keeps the first."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE
    shorthand: ClassVar[str | None] = "by"

    by: str = Field(
        description="The order, such as `ordered_at desc, id`. NULLs come last. It is that in which rows are written "
        "to DuckDB and to files, within one load; a table has no order of its own when it is read."
    )
    limit: int | None = Field(
        default=None, ge=0, description="Keep so many rows, the first; rows that tie are ordered by all their columns."
    )

    @model_validator(mode="after")
    def _check(self) -> "Sort":
        ordering(self.by)
        return self

    @property
    def rows(self) -> Rows:
        """All, or the first."""
        return "same" if self.limit is None else "fewer"

    @property
    def needs_all(self) -> bool:
        """The first of a batch are not the first of all."""
        return self.limit is not None

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` in order."""
        names = names_of(columns)
        order, kept = ordering(self.by, columns=names), ", ".join(map(quote, names))
        if self.limit is None:
            return f"SELECT {kept} FROM input ORDER BY {order}"
        return f"SELECT {kept} FROM input ORDER BY {order}, {', '.join(sorted(map(quote, names)))} LIMIT {self.limit}"
