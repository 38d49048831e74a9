"""Check ``type``."""

import re
from collections.abc import Sequence

from pydantic import Field, model_validator

from dataflow_platform.checks import (
    FAMILIES,
    RowCheck,
    column_of,
    fact,
    family,
    is_of,
    require_text,
    rule,
    rule_names,
)
from dataflow_platform.core import sql
from dataflow_platform.core.base import Claim, Column, Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import data_type

_READ = {"integer": "HUGEINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}
_WHOLE = "[+-]?[0-9]+"
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_FORMS = {
    "integer": _WHOLE,
    "float": _NUMBER,
    "date": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?",
    "boolean": "(?i:true|false)",
}


class Type(RowCheck):
    """A column of a type, or a text column whose every value reads as one of a type."""

    column: str = Field(description="The column.")
    is_: str | None = Field(
        default=None,
        alias="is",
        description="What the column itself is: `integer` (of whatever size), `number`, `text`, `boolean`, `date`, "
        "`timestamp`, `time`, `binary`, or exactly one type of DuckDB, such as `bigint` or `decimal(18, 2)`.",
    )
    reads_as: str | None = Field(
        default=None,
        description="What each text of the column reads as: `integer`, `number`, `boolean` (true, false), `date` "
        "(2013-01-31), `timestamp` (2013-01-31 12:00:00), or a type of DuckDB that must hold it without loss, such as "
        "`smallint` or `decimal(18, 2)`. NULL breaks nothing.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Type":
        if (self.is_ is None) == (self.reads_as is None):
            raise ConfigError(
                "check.type", "type takes `is` or `reads_as`", where="is", fix="write is: integer or reads_as: integer"
            )
        if self.is_ is not None and self.is_.lower() not in FAMILIES:
            data_type(self.is_)
        if self.reads_as is not None and self.reads_as not in _READ:
            data_type(self.reads_as)
        return self

    def names(self) -> list[str]:
        """``type_<column>``."""
        return rule_names(self, [f"type_{self.column}"])

    def claims(self) -> Sequence[Claim]:
        """The kinds of types that are left."""
        if self.is_ is None:
            return []
        word = self.is_.lower()
        kinds = {"number": {"integer", "float", "decimal"}}.get(word, {word if word in FAMILIES else family(self.is_)})
        return [Claim(self.names()[0], f"the type of {self.column}", values=frozenset(kinds))]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule: of the column, or of each row."""
        column = column_of(self.column, columns)
        if self.is_ is not None:
            holds = is_of(column.type, self.is_)
            sentence = f"{column.name} is {column.type}" + ("" if holds else f", not {self.is_}")
            message = f"{column.name} is not of type {self.is_}"
            return [rule(self, self.names()[0], message, column=column.name, verdict=fact(0 if holds else 1, sentence))]
        require_text(column)
        assert self.reads_as is not None
        message = f"{column.name} does not read as {self.reads_as}"
        violation = f"NOT ({reads(sql.quote(column.name), self.reads_as)})"
        return [rule(self, self.names()[0], message, column=column.name, violation=violation)]


def reads(value: str, kind: str) -> str:
    """SQL: the text ``value`` stands for exactly one value of ``kind``; NULL where it is NULL."""
    exact = _READ.get(kind) or data_type(kind)
    cast = f"{value} IS NULL OR TRY_CAST({value} AS {exact}) IS NOT NULL"
    group = family(exact)
    form = _FORMS.get(group)
    if group == "decimal":
        # A cast rounds what has more digits than the type.
        scale = int((re.findall(r"\d+", exact) or ["18", "3"])[-1])
        form = rf"[+-]?(?:[0-9]+(?:\.[0-9]{{0,{scale}}}0*)?|\.[0-9]{{1,{scale or 1}}}0*)"
    return f"({cast})" + (f" AND regexp_full_match({value}, {sql.literal(form)})" if form else "")
