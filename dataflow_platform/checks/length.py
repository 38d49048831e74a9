"""Check ``length``."""

from collections.abc import Sequence

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, family, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Claim, Column, Rule
from dataflow_platform.core.errors import ConfigError


class Length(RowCheck):
    """Texts with so many characters, or lists with so many elements."""

    column: str = Field(description="The column, of text or of lists. NULL breaks nothing; add not_null for that.")
    min: int | None = Field(default=None, ge=0, description="The fewest characters or elements.")
    max: int | None = Field(default=None, ge=0, description="The most characters or elements.")
    exact: int | None = Field(default=None, ge=0, description="So many, neither more nor fewer.")

    @model_validator(mode="after")
    def _check(self) -> "Length":
        fault = None
        if self.exact is None and self.min is None and self.max is None:
            fault = "length needs min, max or exact"
        elif self.exact is not None and (self.min is not None or self.max is not None):
            fault = "length takes exact, or min and max"
        elif self.min is not None and self.max is not None and self.min > self.max:
            fault = f"min {self.min} is above max {self.max}"
        if fault:
            raise ConfigError("check.bounds", fault, where="min", fix="write min: 1 and max: 40, or exact: 2")
        return self

    def names(self) -> list[str]:
        """``length_<column>``."""
        return rule_names(self, [f"length_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The bounds of the length."""
        low, high = (self.min, self.max) if self.exact is None else (self.exact, self.exact)
        return [Claim(self.names()[0], f"the length of {self.column}", low, high)]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        if family(column.type) != "text" and not column.type.endswith("]"):
            raise ConfigError(
                "check.type", f"column '{column.name}' is {column.type}, neither text nor list", where=column.name,
                fix="cast the column to varchar first",
            )  # fmt: skip
        length = f"length({sql.quote(column.name)})"
        if self.exact is not None:
            bad, words = [f"{length} <> {self.exact}"], str(self.exact)
        else:
            bad = [f"{length} {sign} {edge}" for sign, edge in (("<", self.min), (">", self.max)) if edge is not None]
            words = f"at least {self.min}" if self.max is None else f"at most {self.max}"
            words = f"{self.min} to {self.max}" if None not in (self.min, self.max) else words
        of = "characters" if family(column.type) == "text" else "elements"
        message = f"{column.name} has not {words} {of}"
        return [rule(self, self.names()[0], message, column=column.name, violation=" OR ".join(bad))]
