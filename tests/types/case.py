"""One type of one source with the values it is tried with, and how a source offers several of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dataflow_platform.core.base import Source, Stream


@dataclass(frozen=True)
class Case:
    """A type as the source declares it and values of it.

    ``values`` are what the source is given (SQL text, Python's or Arrow's value); ``means`` what they mean
    in Python's words, the same where absent. ``note`` says what is odd about the values. ``word`` is the
    DuckDB type that is the very same; '' where DuckDB has none. ``declared`` is the type a person declares
    for the column, where the source lets them.
    """

    type: str
    family: str
    values: tuple[Any, ...]
    means: tuple[Any, ...] | None = None
    note: str = ""
    word: str = ""
    declared: str = ""

    @property
    def label(self) -> str:
        said = f"{self.type}, declared {self.declared}" if self.declared else self.type
        return f"{said}, {self.note}" if self.note else said

    @property
    def meanings(self) -> tuple[Any, ...]:
        return self.values if self.means is None else self.means


class Origin(Protocol):
    """A source with a table for the asking."""

    title: str
    cases: Sequence[Case]

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        """A stream with column ``id`` (1, 2, ...) and columns ``c0``, ``c1``, ... with the values of ``cases``."""
        ...


def padded(cases: Sequence[Case]) -> list[list[Any]]:
    """The values of each case, all of one length: missing ones are None. One closing row is NULL throughout."""
    longest = max(len(case.values) for case in cases)
    return [[*case.values, *[None] * (longest - len(case.values) + 1)] for case in cases]
