"""Conditions over a row written as data, ``{field, operator, value}``, for those who would not write SQL."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.spec import Spec
from dataflow_platform.core.sql import literal_as_written, quote

Operator = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "between", "contains", "starts_with", "ends_with", "matches",
    "is_null", "is_not_null",
]  # fmt: skip
Value = bool | int | float | datetime | date | str
_COMPARED = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_CALLED = {
    "contains": "contains",
    "starts_with": "starts_with",
    "ends_with": "ends_with",
    "matches": "regexp_full_match",
}
_NULLS = {"is_null": "IS NULL", "is_not_null": "IS NOT NULL"}
_LISTS = {"in": "a list of values", "not_in": "a list of values", "between": "a list of two values: [least, greatest]"}


class Comparison(Spec):
    """One field compared with values."""

    field: str = Field(description="The column.")
    operator: Operator = Field(
        description="`eq`, `ne`, `gt`, `gte`, `lt`, `lte`; `in`, `not_in`; `between` (both ends count); `contains`, "
        "`starts_with`, `ends_with`, `matches` (a regular expression for the whole text); `is_null`, `is_not_null`."
    )
    value: Value | list[Value] | None = Field(
        default=None,
        description="What is compared with: one value; a list for `in`, `not_in` and `between`; none for the last two.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Comparison":
        quote(self.field)
        listed = isinstance(self.value, list)
        wanted = _LISTS.get(self.operator) or ("no value" if self.operator in _NULLS else "one value")
        fits = listed if self.operator in _LISTS else self.value is None if self.operator in _NULLS else not listed
        if self.operator == "between":
            fits = listed and len(self.value) == 2  # type: ignore[arg-type]
        if self.operator in _CALLED:
            wanted, fits = "a text", isinstance(self.value, str)
        if not fits or (self.value in (None, []) and self.operator not in _NULLS):
            raise ConfigError(
                "condition.value", f"`{self.operator}` takes {wanted}", where="value",
                fix="NULL is asked for by `is_null` or `is_not_null`" if self.value is None else f"write {wanted}",
            )  # fmt: skip
        return self

    def sql(self) -> str:
        """The condition as a SQL expression."""
        name = quote(self.field)
        values: list[object] = [*self.value] if isinstance(self.value, list) else [self.value]
        written = [literal_as_written(value) for value in values]
        if self.operator in _COMPARED:
            return f"{name} {_COMPARED[self.operator]} {written[0]}"
        if self.operator in _CALLED:
            return f"{_CALLED[self.operator]}({name}, {written[0]})"
        if self.operator in _NULLS:
            return f"{name} {_NULLS[self.operator]}"
        if self.operator == "between":
            return f"{name} BETWEEN {written[0]} AND {written[1]}"
        return f"{name} {'NOT ' if self.operator == 'not_in' else ''}IN ({', '.join(written)})"


class AllOf(Spec):
    """Every one of several conditions."""

    and_: "list[Condition]" = Field(alias="and", min_length=1, description="Conditions that all have to be true.")

    def sql(self) -> str:
        """The conditions joined by AND."""
        return " AND ".join(f"({each.sql()})" for each in self.and_)


class AnyOf(Spec):
    """At least one of several conditions."""

    or_: "list[Condition]" = Field(alias="or", min_length=1, description="Conditions of which one has to be true.")

    def sql(self) -> str:
        """The conditions joined by OR."""
        return " OR ".join(f"({each.sql()})" for each in self.or_)


class Negated(Spec):
    """The opposite of a condition; of NULL it is NULL, as in SQL."""

    not_: "Condition" = Field(alias="not", description="The condition that has to be false.")

    def sql(self) -> str:
        """The condition behind NOT."""
        return f"NOT ({self.not_.sql()})"


def _form(value: Any) -> str:
    """Which of the forms something is meant to be, by the name of its model."""
    known: dict[str, type[Spec]] = {"and": AllOf, "or": AnyOf, "not": Negated}
    if isinstance(value, dict):
        return next((form for word, form in known.items() if word in value), Comparison).__name__
    return type(value).__name__ if isinstance(value, tuple(known.values())) else Comparison.__name__


def _form_or_sql(value: Any) -> str:
    return "sql" if isinstance(value, str) else _form(value)


_Comparison = Annotated[Comparison, Tag("Comparison")]
_AllOf = Annotated[AllOf, Tag("AllOf")]
_AnyOf = Annotated[AnyOf, Tag("AnyOf")]
_Negated = Annotated[Negated, Tag("Negated")]
Condition = Annotated[_Comparison | _AllOf | _AnyOf | _Negated, Discriminator(_form)]
SqlOrCondition = Annotated[
    Annotated[str, Tag("sql")] | _Comparison | _AllOf | _AnyOf | _Negated, Discriminator(_form_or_sql)
]
"""A SQL expression, or a condition as data."""
TAGS = frozenset({"sql", "Comparison", "AllOf", "AnyOf", "Negated"})
"""Words in the place of a validation error that nobody wrote."""
for _model in (AllOf, AnyOf, Negated):
    _model.model_rebuild()
