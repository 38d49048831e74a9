"""What a source hands to the engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


@dataclass
class Scan:
    """What a source hands to the engine: a relation DuckDB reads lazily, and what is known of it.

    ``position`` may be filled while the relation is being read; it is stored afterwards, in the
    rows' own transaction. ``rows_read`` counts independently of the engine where the source can
    (None: the engine counts). ``close`` frees what the scan holds.
    ``located``: the same with more columns that say where a row stood; ``places``: their words (file, row, page).
    ``serial``: the rows come by one thread, whatever the engine has.
    ``notes``: what a person may want to know of the reading, for the asset's metadata.
    """

    relation: "duckdb.DuckDBPyRelation"
    position: dict[str, Any] = field(default_factory=dict)
    located: "duckdb.DuckDBPyRelation | None" = None
    places: Mapping[str, str] = field(default_factory=dict)
    rows_read: Callable[[], int] | None = None
    bytes_read: Callable[[], int] | None = None
    close: Callable[[], None] = lambda: None
    notes: Mapping[str, str] = field(default_factory=dict)
    serial: bool = False
