"""Transformation ``bucket``."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import found, projected, refuse_known
from dataflow_platform.core.sql import literal, literal_as_written, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Bucket(Spec, Transformation):
    """Puts numbers into named ranges, in a new text column. NULL stays NULL."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    column: str = Field(description="The column of numbers.")
    bounds: list[int | float] = Field(
        min_length=1,
        description="Where ranges meet, ascending, such as `[18, 65]`. A bound belongs to the range above it.",
    )
    labels: list[str] = Field(
        default_factory=list,
        description="A name for each range, one more than there are bounds; `< 18`, `18 to < 65`, `>= 65` if absent.",
    )
    into: str = Field(description="The name of the new column.")

    @model_validator(mode="after")
    def _check(self) -> "Bucket":
        if any(low >= high for low, high in pairwise(self.bounds)):
            raise ConfigError("bucket.bounds", "the bounds do not ascend", where="bounds", fix="order them: [18, 65]")
        if self.labels and len(self.labels) != len(self.bounds) + 1:
            raise ConfigError(
                "bucket.labels",
                f"{len(self.bounds)} bounds make {len(self.bounds) + 1} ranges, and {len(self.labels)} are named",
                where="labels",
                fix="name every range, the one below the first bound and the one above the last among them",
            )
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and the name of the range."""
        refuse_known([self.into], columns, "bucket")
        name = quote(found(self.column, columns).name)
        bounds = [literal_as_written(bound) for bound in self.bounds]
        between = [f"{low} to < {high}" for low, high in pairwise(bounds)]
        labels = self.labels or [f"< {bounds[0]}", *between, f">= {bounds[-1]}"]
        cases = [f"WHEN {name} < {bound} THEN {literal(label)}" for bound, label in zip(bounds, labels, strict=False)]
        return projected(
            columns, {self.into: f"CASE WHEN {name} IS NULL THEN NULL {' '.join(cases)} ELSE {literal(labels[-1])} END"}
        )
