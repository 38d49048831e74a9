"""Transformation ``window``."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import expression, ordering
from dataflow_platform.core.projection import chosen, found, names_of, refuse_known
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect

_PLACES = ("rank", "dense_rank", "percent_rank", "cume_dist")
_NEIGHBOURS = ("lag", "lead")
_SUMS = ("sum", "avg", "min", "max", "count", "stddev", "median", "first_value", "last_value")
_NEW_SESSION = "_dataflow_new_"
Function = Literal[
    "rank", "dense_rank", "percent_rank", "cume_dist", "row_number", "ntile", "lag", "lead", "sum", "avg", "min", "max",
    "count", "stddev", "median", "first_value", "last_value", "session",
]  # fmt: skip


class WindowColumn(Spec):
    """One column computed over rows beside the own one."""

    shorthand: ClassVar[str | None] = "function"

    function: Function = Field(
        description="`rank`, `dense_rank`, `percent_rank`, `cume_dist`, `row_number`, `ntile`: the row's place; `lag`, "
        "`lead`: the value of a row before or behind; `sum`, `avg`, `min`, `max`, `count`, `stddev`, `median`, "
        "`first_value`, `last_value`: over the rows up to this one; `session`: the number of the row's session, from "
        "1, where a session ends once nothing happens for longer than `gap`."
    )
    of: str | None = Field(default=None, description="The column it looks at.")
    rows: int | None = Field(
        default=None,
        ge=1,
        description="A sum or its like over this row and those before, so many in all; all if absent.",
    )
    within: str | None = Field(
        default=None,
        description="Instead of `rows`: over the rows whose `order` lies within this of the own, such as "
        "`interval 7 days` or `100`; `order` is one column then.",
    )
    offset: int = Field(default=1, ge=1, description="How many rows before or behind, of `lag` and `lead`.")
    default: bool | int | float | str | None = Field(
        default=None, description="The value of `lag` and `lead` where there is no such row."
    )
    parts: int | None = Field(default=None, ge=1, description="How many parts `ntile` makes.")
    gap: str | None = Field(
        default=None, description="How long nothing happens before a session ends: `interval 30 minutes`, or a number."
    )

    @model_validator(mode="after")
    def _check(self) -> "WindowColumn":
        summed, beside = self.function in _SUMS, self.function in _NEIGHBOURS
        needs_of = (summed and self.function != "count") or beside or self.function == "session"
        for wrong, field, words in (
            (needs_of and self.of is None, "of", "needs the column it looks at"),
            (not needs_of and not summed and self.of is not None, "of", "looks at no column"),
            (not summed and (self.rows or self.within) is not None, "rows" if self.rows else "within", "has no frame"),
            (self.rows is not None and self.within is not None, "within", "has rows or within, not both"),
            ((self.function == "ntile") != (self.parts is not None), "parts", "goes with `parts`, and only ntile does"),
            ((self.function == "session") != (self.gap is not None), "gap", "goes with `gap`, and only session does"),
            (not beside and (self.default is not None or self.offset != 1), "offset", "has no offset and no default"),
        ):
            if wrong:
                raise ConfigError(
                    "window.column", f"{self.function} {words}", where=field, fix="see the fields of `window`"
                )
        for amount in (self.within, self.gap):
            if amount is not None:
                expression(amount, columns=[], scope="row")
        return self


class Window(Spec, Transformation):
    """Computes columns over rows beside the own one: places, neighbours, running and moving sums, sessions."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    by: list[str] = Field(
        default_factory=list, description="Rows with equal values of these belong together; all if absent."
    )
    order: str = Field(
        description="How those rows follow each other, such as `ordered_at, id desc`. NULLs come last. Rows that tie "
        "are ordered by all their columns, except for places and `within`, where ties are ties."
    )
    columns: dict[str, WindowColumn] = Field(
        min_length=1,
        description="New column to a function, such as `place: rank`, or to its fields, such as "
        "`week: {function: sum, of: amount, rows: 7}`.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Window":
        ordering(self.order)
        for name in self.columns:
            quote(name)
        return self

    @property
    def needs_all(self) -> bool:
        """A place among the rows of one batch is none."""
        return True

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns`` and the new ones."""
        refuse_known(self.columns, columns, "window")
        names = names_of(columns)
        made = [f"input.{quote(name)} AS {quote(name)}" for name in names]
        made += [f"{self._value(name, one, columns)} AS {quote(name)}" for name, one in self.columns.items()]
        begun = list(self._begun(columns))
        source = f"(SELECT input.*, {', '.join(begun)} FROM input) AS input" if begun else "input"
        return f"SELECT {', '.join(made)} FROM {source}"

    def _value(self, name: str, one: WindowColumn, columns: Sequence[Column]) -> str:
        ties, of = one.function in _PLACES or one.within is not None, ""
        if one.of is not None:
            of = quote(found(one.of, columns).name)
        if one.function == "session":
            return f"CAST(1 + sum({quote(_NEW_SESSION + name)}) OVER ({self._over(columns, of)}) AS BIGINT)"
        if one.function in _NEIGHBOURS:
            of += f", {one.offset}" + (f", {literal(one.default)}" if one.default is not None else "")
        argument = str(one.parts) if one.function == "ntile" else of or ("*" if one.function == "count" else "")
        frame = ""
        if one.rows is not None:
            frame = f" ROWS BETWEEN {one.rows - 1} PRECEDING AND CURRENT ROW"
        elif one.within is not None:
            within = expression(one.within, columns=[], scope="row")
            frame = f" RANGE BETWEEN {within} PRECEDING AND CURRENT ROW"
        elif one.function in _SUMS:
            frame = " ROWS UNBOUNDED PRECEDING"
        over = self._over(columns, None, ties)
        return f"{one.function}({argument}) OVER ({over}{frame})"

    def _over(self, columns: Sequence[Column], first: str | None, ties: bool = False) -> str:
        names = names_of(columns)
        by = ", ".join(quote(each.name) for each in chosen(self.by, columns, "window"))
        order = [first] if first else []
        order += [ordering(self.order, columns=names)] + ([] if ties else sorted(map(quote, names)))
        return f"{f'PARTITION BY {by} ' if by else ''}ORDER BY {', '.join(order)}"

    def _begun(self, columns: Sequence[Column]) -> Iterator[str]:
        """Whether a row begins a session, for those that are asked for: what a sum over the rows counts."""
        for name, one in self.columns.items():
            if one.gap is not None and one.of is not None:
                of, gap = quote(found(one.of, columns).name), expression(one.gap, columns=[], scope="row")
                before = f"lag({of}) OVER ({self._over(columns, of)})"
                yield f"CAST(coalesce({of} - {before} > {gap}, FALSE) AS INTEGER) AS {quote(_NEW_SESSION + name)}"
