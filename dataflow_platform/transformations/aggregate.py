"""Transformation ``aggregate``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.expression import expression
from dataflow_platform.core.projection import chosen, names_of, refuse_known
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Aggregate(Spec, Transformation):
    """Makes one row of each group of rows. It needs all rows: the stream has no cursor."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    by: list[str] = Field(
        default_factory=list,
        description="The columns that make a group; NULL is a value like others. One group of all rows if absent.",
    )
    compute: dict[str, str] = Field(
        min_length=1,
        description="New column to SQL expression over the rows of a group, such as `total: sum(amount)`, "
        "`customers: count(distinct customer)`, `late: count(*) filter (where delay > 15)`.",
    )

    @property
    def rows(self) -> Rows:
        """Each is a group."""
        return "anew"

    @model_validator(mode="after")
    def _check(self) -> "Aggregate":
        for text in self.compute.values():
            expression(text)
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of the groups and what was computed."""
        by, names = chosen(self.by, columns, "aggregate"), names_of(columns)
        refuse_known(self.compute, by, "aggregate")
        keys = [sql.quote(column.name) for column in by]
        made = [f"{expression(text, columns=names)} AS {sql.quote(name)}" for name, text in self.compute.items()]
        grouped = f" GROUP BY {', '.join(f'input.{key}' for key in keys)}" if keys else ""
        return f"SELECT {', '.join([*(f'input.{key} AS {key}' for key in keys), *made])} FROM input{grouped}"
