"""From which columns a relation's columns are computed, and on which its rows depend.

The words are those of OpenLineage's column lineage: an edge is direct where a value flows (as it is, changed, or
folded with others), indirect where it only decides: which rows meet, stay or make a group, in which order, or which
of several values is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from functools import cached_property
from typing import NamedTuple


class Origin(NamedTuple):
    """A column of the stream's source, or of the ``table`` (``schema.table``) that is read beside it."""

    column: str
    table: str = ""


class Kind(IntFlag):
    """In which ways a column is used; several where it is used several times."""

    IDENTITY = 1
    TRANSFORMATION = 2
    AGGREGATION = 4
    JOIN = 8
    GROUP_BY = 16
    FILTER = 32
    SORT = 64
    WINDOW = 128
    CONDITIONAL = 256
    CLEAR = 512
    """Some way leads through no function that hides the value; an edge without it is masked."""


DIRECT = Kind.IDENTITY | Kind.TRANSFORMATION | Kind.AGGREGATION
INDIRECT = Kind.JOIN | Kind.GROUP_BY | Kind.FILTER | Kind.SORT | Kind.WINDOW | Kind.CONDITIONAL
UNTOUCHED = Kind.IDENTITY | Kind.CLEAR

Sources = Mapping[Origin, Kind]


def words(kinds: Kind) -> tuple[str, ...]:
    """The names of the kinds, direct ones first."""
    return tuple(str(kind.name) for kind in Kind if kind & kinds & (DIRECT | INDIRECT))


def is_masked(kinds: Kind) -> bool:
    """Whether a value flows and no way leaves it readable."""
    return bool(kinds & DIRECT) and not kinds & Kind.CLEAR


def through(inner: Kind, use: Kind, masked: bool = False) -> Kind:
    """What ``use`` (one kind) makes of a column that is itself made of another by ``inner``."""
    clear = Kind(0) if masked else inner & Kind.CLEAR
    if use & INDIRECT:
        return use | clear
    found = inner & INDIRECT | clear
    for level in (Kind.IDENTITY, Kind.TRANSFORMATION, Kind.AGGREGATION):
        if inner & level:
            found |= max(level, use)
    return found


def merge(into: dict[Origin, Kind], more: Sources, use: Kind = Kind.IDENTITY, masked: bool = False) -> None:
    """Add ``more``, used as ``use``, to ``into``."""
    for origin, kinds in more.items():
        found = kinds if use is Kind.IDENTITY and not masked else through(kinds, use, masked)
        before = into.get(origin)
        into[origin] = found if before is None else before | found


@dataclass(frozen=True)
class Relation:
    """The lineage of a table or query: ``columns`` each for itself, ``rows`` for all of them.

    A column's sources are direct, or indirect where they bear on this column alone (CONDITIONAL, WINDOW). ``rows``
    are indirect: they say which rows there are. ``rest``: tables whose columns are not all known; a name that is none
    of ``columns`` is theirs. ``others``: the sources of whatever columns only the data will tell (a dynamic PIVOT).
    ``table``: the name, where this is a table and no query.
    """

    columns: Mapping[str, Sources] = field(default_factory=dict)
    rows: Sources = field(default_factory=dict)
    rest: tuple[str, ...] = ()
    others: Sources | None = None
    table: str | None = None

    @cached_property
    def _spelled(self) -> Mapping[str, str]:
        return {name.lower(): name for name in reversed(list(self.columns))}

    def of(self, name: str) -> Sources | None:
        """The sources of a column, whatever the case of its letters; None where there is no such column."""
        found = self.known(name)
        if found is not None:
            return found
        if self.rest:
            return {Origin(name, table): UNTOUCHED for table in self.rest}
        return self.others

    def known(self, name: str) -> Sources | None:
        """The same, of a column that is known to be there."""
        spelled = self._spelled.get(name.lower())
        return None if spelled is None else self.columns[spelled]

    def is_open(self) -> bool:
        """True where there may be columns beside ``columns``."""
        return bool(self.rest) or self.others is not None

    def values(self) -> dict[str, tuple[Origin, ...]]:
        """Column -> what its values are made of and chosen by; what decides on rows is left out."""
        return {name: tuple(sources) for name, sources in self.columns.items()}

    def direct(self) -> dict[str, tuple[Origin, ...]]:
        """Column -> the columns whose values flow into it."""
        return {name: tuple(origin for origin, kinds in self._of(name) if kinds & DIRECT) for name in self.columns}

    def _of(self, name: str) -> Iterator[tuple[Origin, Kind]]:
        yield from self.columns[name].items()

    def any_decides(self) -> Sources:
        """The rows' sources where each column may decide which rows there are, in a way that nobody tells."""
        rows = dict(self.rows)
        for sources in self.columns.values():
            merge(rows, sources, Kind.FILTER)
        return rows

    def renamed(self, names: Mapping[str, str]) -> "Relation":
        """The same with other names; columns that are not in ``names`` keep theirs."""
        columns = {names.get(name, name): sources for name, sources in self.columns.items()}
        return Relation(columns, self.rows, self.rest, self.others)

    def declared(self, made: Mapping[str, Sequence[str]], before: "Relation", masked: Sequence[str] = ()) -> "Relation":
        """The same, with the sources of columns whose step says itself of which of ``before`` it makes them."""
        columns = dict(self.columns)
        for name, inputs in made.items():
            sources: dict[Origin, Kind] = {}
            for each in inputs:
                merge(sources, before.of(each) or {}, Kind.TRANSFORMATION, name in masked)
            columns[name] = sources
        return Relation(columns, self.rows, self.rest, self.others)

    def chosen(self, names: Sequence[str], flagged: Sequence[str] = ()) -> "Relation":
        """Only these columns, spelled and ordered so. Rows that a column of ``flagged`` is TRUE for are set aside."""
        rows = dict(self.rows)
        for name in flagged:
            merge(rows, self.of(name) or {}, Kind.FILTER)
        return Relation({name: self.of(name) or {} for name in names}, rows)


def of_table(names: Sequence[str], table: str = "") -> Relation:
    """A table whose columns are all known."""
    return Relation({name: {Origin(name, table): UNTOUCHED} for name in names}, table=table)


def of_unknown_table(table: str, known: Sequence[str] = ()) -> Relation:
    """A table of which at most some columns are known."""
    return Relation({name: {Origin(name, table): UNTOUCHED} for name in known}, rest=(table,), table=table)
