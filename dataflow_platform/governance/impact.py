"""What a change or the removal of a column breaks: assets, checks, dbt tests, exposures, and whose they are."""

from collections.abc import Iterable
from dataclasses import dataclass

from dataflow_platform.engine.lineage import Origin
from dataflow_platform.governance.column_graph import ROWS, ColumnGraph, Edge, Exposure, Guard, told


@dataclass(frozen=True)
class Impact:
    """What hangs on ``column``.

    ``columns``: those computed of it or chosen by it, by asset. ``rows``: assets whose rows it decides on. ``behind``:
    assets made of these, in ways that no column tells. ``guards``: with their assets, what looks at any of the columns.
    """

    column: Origin
    edges: tuple[Edge, ...]
    columns: dict[str, list[str]]
    rows: tuple[str, ...]
    behind: tuple[str, ...]
    unclear: tuple[tuple[str, str], ...]
    guards: tuple[tuple[str, Guard], ...]
    exposures: tuple[Exposure, ...]
    owners: tuple[str, ...]

    def breaks(self) -> bool:
        """Whether anything hangs on it."""
        return bool(self.edges or self.guards or self.exposures)

    def lines(self) -> list[str]:
        """For people: one thing a line."""
        found = [f"column  {key}: {', '.join(names)}" for key, names in self.columns.items()]
        found += [f"rows    {key}" for key in self.rows]
        found += [f"behind  {key}" for key in self.behind]
        found += [f"unclear {key}: {why}" for key, why in self.unclear]
        found += [f"{guard.kind}  {key}: {guard.name}" for key, guard in self.guards]
        found += [f"exposure  {each.name}" for each in self.exposures]
        return [*found, *(f"owner   {each}" for each in self.owners)]

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "column": told(self.column),
            "breaks": self.breaks(),
            "columns": self.columns,
            "rows": list(self.rows),
            "behind": list(self.behind),
            "unclear": dict(self.unclear),
            "guards": [{"asset": key, "kind": guard.kind, "name": guard.name} for key, guard in self.guards],
            "exposures": [each.name for each in self.exposures],
            "owners": list(self.owners),
        }


def impact_of(graph: ColumnGraph, column: Origin) -> Impact:
    """What hangs on ``column`` in ``graph``."""
    edges = graph.down(column)
    columns: dict[str, list[str]] = {}
    rows: dict[str, None] = {}
    touched = {column}
    for edge in edges:
        touched.add(edge.target)
        if edge.target.column == ROWS:
            rows[edge.target.table] = None
        elif edge.target.column not in columns.setdefault(edge.target.table, []):
            columns[edge.target.table].append(edge.target.column)
    found = {*columns, *rows}
    behind = sorted(graph.downstream(found) - found)
    guards = [
        (key, guard)
        for key, asset in graph.assets.items()
        for guard in asset.guards
        if touched.intersection(guard.columns)
    ]
    reached = {*found, *behind}
    unclear = [
        (key, asset.unknown or "not all of its columns are known")
        for key, asset in graph.assets.items()
        if key not in found and not asset.complete and {*found, column.table}.intersection(asset.reads)
    ]
    exposures = [each for each in graph.exposures if reached.intersection(each.reads) or column.table in each.reads]
    of = [*found, *behind, *(key for key, _ in (*guards, *unclear))]
    return Impact(
        column, tuple(edges), columns, tuple(rows), tuple(behind), tuple(unclear), tuple(guards), tuple(exposures),
        _owners(graph, of, exposures),
    )  # fmt: skip


def _owners(graph: ColumnGraph, keys: Iterable[str], exposures: Iterable[Exposure]) -> tuple[str, ...]:
    owners = [owner for key in keys for owner in graph.assets[key].owners]
    return tuple(sorted({*owners, *(owner for each in exposures for owner in each.owners)}))
