"""Transformation ``fill``."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import ordering
from dataflow_platform.core.projection import chosen, names_of, projected
from dataflow_platform.core.transformation import EVERYWHERE, Dialect

Statistic = Literal["mean", "median", "mode", "min", "max"]
_SETTINGS = "value, from_row or statistic"


class Fill(Spec, Transformation):
    """Puts a value in the place of NULL: a constant, that of a neighbouring row, or a statistic of the column."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    columns: list[str] = Field(min_length=1, description="The columns to fill.")
    value: bool | int | float | datetime | date | str | None = Field(
        default=None, description="A constant; it has to fit the type of every column that is listed."
    )
    from_row: Literal["previous", "next"] | None = Field(
        default=None, description="The nearest value before (or behind) in the `order`; NULL stays where there is none."
    )
    statistic: Statistic | None = Field(
        default=None,
        description="Computed over the rows of the batch. The mean of whole numbers is a double, and so is the column "
        "then; so is the median.",
    )
    order: str | None = Field(
        default=None, description="The order of the rows for `from_row`, such as `measured_at`. Ties: all columns."
    )
    by: list[str] = Field(
        default_factory=list, description="Rows are neighbours, or counted, only where these columns are equal."
    )

    @model_validator(mode="after")
    def _check(self) -> "Fill":
        given = [each for each in (self.value, self.from_row, self.statistic) if each is not None]
        if len(given) != 1:
            raise ConfigError(
                "fill.with", f"fill takes one of {_SETTINGS}, this has {len(given)}", fix="keep one, such as value: 0"
            )
        if (self.from_row is None) != (self.order is None):
            raise ConfigError(
                "fill.order", "`order` and `from_row` belong together", where="order",
                fix="say in which order rows follow one another: order: measured_at",
            )  # fmt: skip
        if self.order is not None:
            ordering(self.order)
        return self

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns``, the wanted ones filled in place."""
        wanted, by = chosen(self.columns, columns, "fill"), chosen(self.by, columns, "fill.by")
        groups = f"PARTITION BY {', '.join(sql.quote(column.name) for column in by)}" if by else ""
        made = {
            column.name: f"coalesce({sql.quote(column.name)}, {self._other(column, columns, groups)})"
            for column in wanted
        }
        return projected(columns, made)

    def _other(self, column: Column, columns: Sequence[Column], groups: str) -> str:
        name = sql.quote(column.name)
        if self.statistic is not None:
            function = {"mean": "avg"}.get(self.statistic, self.statistic)
            return f"{function}({name}) OVER ({groups})"
        if self.order is None:
            return f"CAST({sql.literal_as_written(self.value)} AS {column.type})"
        names = names_of(columns)
        order = ", ".join([ordering(self.order, columns=names), *sorted(map(sql.quote, names))])
        function, rows = (
            ("last_value", "UNBOUNDED PRECEDING AND CURRENT ROW")
            if self.from_row == "previous"
            else ("first_value", "CURRENT ROW AND UNBOUNDED FOLLOWING")
        )
        return f"{function}({name} IGNORE NULLS) OVER ({groups} ORDER BY {order} ROWS BETWEEN {rows})"
