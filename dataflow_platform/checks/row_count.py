"""Check ``row_count``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import rule, rule_names
from dataflow_platform.checks._bounds import share
from dataflow_platform.checks._history import earlier
from dataflow_platform.core.base import Check, Claim, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError


class RowCount(Check):
    """How many rows a load brings, and how that number changes from load to load."""

    shorthand: ClassVar[str | None] = "min"
    dimension: ClassVar[Dimension] = "completeness"

    min: int = Field(default=0, ge=0, description="The fewest rows a load may bring.")
    max: int | None = Field(default=None, ge=0, description="The most rows a load may bring.")
    max_decrease: str | None = Field(
        default=None, description="How many rows fewer than before are allowed, as a share such as `20%`."
    )
    max_increase: str | None = Field(
        default=None, description="How many rows more than before are allowed, as a share such as `200%`."
    )
    loads: int = Field(
        default=1, ge=1, description="Before: the median of so many published loads; fewer where there were no more."
    )

    @model_validator(mode="after")
    def _check(self) -> "RowCount":
        says = self.max is not None or self.min > 0
        if not (says or self._changes()) or (self.max is not None and self.max < self.min):
            raise ConfigError(
                "check.bounds", f"row_count from {self.min} to {self.max} says nothing", where="min",
                fix="write min: 1, max: 1000000, or both with min below max, or max_decrease: 20%",
            )  # fmt: skip
        share(self.max_decrease, "max_decrease")
        share(self.max_increase, "max_increase", 1e9)
        return self

    def _changes(self) -> bool:
        return self.max_decrease is not None or self.max_increase is not None

    def _parts(self) -> list[str]:
        says = self.max is not None or self.min > 0
        return ["bounds"] * says + ["change"] * self._changes()

    def names(self) -> list[str]:
        """``row_count``, and ``row_count_change`` for what is said of the change."""
        parts = self._parts()
        return rule_names(self, ["row_count" if part == "bounds" else "row_count_change" for part in parts], parts)

    def claims(self) -> Sequence[Claim]:
        """The bounds of the number."""
        says = "bounds" in self._parts()
        return [Claim(self.names()[0], "the number of rows", self.min, self.max)] if says else []

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """Rules over the set of rows; they fail by the number of rows that are missing or too many."""
        made = {"bounds": self._bounds, "change": self._change}
        return [made[part](name) for part, name in zip(self._parts(), self.names(), strict=True)]

    def _bounds(self, name: str) -> Rule:
        bounds = f"at least {self.min}" if self.max is None else f"between {self.min} and {self.max}"
        over = "0" if self.max is None else f"count(*) - {self.max}"
        verdict = (
            f"SELECT greatest({self.min} - count(*), {over}, 0) AS failing, "
            f"count(*) || ' rows, expected {bounds}' AS sentence FROM staged"
        )
        return rule(self, name, f"the number of rows is not {bounds}", verdict=verdict)

    def _change(self, name: str) -> Rule:
        down, up = share(self.max_decrease, "max_decrease"), share(self.max_increase, "max_increase", 1e9)
        under = "0" if down is None else f"ceil(before * (1 - {down}) - 1e-9) - n"
        over = "0" if up is None else f"n - floor(before * (1 + {up}) + 1e-9)"
        allowed = [
            f"{text} {word}" for text, word in ((self.max_decrease, "fewer"), (self.max_increase, "more")) if text
        ]
        words = f"allowed are {' and '.join(allowed)}"
        verdict = (
            f"SELECT CAST(coalesce(greatest({under}, {over}, 0), 0) AS BIGINT) AS failing, "
            f"coalesce(n || ' rows, before ' || CAST(round(before) AS BIGINT) || ', {words}', "
            f"n || ' rows, and no earlier load to compare with') AS sentence "
            "FROM (SELECT (SELECT count(*) FROM staged) AS n, "
            f"(SELECT median(value) FROM ({earlier('row_count', None, self.loads)}) AS known) AS before) AS counted"
        )
        return rule(self, name, "the number of rows has changed too much", verdict=verdict, reads_history=True)
