"""The SELECT of a step that keeps the columns it gets, some with new values, and adds others."""

from collections.abc import Iterable, Mapping, Sequence

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import find_column, quote


def names_of(columns: Sequence[Column]) -> list[str]:
    """The columns' names."""
    return [column.name for column in columns]


def found(name: str, columns: Sequence[Column]) -> Column:
    """The column of that name, whatever the case of its letters; ConfigError ``column.unknown``."""
    spelled = find_column(name, names_of(columns))
    return next(column for column in columns if column.name == spelled)


def refuse_twice(names: Iterable[str], step: str) -> None:
    """ConfigError ``column.duplicate`` where one of the ``names`` a step lists stands there twice, in whatever case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise ConfigError(
                "column.duplicate", f"{step} lists the column '{name}' twice", where=name,
                fix="column names that differ only in case are the same: keep one of them",
            )  # fmt: skip
        seen.add(name.lower())


def chosen(names: Iterable[str], columns: Sequence[Column], step: str) -> list[Column]:
    """The columns of these names, in this order; ConfigError where one is unknown or listed twice."""
    listed = list(names)
    kept = [found(name, columns) for name in listed]
    refuse_twice(listed, step)
    return kept


def refuse_known(names: Iterable[str], columns: Sequence[Column], step: str) -> None:
    """ConfigError ``column.duplicate`` where one of the new ``names`` is there already, or given twice."""
    taken = {column.name.lower() for column in columns}
    for name in names:
        if name.lower() in taken:
            raise ConfigError(
                "column.duplicate", f"{step} would make a second column '{name}'", where=name,
                fix="choose another name, or rename or drop the column that has it",
            )  # fmt: skip
        taken.add(name.lower())


def projected(columns: Sequence[Column], made: Mapping[str, str], leave_out: Iterable[str] = ()) -> str:
    """A SELECT of ``columns`` without ``leave_out``; ``made`` maps names to SQL: in place, or behind them where new."""
    new = {name.lower(): sql for name, sql in made.items()}
    gone, there = set(leave_out), {column.name.lower() for column in columns}
    parts = [
        f"{new[name.lower()]} AS {quote(name)}" if name.lower() in new else quote(name)
        for name in names_of(columns)
        if name not in gone
    ]
    parts += [f"{sql} AS {quote(name)}" for name, sql in made.items() if name.lower() not in there]
    return f"SELECT {', '.join(parts)} FROM input"
