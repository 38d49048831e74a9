"""Check ``schema``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import FAMILIES, fact, is_of, rule, rule_names
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import data_type


class Schema(Check):
    """The columns a load brings, with their types and order."""

    dimension: ClassVar[Dimension] = "consistency"

    columns: dict[str, str | None] | list[str] = Field(
        min_length=1,
        description="The columns that must be there: names, or names with types as in the check `type` "
        "(`{year: integer, carrier: text, note: }`).",
    )
    order: bool = Field(default=False, description="True where they must come in this order.")
    only: bool = Field(default=False, description="True where no other column may be there.")

    @model_validator(mode="after")
    def _check(self) -> "Schema":
        for kind in self._wanted().values():
            if kind is not None and kind.lower() not in FAMILIES:
                data_type(kind)
        folded = [name.lower() for name in self.columns]
        if len(set(folded)) < len(folded):
            twice = next(name for name in folded if folded.count(name) > 1)
            raise ConfigError("check.columns", f"'{twice}' is listed twice", where="columns", fix="list it once")
        return self

    def _wanted(self) -> dict[str, str | None]:
        return dict(self.columns) if isinstance(self.columns, dict) else dict.fromkeys(self.columns)

    def names(self) -> list[str]:
        """``schema``."""
        return rule_names(self, ["schema"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the columns; it fails by the number of differences."""
        wanted = self._wanted()
        found = {column.name.lower(): column for column in columns}
        faults = [f"{name} is missing" for name in wanted if name.lower() not in found]
        for name, kind in wanted.items():
            column = found.get(name.lower())
            if column is not None and kind is not None and not is_of(column.type, kind):
                faults.append(f"{column.name} is {column.type}, not {kind}")
        known = {name.lower() for name in wanted}
        if self.only:
            faults += [f"{column.name} is not expected" for column in columns if column.name.lower() not in known]
        if self.order:
            listed = [name.lower() for name in wanted if name.lower() in found]
            there = [name for name in found if name in known]
            faults += [f"the order is {', '.join(found[name].name for name in there)}"] if listed != there else []
        sentence = "; ".join(faults) or f"{len(columns)} columns as expected"
        return [rule(self, self.names()[0], "the columns are not those expected", verdict=fact(len(faults), sentence))]
