"""What a source hands to the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Part:
    """Some of a relation's rows, for a connection of the engine's own: ``begin`` is called first in its transaction."""

    query: str
    begin: "Callable[[duckdb.DuckDBPyConnection], None]"


@dataclass
class Scan:
    """What a source hands to the engine: a relation DuckDB reads lazily, and what is known of it.

    ``position`` may be filled while the relation is being read; it is stored afterwards, in the
    rows' own transaction. ``rows_read`` counts independently of the engine where the source can
    (None: the engine counts). ``close`` frees what the scan holds.
    ``located``: the same with more columns that say where a row stood; ``places``: their words (file, row, page).
    ``lines``: at which lines records of a file begin, see there; set where every look gives a file's rows in order.
    ``legs``: the relation is a UNION ALL of so many queries (or one query), each read by one thread, all at once if
    the engine has the threads. None: threads share the work as they please.
    ``parts``: the same rows apart, each row in one part; connections may read them at once while the scan is open.
    ``streams``: rows are sent by a server: while it reads them the engine holds no more than it is writing.
    ``notes``: what a person may want to know of the reading, for the asset's metadata.
    """

    relation: "duckdb.DuckDBPyRelation"
    position: dict[str, Any] = field(default_factory=dict)
    located: "duckdb.DuckDBPyRelation | None" = None
    places: Mapping[str, str] = field(default_factory=dict)
    lines: Callable[[str, Sequence[int], int], Sequence[int] | None] | None = None
    """File as ``places`` name it, numbers of records in it (from 1, ascending), how many it has -> lines at which they
    begin; [] where they cannot be told, None where it is not the file any more that was read."""
    rows_read: Callable[[], int] | None = None
    bytes_read: Callable[[], int] | None = None
    close: Callable[[], None] = lambda: None
    notes: Mapping[str, str] = field(default_factory=dict)
    legs: int | None = None
    parts: Sequence[Part] = ()
    streams: bool = False
