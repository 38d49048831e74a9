"""Transformation ``filter``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Transformation
from dataflow_platform.core.expression import expression


class Filter(RootModel[str], Transformation):
    """Keeps the rows for which a SQL expression is true."""

    model_config = ConfigDict(frozen=True)
    drops_rows: ClassVar[bool] = True

    root: str = Field(
        description="SQL expression over the row, such as `dest is not null`. A row for which it is false or NULL goes."
    )

    @model_validator(mode="after")
    def _check(self) -> "Filter":
        expression(self.root, scope="row")
        return self

    def apply(self, columns: Sequence[str]) -> str:
        """A SELECT of all ``columns`` for the rows that pass."""
        kept = ", ".join(sql.quote(column) for column in columns)
        return f"SELECT {kept} FROM input WHERE {expression(self.root, columns=columns, scope='row')}"

    def condition(self) -> str | None:
        """The expression."""
        return self.root
