"""Transformation ``deduplicate``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.expression import ordering
from dataflow_platform.core.projection import names_of
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Deduplicate(Spec, Transformation):
    """Keeps one row for each key: the first by an order."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE
    shorthand: ClassVar[str | None] = "by"

    by: list[str] | str = Field(
        min_length=1,
        description="The column or columns of the key. Rows whose key is NULL count as one key, as in PARTITION BY.",
    )
    order: str | None = Field(
        default=None,
        description="Which row of a key is kept: the first by this order, such as `updated_at desc`. NULLs come last. "
        "Rows that tie are ordered by all their columns, so the same rows always give the same result.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Deduplicate":
        if self.order is not None:
            ordering(self.order)
        return self

    @property
    def rows(self) -> Rows:
        """Some are left out."""
        return "fewer"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` for the first row of each key."""
        wanted, names = [self.by] if isinstance(self.by, str) else self.by, names_of(columns)
        key = [sql.find_column(name, names) for name in wanted]
        rest = [sql.quote(name) for name in names if name not in key]
        # Ties by name, so that the choice does not hang on the order the source gave its columns in.
        order = [ordering(self.order, columns=names)] if self.order is not None else []
        order += sorted(rest)
        kept = ", ".join(sql.quote(name) for name in names)
        partition = ", ".join(sql.quote(column) for column in key)
        ordered = f" ORDER BY {', '.join(order)}" if order else ""
        return f"SELECT {kept} FROM input QUALIFY row_number() OVER (PARTITION BY {partition}{ordered}) = 1"
