"""Check ``null_share``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import column_of, rule, rule_names
from dataflow_platform.checks._bounds import bounded, refuse_bounds, share
from dataflow_platform.checks._history import metric
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Claim, Column, Dimension, Rule


class NullShare(Check):
    """The share of rows without a value; kept as a metric with every load. The rows stay where they are."""

    dimension: ClassVar[Dimension] = "completeness"

    column: str = Field(description="The column.")
    min: float | str | None = Field(default=None, description="The least share, 0 to 1 or such as `1%`.")
    max: float | str | None = Field(default=None, description="The greatest share, 0 to 1 or such as `5%`.")

    @model_validator(mode="after")
    def _check(self) -> "NullShare":
        refuse_bounds("null_share", *self._bounds())
        return self

    def _bounds(self) -> tuple[float | None, float | None]:
        return share(self.min, "min"), share(self.max, "max")

    def names(self) -> list[str]:
        """``null_share_<column>``."""
        return rule_names(self, [f"null_share_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The bounds of the share."""
        return [Claim(self.names()[0], f"the share of rows without {self.column}", *self._bounds())]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails by the rows without a value that are too many or missing."""
        column = column_of(self.column, columns)
        low, high = self._bounds()
        value = sql.quote(column.name)
        words = bounded(self.min, self.max)
        over = "0" if high is None else f"missing - floor({high} * n + 1e-9)"
        under = "0" if low is None else f"ceil({low} * n - 1e-9) - missing"
        told = sql.literal(f" rows without {column.name}, expected {words}")
        verdict = (
            f"SELECT CAST(greatest({over}, {under}, 0) AS BIGINT) AS failing, "
            f"missing || ' of ' || n || {told} AS sentence "
            f"FROM (SELECT count(*) AS n, count(*) - count({value}) AS missing FROM staged) AS counted"
        )
        share_of = f"CASE WHEN count(*) > 0 THEN 1 - count({value}) / count(*) END"
        return [
            rule(
                self, self.names()[0], f"the share of rows without {column.name} is not {words}", column=column.name,
                verdict=verdict, measures=metric("null_share", column.name, share_of),
                rows=f"SELECT * FROM staged WHERE {value} IS NULL" if low is None else None,
            )
        ]  # fmt: skip
