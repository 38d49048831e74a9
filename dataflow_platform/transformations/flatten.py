"""Transformation ``flatten``."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import chosen, refuse_known
from dataflow_platform.core.sql import quote


class Flatten(Spec, Transformation):
    """Makes a column of each field of a structure, also of structures inside. Lists and maps stay as they are."""

    instead: ClassVar[str] = "read the fields as columns at the source"
    shorthand: ClassVar[str | None] = "columns"

    columns: list[str] = Field(
        default_factory=list, description="The columns to flatten; every column of type struct if absent."
    )
    depth: int = Field(default=100, ge=1, description="How many levels are opened; what lies deeper stays a structure.")
    separator: str = Field(default="_", description="What stands between the names: `address_city`.")

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns``, in the place of structures their fields."""
        wanted = (
            chosen(self.columns, columns, "flatten")
            if self.columns
            else [each for each in columns if _fields(each.type)]
        )
        for column in wanted:
            if not _fields(column.type):
                raise ConfigError(
                    "column.type", f"flatten takes structures, column '{column.name}' is {column.type}",
                    where=column.name, fix="leave it out",
                )  # fmt: skip
        parts: list[tuple[str, str]] = []
        for column in columns:
            if column in wanted:
                parts += self._opened(column.name, quote(column.name), column.type, self.depth)
            else:
                parts.append((column.name, quote(column.name)))
        refuse_known([name for name, _ in parts], [], "flatten")
        return f"SELECT {', '.join(f'{value} AS {quote(name)}' for name, value in parts)} FROM input"

    def _opened(self, name: str, value: str, kind: Any, depth: int) -> Iterator[tuple[str, str]]:
        fields = _fields(kind) if depth else []
        if not fields:
            yield name, value
        for field, inner in fields:
            opened = f"struct_extract({value}, '{field.replace(chr(39), chr(39) * 2)}')"
            yield from self._opened(f"{name}{self.separator}{field}", opened, inner, depth - 1)


def _fields(kind: Any) -> list[tuple[str, Any]]:
    """The named fields of a DuckDB type, or of its text; none where it is no structure."""
    import duckdb

    found = duckdb.sqltype(kind) if isinstance(kind, str) else kind
    return [(str(name), inner) for name, inner in found.children] if found.id == "struct" else []
