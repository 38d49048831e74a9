"""Transformation ``ordinal``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import found, projected, refuse_known
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Ordinal(Spec, Transformation):
    """Gives each value of a column its place in a declared order, from 0, in a new column."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    column: str = Field(description="The column.")
    values: list[int | str] = Field(
        min_length=1, description="The values in their order, such as `[low, medium, high]`. Another one gives NULL."
    )
    into: str = Field(description="The name of the new column, an integer.")

    @model_validator(mode="after")
    def _check(self) -> "Ordinal":
        if len(set(self.values)) < len(self.values):
            raise ConfigError("ordinal.values", "a value stands in the order twice", where="values", fix="keep one")
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and the place of the value."""
        refuse_known([self.into], columns, "ordinal")
        name = quote(found(self.column, columns).name)
        cases = " ".join(f"WHEN {name} = {literal(value)} THEN {place}" for place, value in enumerate(self.values))
        return projected(columns, {self.into: f"CAST(CASE {cases} END AS INTEGER)"})
