"""Transformation ``child_rows``."""

from collections.abc import Sequence

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Rows, Tables, Transformation
from dataflow_platform.core.child_list import ChildList
from dataflow_platform.core.errors import ConfigError, did_you_mean
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.projection import found, refuse_known
from dataflow_platform.core.sql import quote

_ELEMENT, _PLACE = "_dataflow_element", "_dataflow_place"


class ChildRows(ChildList, Transformation):
    """Makes the rows of a child table: one for each element of a list, with the keys of the row it stood in."""

    keys: list[str] | dict[str, str] = Field(
        min_length=1,
        description="The parent's columns that go along: names, or names to new ones, such as `{id: order_id}`.",
    )
    value: str = Field(default="value", description="The column for elements that are no structures.")

    @model_validator(mode="after")
    def _check(self) -> "ChildRows":
        if self.type is not None and not data_type(self.type).endswith("]"):
            raise ConfigError("child_rows.type", f"{self.type} is no list", where="type", fix="end it with []")
        if '"' in self.of:
            raise ConfigError("child_rows.of", "a name with a quotation mark", where="of", fix="rename it first")
        return self

    @property
    def rows(self) -> Rows:
        """One becomes several, or none."""
        return "more"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of keys, position and the fields of the element."""
        items, kind = self._list(columns)
        names = self.keys if isinstance(self.keys, dict) else {key: key for key in self.keys}
        made = [(new, f"input.{quote(found(key, columns).name)}") for key, new in names.items()]
        inner = [f"unnest({items}) AS {_ELEMENT}"]
        if self.position:
            made.append((self.position, f"input.{_PLACE}"))
            inner.append(f"generate_subscripts({items}, 1) AS {_PLACE}")
        fields = _fields(kind[:-2]) if kind.endswith("[]") else []
        made += [(field, f"struct_extract(input.{_ELEMENT}, {_text(field)})") for field in fields]
        if not fields:
            made.append((self.value, f"input.{_ELEMENT}"))
        try:
            refuse_known([name for name, _ in made], [], "child_rows")
        except ConfigError as error:
            fix = "give the parent's column another name: keys: {id: order_id}, or the position: position: line"
            raise ConfigError(error.code, error.what, where="keys", fix=fix) from None
        listed = ", ".join(f"{value} AS {quote(name)}" for name, value in made)
        return f"SELECT {listed} FROM (SELECT input.*, {', '.join(inner)} FROM input) AS input"

    def _list(self, columns: Sequence[Column]) -> tuple[str, str]:
        """The list as SQL, and its type."""
        first, *rest = self.of.split(".")
        column = found(first, columns)
        value, kind = quote(column.name), column.type
        for place, name in enumerate(rest):
            if kind == "JSON":
                way = ".".join(f'"{each}"' for each in rest[place:])
                value = f"json_extract({value}, {_text('$.' + way)})"
                break
            known = {field.lower(): field for field in _fields(kind)}
            if name.lower() not in known:
                raise ConfigError(
                    "column.unknown", f"{column.name} has no field '{name}'", where="of",
                    fix=did_you_mean(name, list(known.values()), f"it is {kind}"),
                )  # fmt: skip
            field = known[name.lower()]
            value, kind = f"struct_extract({value}, {_text(field)})", _type_of(kind, field)
        if self.type is not None or kind == "JSON":
            kind = data_type(self.type or "json[]")
            value = f"CAST({value} AS {kind})"
        if not kind.endswith("]"):
            raise ConfigError(
                "column.type", f"child_rows takes a list, '{self.of}' is {kind}", where="of",
                fix="say what the list holds: type: struct(sku varchar, n integer)[]",
            )  # fmt: skip
        return value, kind


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _fields(kind: str) -> list[str]:
    import duckdb

    found = duckdb.sqltype(kind)
    return [str(name) for name, _ in found.children] if found.id == "struct" else []


def _type_of(kind: str, field: str) -> str:
    import duckdb

    return next(str(inner) for name, inner in duckdb.sqltype(kind).children if name == field)
