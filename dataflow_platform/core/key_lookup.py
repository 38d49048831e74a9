"""The SQL of steps that look rows up in another table by equal keys."""

from collections.abc import Iterable, Mapping, Sequence

from dataflow_platform.core.load_plan import Column
from dataflow_platform.core.projection import found
from dataflow_platform.core.sql import find_column, quote


def pairs(names: list[str] | dict[str, str]) -> Mapping[str, str]:
    """Own column to the other's; a list names columns that are called alike."""
    return names if isinstance(names, dict) else {name: name for name in names}


def twice(table: str, keys: Iterable[str]) -> str:
    """A query for the keys that ``table`` (SQL) has more than once; NULL is no key."""
    names = [quote(key) for key in keys]
    known = " AND ".join(f"{name} IS NOT NULL" for name in names)
    listed = ", ".join(names)
    return f"SELECT {listed} FROM {table} WHERE {known} GROUP BY {listed} HAVING count(*) > 1"


def compared(
    names: list[str] | dict[str, str], operator: str, columns: Sequence[Column], others: Sequence[str]
) -> list[str]:
    """A comparison of ``input`` with ``other`` for each pair; ConfigError where a column is unknown."""
    return [
        f"input.{quote(found(own, columns).name)} {operator} other.{quote(find_column(other, others))}"
        for own, other in pairs(names).items()
    ]
