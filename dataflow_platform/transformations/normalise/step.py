"""The step: its columns, and the SELECT that brings them into their forms."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core.base import Column, EngineFunction, Tables, Transformation
from dataflow_platform.core.distinct_values import per_distinct
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import found, refuse_twice
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import failing, flag
from dataflow_platform.transformations.normalise.forms import BY_VALUE, AsDate, AsMinMax, AsZScore, ByValue, Form

_MADE = "_dataflow_normal_"
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE")


class Normalise(RootModel[dict[str, Form]], Transformation):
    """Brings values into one form: dates, phone numbers, countries, currencies, addresses of mail and web, numbers."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, Form] = Field(
        min_length=1,
        description="Column to the form its values get in place, such as `phone: {as: phone, region: DE}`. Texts are "
        "taken without blanks around them.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Normalise":
        refuse_twice(self.root, "normalise")
        return self

    @property
    def needs_all(self) -> bool:
        """A number's place among all rows is known when all are there."""
        return any(isinstance(form, AsMinMax | AsZScore) for form in self.root.values())

    def rules(self) -> Mapping[str, str]:
        """``normalise_<column>`` for each column whose misfits go to quarantine."""
        judged = {name: form for name, form in self.root.items() if _misfit(form) == "quarantine"}
        return {f"normalise_{name.lower()}": f"{name} is no {form.as_}" for name, form in judged.items()}

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """One for each column whose form a library knows."""
        return tuple(
            EngineFunction(f"normalise_{place}", ("VARCHAR",), "VARCHAR", per_distinct(_stripped(form), _text))
            for place, form in enumerate(self.root.values())
            if isinstance(form, BY_VALUE)
        )

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns``, in their forms, and of the flags; each form is made once, in a query below."""
        below, made, flags = [], {}, []
        for place, (name, form) in enumerate(self.root.items()):
            column = found(name, columns)
            _refuse_unfit(column, form)
            below.append(f"{_formed(f'input.{quote(column.name)}', form, place)} AS {_MADE}{place}")
            result, misfit = f"input.{_MADE}{place}", _misfit(form)
            failed = f"input.{quote(column.name)} IS NOT NULL AND {result} IS NULL"
            if misfit == "quarantine":
                flags.append(f"{failed} AS {quote(flag(f'normalise_{name.lower()}'))}")
            elif misfit == "fail":
                said = failing(f"a value of {column.name} is no {form.as_}")
                result = f"CASE WHEN {failed} THEN {said} ELSE {result} END"
            made[column.name] = result
        kept = [f"{made.get(each.name, f'input.{quote(each.name)}')} AS {quote(each.name)}" for each in columns]
        inner = f"SELECT input.*, {', '.join(below)} FROM input"
        return f"SELECT {', '.join([*kept, *flags])} FROM ({inner}) AS input"


def _misfit(form: Form) -> str | None:
    return None if isinstance(form, AsMinMax | AsZScore) else form.misfit


def _refuse_unfit(column: Column, form: Form) -> None:
    numbers = isinstance(form, AsMinMax | AsZScore)
    is_number = column.type in _NUMBERS or column.type.startswith(("DECIMAL", "U"))
    if (numbers and not is_number) or (not numbers and column.type != "VARCHAR"):
        raise ConfigError(
            "column.type",
            f"{form.as_} is made of {'numbers' if numbers else 'texts'}, column '{column.name}' is {column.type}",
            where=column.name, fix="leave it out, or cast it in a step before",
        )  # fmt: skip


def _formed(value: str, form: Form, place: int) -> str:
    if isinstance(form, AsMinMax):
        number = f"CAST({value} AS DOUBLE)"
        least, greatest = f"min({number}) OVER ()", f"max({number}) OVER ()"
        return (
            f"CASE WHEN {greatest} = {least} THEN {number} * 0 ELSE ({number} - {least}) / ({greatest} - {least}) END"
        )
    if isinstance(form, AsZScore):
        number = f"CAST({value} AS DOUBLE)"
        spread = f"stddev_pop({number}) OVER ()"
        return f"CASE WHEN {spread} = 0 THEN {number} * 0 ELSE ({number} - avg({number}) OVER ()) / {spread} END"
    if isinstance(form, AsDate):
        return _date(f"trim({value})", form)
    return f"normalise_{place}({value})"


def _date(text: str, form: AsDate) -> str:
    read = [_read_by(text, each) for each in form.formats]
    first = f"coalesce({', '.join(read)})"
    if form.ambiguous == "first" or len(read) == 1:
        return first
    return f"CASE WHEN len(list_distinct([{', '.join(read)}])) = 1 THEN {first} END"


def _read_by(text: str, pattern: str) -> str:
    read = f"CAST(try_strptime({text}, {literal(pattern)}) AS DATE)"
    # DuckDB reads 24 by %Y as the year 24.
    return f"CASE WHEN year({read}) >= 1000 THEN {read} END" if "%Y" in pattern else read


def _stripped(form: ByValue) -> Any:
    return partial(_convert, form.converter())


def _convert(convert: Any, text: str) -> str | None:
    stripped: str | None = convert(text.strip())
    return stripped


def _text() -> Any:
    import pyarrow as pa

    return pa.string()
