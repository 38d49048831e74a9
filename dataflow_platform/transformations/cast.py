"""Transformation ``cast``."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, RootModel, ValidationError, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.projection import found, projected, refuse_twice
from dataflow_platform.core.transformation import EVERYWHERE, Dialect, flag

_WITH_FORMAT = ("DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ")


class CastTo(Spec):
    """What a column is cast to."""

    shorthand: ClassVar[str | None] = "type"

    type: str = Field(description="A DuckDB type, such as `decimal(18, 2)` or `varchar[]`.")
    format: str | None = Field(
        default=None,
        description="How a text says a date, time or timestamp, such as `%d.%m.%Y %H:%M`; ISO 8601 if absent.",
    )
    misfit: Literal["fail", "quarantine", "null"] = Field(
        default="fail",
        description="What becomes of a value that is none of the type: the run fails, the row goes to quarantine, or "
        "the value becomes NULL.",
    )

    @model_validator(mode="after")
    def _check(self) -> "CastTo":
        kind = data_type(self.type)
        if self.format is not None and kind not in _WITH_FORMAT:
            raise ConfigError(
                "cast.format", f"a {self.type} has no format", where="format",
                fix="leave it out: it is for date, time, timestamp and timestamptz",
            )  # fmt: skip
        return self


class Cast(RootModel[dict[str, CastTo]], Transformation):
    """Changes the types of columns."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    model_config = ConfigDict(frozen=True)

    root: dict[str, CastTo] = Field(
        min_length=1,
        description="Column name to DuckDB type, such as `price: decimal(18, 2)`, or to `{type, format, misfit}`. "
        "Without `misfit` the cast is strict: a value that does not fit fails the run.",
    )

    @model_validator(mode="before")
    @classmethod
    def _place(cls, value: object) -> object:
        """An error of one column is placed at that column."""
        for name, to in value.items() if isinstance(value, dict) else ():
            try:
                CastTo.model_validate(to)
            except ConfigError as error:
                raise error.at(Location(path=str(name))) from None
            except ValidationError:
                continue  # said once more, with its place
        return value

    @model_validator(mode="after")
    def _check(self) -> "Cast":
        refuse_twice(self.root, "cast")
        return self

    def rules(self) -> Mapping[str, str]:
        """``cast_<column>`` for each column whose misfits go to quarantine."""
        judged = {name: to for name, to in self.root.items() if to.misfit == "quarantine"}
        return {f"cast_{name.lower()}": f"{name} is no {_said(to)}" for name, to in judged.items()}

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns``, cast in place, and of the flags."""
        made = {}
        for name, to in self.root.items():
            value = sql.quote(found(name, columns).name)
            made[name] = _cast(value, to)
            if to.misfit == "quarantine":
                made[flag(f"cast_{name.lower()}")] = f"{value} IS NOT NULL AND {made[name]} IS NULL"
        return projected(columns, made)


def _cast(value: str, to: CastTo) -> str:
    kind, tried = data_type(to.type), "" if to.misfit == "fail" else "TRY_"
    if to.format is None:
        return f"{tried}CAST({value} AS {kind})"
    return f"{tried}CAST({tried.lower()}strptime({value}, {sql.literal(to.format)}) AS {kind})"


def _said(to: CastTo) -> str:
    return f"{to.type} written as {to.format}" if to.format else to.type
