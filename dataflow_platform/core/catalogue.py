"""What a source's catalogue tells of its tables before a row is read, and how patterns choose among them."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

TableKind = Literal["table", "partition", "view", "materialized_view", "foreign_table"]


@dataclass(frozen=True)
class CatalogueColumn:
    """A column by its name and its type in the source's own words."""

    name: str
    type: str


@dataclass(frozen=True)
class CatalogueTable:
    """One table, view or other thing a source can read.

    ``name`` is what ``from: {table: ...}`` takes. ``kind`` is None where the source only knows names;
    ``estimated_rows`` is the server's own guess, None where it has none: nothing is counted.
    """

    name: str
    schema: str | None = None
    table: str = ""
    kind: TableKind | None = None
    columns: tuple[CatalogueColumn, ...] = ()
    primary_key: tuple[str, ...] = ()
    estimated_rows: int | None = None


def matches(pattern: str, table: CatalogueTable) -> bool:
    """Whether a pattern names the table: `sales.*` by schema and table, `*_tmp` by the table of any schema.

    `*`, `?` and `[...]` mean what they mean for file names; capitals count.
    """
    if table.schema is None:
        return fnmatchcase(table.table or table.name, pattern)
    schema, dot, name = pattern.partition(".")
    if not dot:
        return fnmatchcase(table.table, pattern)
    return fnmatchcase(table.schema, schema) and fnmatchcase(table.table, name)
