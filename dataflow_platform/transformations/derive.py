"""Transformation ``derive``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.expression import expression
from dataflow_platform.core.projection import names_of, projected, refuse_twice
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Derive(RootModel[dict[str, str]], Transformation):
    """Computes new columns, or new values of existing ones, with SQL expressions."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    model_config = ConfigDict(frozen=True)

    root: dict[str, str] = Field(
        min_length=1,
        description="Column name to SQL expression over the columns of the step before, such as "
        "`speed: distance / air_time`. A known name is replaced in its place, a new one is added at the end. "
        "Expressions do not see each other's results; use a second step for that.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Derive":
        for name, text in self.root.items():
            sql.quote(name)
            expression(text, scope="window")
        refuse_twice(self.root, "derive")
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns``, replaced ones in place, and the new columns behind them."""
        names = names_of(columns)
        made = {name: expression(text, columns=names, scope="window") for name, text in self.root.items()}
        return projected(columns, made)
