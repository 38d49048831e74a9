"""The WHERE clause a database server runs for one reading: partition window, cursor and upper bound.

Only what the server compares as DuckDB does is said; of anything else it returns all rows, and the engine filters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, Location, unknown_name
from dataflow_platform.core.predicate import Predicate

Sign = Literal[">=", "<"]


class NamedColumn(Protocol):
    """A column of the server."""

    @property
    def name(self) -> str: ...


class FilteredColumn(NamedColumn, Protocol):
    """``cursor`` is its kind where its order is that of DuckDB, else None."""

    @property
    def cursor(self) -> str | None: ...


C = TypeVar("C", bound=NamedColumn)


@dataclass(frozen=True)
class ServerDialect:
    """How one system compares.

    ``cursors``: kind of column -> pattern of the texts that mean the same on both sides; ``numbers``: the kinds that
    are numbers. ``compared`` is given the quoted column, its kind, the sign and such a text; ``moment`` makes a literal
    of a time, None where the kind of column is no date or time.
    """

    name: str
    cursor_types: str
    cursors: Mapping[str, str]
    numbers: frozenset[str]
    quoted: Callable[[str], str]
    compared: Callable[[str, str, Sign, str], str]
    moment: Callable[[str | None, datetime], str | None]
    keeps: Callable[[str, str, Predicate], str | None] | None = None
    """SQL of a predicate over the quoted column of a kind; None where the server could judge otherwise than DuckDB."""


def find(columns: Sequence[C], name: str, where: Location) -> C:
    """The column called ``name``; ConfigError ``column.unknown`` with the nearest name where there is none."""
    for column in columns:
        if column.name == name:
            return column
    raise unknown_name("column", name, [column.name for column in columns], "check the spelling").at(where)


def wanted(columns: Sequence[C], stream: Stream) -> list[C]:
    """The columns the pipeline reads, in their order; all where it names one that is not there."""
    if stream.columns is None:
        return list(columns)
    names = {name.lower() for name in stream.columns}
    found = [column for column in columns if column.name.lower() in names]
    return found if len(found) == len(names) else list(columns)


def condition(
    dialect: ServerDialect, columns: Sequence[FilteredColumn], stream: Stream, state: State, where: Location
) -> str:
    """`` WHERE ...`` for the part of the stream that is read and the rows the pipeline keeps; '' for all of it."""
    said = _part_read(dialect, columns, stream, state, where)
    known = {column.name.lower(): column for column in columns}
    for predicate in stream.keeps:
        column = known.get(predicate.column.lower())
        if column is not None and column.cursor is not None and dialect.keeps is not None:
            kept = dialect.keeps(dialect.quoted(column.name), column.cursor, predicate)
            said += [] if kept is None or kept in said else [kept]
    return f" WHERE {' AND '.join(said)}" if said else ""


def _part_read(
    dialect: ServerDialect, columns: Sequence[FilteredColumn], stream: Stream, state: State, where: Location
) -> list[str]:
    """The conditions of the window, or of what lies between cursor and upper bound."""
    if state.window:
        column = find(columns, state.window.column, where)
        start, end = (dialect.moment(column.cursor, edge) for edge in (state.window.start, state.window.end))
        name = dialect.quoted(column.name)
        return [] if start is None or end is None else [f"{name} >= {start}", f"{name} < {end}"]
    if not stream.cursor:
        return []
    column = find(columns, stream.cursor, where)
    if column.cursor is None:
        raise ConfigError(
            f"{dialect.name}.cursor",
            f"column '{column.name}' cannot be a cursor: DuckDB does not keep its order",
            where=where,
            fix=f"use a column of {dialect.cursor_types}",
        )
    name, said = dialect.quoted(column.name), []
    if state.cursor is not None and re.fullmatch(dialect.cursors[column.cursor], state.cursor):
        said.append(dialect.compared(name, column.cursor, ">=", state.cursor))
    until = _until(dialect, name, column.cursor, state)
    if until is not None:
        # A first read takes the rows without a cursor as well.
        said.append(until if state.cursor is not None else f"({until} OR {name} IS NULL)")
    return said


def _until(dialect: ServerDialect, name: str, kind: str, state: State) -> str | None:
    if state.until is None:
        return None
    if isinstance(state.until, datetime):
        edge = dialect.moment(kind, state.until)
        return None if edge is None else f"{name} < {edge}"
    text = f"{state.until:f}"
    if kind not in dialect.numbers or not re.fullmatch(dialect.cursors[kind], text):
        return None
    return dialect.compared(name, kind, "<", text)
