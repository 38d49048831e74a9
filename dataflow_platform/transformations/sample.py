"""Transformation ``sample``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import chosen, names_of, projected
from dataflow_platform.core.sql import quote


class Sample(Spec, Transformation):
    """Keeps a share of the rows, the same ones in every run: a row is chosen by what it holds, not by chance."""

    instead: ClassVar[str] = "a filter on a column of numbers"
    shorthand: ClassVar[str | None] = "percent"

    percent: float = Field(gt=0, lt=100, description="How many of a hundred rows are kept, about.")
    by: list[str] = Field(
        default_factory=list,
        description="The columns a row is chosen by; rows with the same values stay or go together. All if absent.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Sample":
        if round(self.percent * 1000) == 0:
            raise ConfigError("sample.percent", "less than 0.001 % was asked for", where="percent", fix="ask for more")
        return self

    @property
    def rows(self) -> Rows:
        """Some are left out."""
        return "fewer"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` for the chosen rows."""
        by = names_of(chosen(self.by, columns, "sample") if self.by else columns)
        # MD5 of the values as text, so that another version of the engine chooses the same rows.
        row = f"CAST(row({', '.join(map(quote, by))}) AS VARCHAR)"
        chance = f"md5_number_lower({row}) % 100000"
        return f"{projected(columns, {})} WHERE {chance} < {round(self.percent * 1000)}"
