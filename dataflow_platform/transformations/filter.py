"""Transformation ``filter``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rows, Tables, Transformation
from dataflow_platform.core.condition import SqlOrCondition
from dataflow_platform.core.expression import expression
from dataflow_platform.core.projection import names_of
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Filter(RootModel[SqlOrCondition], Transformation):
    """Keeps the rows for which a condition is true."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    model_config = ConfigDict(frozen=True)

    root: SqlOrCondition = Field(
        description="SQL expression over the row, such as `dest is not null`, or a condition as data, such as "
        "`{field: dest, operator: in, value: [JFK, LAX]}`, joined by `and`, `or`, `not`. A row for which it is false "
        "or NULL goes."
    )

    @model_validator(mode="after")
    def _check(self) -> "Filter":
        expression(self.condition(), scope="row")
        return self

    @property
    def rows(self) -> Rows:
        """Some are left out."""
        return "fewer"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` for the rows that pass."""
        names = names_of(columns)
        kept = ", ".join(map(sql.quote, names))
        return f"SELECT {kept} FROM input WHERE {expression(self.condition(), columns=names, scope='row')}"

    def condition(self) -> str:
        """The expression."""
        return self.root if isinstance(self.root, str) else self.root.sql()
