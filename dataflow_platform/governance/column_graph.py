"""The columns of a project as a graph: which column is made of which, from source to dbt model."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

from dataflow_platform.core.errors import ConfigError, did_you_mean
from dataflow_platform.engine.lineage import Kind, Origin, Relation, Sources, words

AssetKind = Literal["source", "stream", "model"]
ROWS = ""
"""In the place of a column's name: the rows of an asset, which its indirect edges lead to."""


def told(column: Origin) -> str:
    """A column as people write it: `raw.flights.dep_time`."""
    asset = column.table.replace("/", ".")
    return ".".join(each for each in (asset, column.column) if each)


@dataclass(frozen=True)
class Guard:
    """Something that looks at columns and fails without them: a check, a dbt test, a primary key."""

    kind: str
    name: str
    columns: tuple[Origin, ...]


@dataclass(frozen=True)
class Asset:
    """One asset with the lineage of its columns; an ``Origin``'s table is an asset key here, such as ``raw/flights``.

    ``unknown`` says why columns are missing, where not all are known; ``lineage`` has what is known.
    ``reads``: the assets it is made of, also where no column of them is known to be used.
    """

    key: str
    kind: AssetKind
    lineage: Relation
    reads: tuple[str, ...] = ()
    unknown: str = ""
    owners: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""
    """What it is made by (SQL, settings), to tell whether that has changed."""
    wrong: tuple[str, ...] = ()
    """What keeps it from being made: columns it reads that are not there."""
    assumed: frozenset[str] = frozenset()
    """Columns only known because somebody reads them."""

    @property
    def complete(self) -> bool:
        """Whether all its columns are known."""
        return not self.unknown and not self.lineage.is_open()


@dataclass(frozen=True)
class Exposure:
    """A dashboard, notebook or application that dbt knows of."""

    name: str
    reads: tuple[str, ...]
    owners: tuple[str, ...]


class Edge(NamedTuple):
    """``origin`` is used for ``target``, in the ways ``kinds``; a target ``ROWS`` is all rows of its asset."""

    origin: Origin
    target: Origin
    kinds: Kind

    def told(self) -> str:
        """The kinds in words."""
        return ", ".join(words(self.kinds))


@dataclass
class ColumnGraph:
    """Assets by key, and what leads from column to column."""

    assets: dict[str, Asset]
    exposures: tuple[Exposure, ...] = ()

    def edges(self) -> Iterator[Edge]:
        """Every edge."""
        for key, asset in self.assets.items():
            for name, sources in asset.lineage.columns.items():
                yield from (Edge(origin, Origin(name, key), kinds) for origin, kinds in sources.items())
            yield from (Edge(origin, Origin(ROWS, key), kinds) for origin, kinds in asset.lineage.rows.items())

    @cached_property
    def _outgoing(self) -> Mapping[Origin, list[Edge]]:
        found: dict[Origin, list[Edge]] = defaultdict(list)
        for edge in self.edges():
            found[edge.origin].append(edge)
        return found

    def up(self, column: Origin) -> list[Edge]:
        """All edges that lead to a column, nearest first; what decides on the rows of its assets is not among them."""
        return self._walk(column, self._incoming)

    def down(self, column: Origin) -> list[Edge]:
        """All edges that start from a column, nearest first; an edge to rows ends there."""
        return self._walk(column, lambda each: self._outgoing.get(each, []))

    def _incoming(self, column: Origin) -> list[Edge]:
        asset = self.assets.get(column.table)
        if asset is None:
            return []
        sources: Sources = asset.lineage.rows if column.column == ROWS else asset.lineage.of(column.column) or {}
        return [Edge(origin, column, kinds) for origin, kinds in sources.items()]

    def _walk(self, start: Origin, step: Callable[[Origin], list[Edge]]) -> list[Edge]:
        found: dict[Edge, None] = {}
        todo, seen = deque([start]), {start}
        while todo:
            for edge in step(todo.popleft()):
                found[edge] = None
                for end in edge[:2]:
                    if end not in seen and end.column != ROWS:
                        seen.add(end)
                        todo.append(end)
        return [*found]

    def rows_of(self, key: str) -> list[Edge]:
        """The edges that decide which rows an asset has."""
        return self._incoming(Origin(ROWS, key))

    def find(self, text: str) -> Origin:
        """The column ``text`` names: `raw/flights.dep_time`, `raw.flights.dep_time`; ConfigError where none is."""
        path, _, column = text.rpartition(".")
        wanted = path.replace(".", "/").lower()
        for key, asset in self.assets.items():
            if key.replace(".", "/").lower() != wanted:
                continue
            spelled = next((name for name in asset.lineage.columns if name.lower() == column.lower()), None)
            if spelled is None and asset.complete:
                names = list(asset.lineage.columns)
                raise ConfigError(
                    "column.unknown", f"{key} has no column '{column}'", where=text,
                    fix=did_you_mean(column, names, f"it has {', '.join(names[:20])}"),
                )  # fmt: skip
            return Origin(spelled or column, key)
        known = [key.replace("/", ".") for key in self.assets]
        raise ConfigError(
            "asset.unknown", f"there is no asset '{path or text}'", where=text,
            fix=did_you_mean(path.replace("/", "."), known, "write schema.table.column, such as raw.flights.dep_time"),
        )  # fmt: skip

    def downstream(self, keys: Iterable[str]) -> set[str]:
        """The assets that are made of these, directly or over others."""
        readers: dict[str, list[str]] = defaultdict(list)
        for key, asset in self.assets.items():
            for each in asset.reads:
                readers[each].append(key)
        found: set[str] = set()
        todo = [*keys]
        while todo:
            for reader in readers[todo.pop()]:
                if reader not in found:
                    found.add(reader)
                    todo.append(reader)
        return found


def placed(relation: Relation, keys: Mapping[str, str]) -> Relation:
    """``relation`` with its tables called by their asset keys."""

    def renamed(sources: Sources) -> Sources:
        return {Origin(each.column, keys.get(each.table, each.table)): kinds for each, kinds in sources.items()}

    return Relation(
        {name: renamed(sources) for name, sources in relation.columns.items()},
        renamed(relation.rows),
        tuple(keys.get(table, table) for table in relation.rest),
        None if relation.others is None else renamed(relation.others),
    )


def connected(assets: Iterable[Asset], exposures: Iterable[Exposure] = ()) -> ColumnGraph:
    """The graph; an asset whose columns are not all known gets those that others read of it."""
    by_key = {asset.key: asset for asset in assets}
    for key in _readers_first(by_key):
        asset = by_key[key]
        named = {origin for sources in asset.lineage.columns.values() for origin in sources}
        named |= {*asset.lineage.rows, *(origin for guard in asset.guards for origin in guard.columns)}
        for origin in sorted(named):
            source = by_key.get(origin.table)
            if source is not None:
                by_key[origin.table] = _with_column(source, origin.column)
    return ColumnGraph(by_key, tuple(exposures))


def _with_column(asset: Asset, name: str) -> Asset:
    """``asset`` with a column that somebody reads of it; as it is where it is known to have it, or not to."""
    if asset.lineage.known(name) is not None or asset.complete:
        return asset
    old = asset.lineage
    columns = {**old.columns, name: old.of(name) or {}}
    lineage = Relation(columns, old.rows, old.rest, old.others)
    return replace(asset, lineage=lineage, assumed=asset.assumed | {name})


def _readers_first(assets: Mapping[str, Asset]) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()
    for start in assets:
        todo = [(start, iter(assets[start].reads))] if start not in seen else []
        seen.add(start)
        while todo:
            key, reads = todo[-1]
            further = next((each for each in reads if each in assets and each not in seen), None)
            if further is None:
                order.append(key)
                todo.pop()
            else:
                seen.add(further)
                todo.append((further, iter(assets[further].reads)))
    return order[::-1]
