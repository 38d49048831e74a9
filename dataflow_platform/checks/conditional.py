"""Check ``conditional``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from dataflow_platform.checks import RowCheck, rule_names, words_of
from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.expression import columns_used, expression
from dataflow_platform.core.sql import find_column


class Conditional(RowCheck):
    """Of the rows for which something is true, something else must be true as well."""

    dimension: ClassVar[Dimension] = "consistency"

    when: str = Field(description="SQL expression that chooses the rows, such as `country = 'US'`.")
    then: str | dict[str, Any] = Field(
        description="What must hold of them: a SQL expression, such as `zip is not null`, or one check of single rows, "
        "such as `{matches: {column: zip, pattern: '[0-9]{5}'}}`."
    )

    @model_validator(mode="after")
    def _check(self) -> "Conditional":
        expression(self.when, scope="row")
        inner = self._inner()
        if not isinstance(inner, RowCheck):
            raise ConfigError(
                "check.conditional", "`then` takes a check of single rows", where="then",
                fix="write a SQL expression, or a check such as not_null, in_range, matches, format",
            )  # fmt: skip
        own = sorted(inner.model_fields_set & RowCheck.model_fields.keys())
        if own:
            raise ConfigError(
                "check.conditional", f"'{own[0]}' is said of the whole check, not below `then`", where="then",
                fix=f"write {own[0]} beside when and then",
            )  # fmt: skip
        return self

    def _inner(self) -> Check:
        then = {"expression": {"sql": self.then}} if isinstance(self.then, str) else self.then
        if len(then) != 1:
            raise ConfigError(
                "check.conditional", f"`then` takes one check, this is {len(then)}", where="then",
                fix="write a check for each, with the same `when`",
            )  # fmt: skip
        ((name, value),) = then.items()
        place = Location(path="then" if isinstance(self.then, str) else f"then.{name}")
        try:
            made: Check = registry.check(name).model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise ConfigError(
                "value.type", f"'{name}.{field}': {first['msg']}", where=place, fix="see docs/checks.md"
            ) from None
        except DataflowError as error:
            raise error.at(place) from None
        return made

    def names(self) -> list[str]:
        """The name of the inner check, ``_when_`` and the condition in words."""
        inner = self._inner().names()
        return rule_names(self, [f"{words_of(name)}_when_{words_of(self.when)}" for name in inner], inner)

    def upstream(self) -> tuple[str, ...]:
        """The tables the inner check reads."""
        return self._inner().upstream()

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """The rules of the inner check, for rows that meet the condition."""
        names = [column.name for column in columns]
        condition = expression(self.when, columns=names, scope="row")
        used = {find_column(name, names) for name in columns_used(self.when)}
        at_most, is_share = self.tolerance()
        return [
            replace(
                inner, name=name, message=f"{inner.message}, where {self.when}", severity=self.severity,
                # CASE, because only CASE keeps the rest from being computed where the condition does not hold.
                violation=f"(CASE WHEN {condition} THEN {inner.violation} ELSE FALSE END)",
                at_most=at_most, at_most_is_share=is_share, description=self.description, owner=self.owner,
                column=None, quarantines=self.scope == "row",
                shows=tuple(name for name in names if name in {*used, *inner.shows}),
            )
            for name, inner in zip(self.names(), self._inner().rules(columns), strict=True)
        ]  # fmt: skip
