"""Transformation ``join``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.core import key_lookup
from dataflow_platform.core.base import Column, Promise, Rows, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import names_of, refuse_known
from dataflow_platform.core.sql import find_column, qualified, quote
from dataflow_platform.core.table_name import TableName
from dataflow_platform.core.transformation import EVERYWHERE, Dialect


class Join(Spec, Transformation):
    """Looks each row up in another table of the destination: takes columns of it, or keeps rows by it."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE

    table: TableName = Field(description="The other table, as `schema.table`.")
    by: list[str] | dict[str, str] = Field(
        min_length=1,
        description="The columns that have to be equal: names both have, or own name to the other's, such as "
        "`{carrier: iata}`. NULL equals nothing.",
    )
    as_of: dict[str, str] = Field(
        default_factory=dict,
        max_length=1,
        description="Own column to the other's, such as `{booked_at: valid_from}`: of the rows with equal keys the "
        "last that is not after the own value.",
    )
    how: Literal["left", "inner", "semi", "anti"] = Field(
        default="left",
        description="`left`: every row stays, with NULL where there is no match; `inner`: only rows with a match; "
        "`semi`: likewise, and nothing is taken; `anti`: only rows without a match.",
    )
    columns: list[str] | dict[str, str] = Field(
        default_factory=list, description="The other's columns to take, or its name to a new one."
    )
    matches: Literal["one", "many"] = Field(
        default="one",
        description="`one`: the other table has a key once at most, else nothing is loaded; `many`: a row becomes as "
        "many as it has matches.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Join":
        takes = self.how in ("left", "inner")
        if takes != bool(self.columns):
            fix = "name them: columns: [name]" if takes else "leave `columns` out, or join left or inner"
            what = "names no columns to take" if takes else "takes no columns"
            raise ConfigError("join.columns", f"a join by `{self.how}` that {what}", where="columns", fix=fix)
        if self.as_of and (not takes or self.matches == "many"):
            raise ConfigError(
                "join.as_of", "as_of finds one match: it goes with left or inner and matches: one", where="as_of",
                fix="leave as_of out, or the other setting",
            )  # fmt: skip
        return self

    @property
    def rows(self) -> Rows:
        """As many as there are matches."""
        if self.how in ("semi", "anti"):
            return "fewer"
        if self.matches == "many":
            return "more"
        return "same" if self.how == "left" else "fewer"

    def upstream(self) -> tuple[str, ...]:
        """The other table."""
        return (self.table,)

    def promises(self) -> tuple[Promise, ...]:
        """No key twice, where one match was promised."""
        if self.matches == "many" or self.as_of or self.how in ("semi", "anti"):
            return ()
        twice = key_lookup.twice(self._other, key_lookup.pairs(self.by).values())
        fix = "correct the table, join by more columns, or say matches: many"
        return (Promise(twice, f"{self.table} has a key more than once, and the join promises matches: one", fix),)

    @property
    def _other(self) -> str:
        return qualified(*self.table.split("."))

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and those that were taken."""
        others = names_of(tables[self.table])
        same = key_lookup.compared(self.by, "=", columns, others)
        same += key_lookup.compared(self.as_of, ">=", columns, others)
        kept = [f"input.{quote(column.name)} AS {quote(column.name)}" for column in columns]
        if self.how in ("semi", "anti"):
            exists = f"EXISTS (SELECT 1 FROM {self._other} AS other WHERE {' AND '.join(same)})"
            return f"SELECT {', '.join(kept)} FROM input WHERE {'NOT ' if self.how == 'anti' else ''}{exists}"
        taken = key_lookup.pairs(self.columns)
        refuse_known(taken.values(), columns, "join")
        kept += [f"other.{quote(find_column(other, others))} AS {quote(new)}" for other, new in taken.items()]
        word = f"{'ASOF ' if self.as_of else ''}{self.how.upper()} JOIN"
        return f"SELECT {', '.join(kept)} FROM input {word} {self._other} AS other ON {' AND '.join(same)}"
