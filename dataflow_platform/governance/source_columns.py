"""Which columns a stream's source has, as far as that can be told without asking it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.engine import pushdown
from dataflow_platform.pipeline import discovered
from dataflow_platform.pipeline.build import DeclaredStream
from dataflow_platform.pipeline.resolve import Connection

Recorded = Callable[[str], Mapping[str, str] | None]
"""Asset key -> the columns (with types) that its last load found in the source; None where nothing is recorded."""


@dataclass(frozen=True)
class SourceColumns:
    """What is known; ``unknown`` says why there may be more, empty where there are no others."""

    columns: tuple[Column, ...]
    unknown: str = ""


class KnownColumns:
    """Looks where columns are told: in the pipeline, in the saved list of tables, in what the last load recorded."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._tables: dict[str, Mapping[str, tuple[Column, ...]]] = {}

    def of(self, stream: DeclaredStream) -> SourceColumns:
        """The columns of a stream's source, the declared ones first."""
        options: Any = stream.asset.stream.options
        declared = getattr(options, "columns", None)
        named = {str(name): str(kind) for name, kind in declared.items()} if isinstance(declared, Mapping) else {}
        # A file may have columns beside those whose types are declared; a service is asked for those alone.
        if named and stream.source.type != "files":
            return SourceColumns(_typed(named))
        table = getattr(options, "table", None) or stream.asset.stream.name
        saved = () if isinstance(getattr(options, "query", None), str) else self._saved(stream.source).get(table, ())
        if saved:
            return SourceColumns(saved)
        recorded = self._recorded(stream.asset.key.to_user_string())
        if recorded:
            taken = pushdown.narrowed(stream.asset.stream, stream.asset.steps, None).columns
            why = "only the columns that the first steps keep were recorded" if taken is not None else ""
            return SourceColumns(_typed({**recorded, **named}), why)
        why = "the source was not asked: no load has recorded its columns, and no saved list of tables has them"
        return SourceColumns(_typed(named), why if not named else "the file may have columns that are not declared")

    def _saved(self, connection: Connection) -> Mapping[str, tuple[Column, ...]]:
        if connection.name not in self._tables:
            known: dict[str, tuple[Column, ...]] = {}
            if discovered.beside(connection).is_file() or discovered.cached(connection).is_file():
                try:
                    for table in discovered.tables(connection):
                        known[table.name] = _typed({each.name: each.type for each in table.columns})
                except DataflowError:
                    known = {}  # unreadable, or of another server: the columns are not known then
            self._tables[connection.name] = known
        return self._tables[connection.name]


def _typed(columns: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, _spelled(kind)) for name, kind in columns.items())


@cache
def _spelled(kind: str) -> str:
    """A type as DuckDB spells it; a text where it is a type of the source's own."""
    import duckdb

    try:
        return str(duckdb.sqltype(kind))
    except duckdb.Error:
        return "VARCHAR"
