"""How an SQL expression uses the columns it names."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import exp

from dataflow_platform.core.expression import AGGREGATE_FUNCTIONS
from dataflow_platform.engine.lineage import INDIRECT, Kind, Origin, Relation, Sources, merge

QueryIn = Callable[[exp.Expr, "Scope"], Relation]
"""The lineage of a query inside an expression, which may name columns of the query around it."""

_MASKING = frozenset({"md5", "md5_number", "md5_number_lower", "md5_number_upper", "sha1", "sha256", "hash"})
_MASKING_NODES = (exp.MD5, exp.SHA, exp.SHA2, exp.MD5Digest, exp.MD5NumberLower64, exp.MD5NumberUpper64)
_OF_ONE_ROW = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)
_MAKE_ROWS = frozenset({"unnest", "generate_subscripts"})


@dataclass
class Scope:
    """What the names in one SELECT mean."""

    around: "Scope | None" = None
    queries: Mapping[str, Relation] = field(default_factory=dict)
    """The common table expressions, by their names in small letters."""
    tables: dict[str, Relation] = field(default_factory=dict)
    """What FROM reads, by alias in small letters."""
    merged: dict[str, Sources] = field(default_factory=dict)
    """Columns that USING made one of two."""
    aliases: dict[str, Sources] = field(default_factory=dict)
    """What the SELECT list has named so far."""
    windows: dict[str, exp.Expr] = field(default_factory=dict)
    missing: list[Origin] = field(default_factory=list)
    """Columns that are named and in none of the tables."""

    def query(self, name: str) -> Relation | None:
        """A common table expression in sight."""
        found = self.queries.get(name.lower())
        return found if found is not None or self.around is None else self.around.query(name)

    def column(self, node: exp.Column, alias_first: bool = False) -> Sources:
        """The sources of a column; none, and a note in ``missing``, where nothing is called so."""
        parts = [part.name.lower() for part in node.parts]
        for scope in self._outwards():
            found = scope._own(parts, alias_first)
            if found is not None:
                return found
        self.missing.append(self._guess(node))
        return {}

    def _outwards(self) -> "Iterator[Scope]":
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.around

    def _own(self, parts: list[str], alias_first: bool) -> Sources | None:
        # `addr.city` may be a field of column addr; `other.name` is a column of the table other.
        for table, name in pairwise(parts):
            found = self.tables[table].of(name) if table in self.tables else None
            if found is not None:
                return found
        if len(parts) > 1 and parts[0] in self.tables:
            return self._of_known(parts[0])
        if alias_first and parts[0] in self.aliases:
            return self.aliases[parts[0]]
        if parts[0] in self.merged:
            return self.merged[parts[0]]
        known = self._of_known(parts[0])
        return self._of_any(parts[0]) if known is None else known

    def _of_known(self, name: str) -> Sources | None:
        """Those of a column that a table is known to have."""
        having = [found for table in self.tables.values() if (found := table.known(name)) is not None]
        if not having:
            return None
        sources: dict[Origin, Kind] = {}
        for each in having:
            merge(sources, each)
        return sources

    def _of_any(self, name: str) -> Sources | None:
        """Where no table is known to have it: a name of the SELECT list, else any table not all known of."""
        if name in self.aliases:
            return self.aliases[name]
        sources: dict[Origin, Kind] = {}
        candidates = [table for table in self.tables.values() if table.is_open()]
        for table in candidates:
            merge(sources, table.of(name) or {})
        return sources if candidates else self._whole(name)

    def _whole(self, name: str) -> Sources | None:
        """A row as one value: `to_json(t)`."""
        table = self.tables.get(name)
        if table is None:
            return None
        sources: dict[Origin, Kind] = {}
        for column in table.columns.values():
            merge(sources, column, Kind.TRANSFORMATION)
        return sources

    def _guess(self, node: exp.Column) -> Origin:
        """The missing column, placed in the one table it can be of."""
        named = self.tables.get(node.table.lower()) if node.table else None
        tables = [named] if named else list(self.tables.values())
        one = tables[0].table if len(tables) == 1 else None
        return Origin(node.name, one or "")


class Reading:
    """Collects what expressions read, in one scope."""

    def __init__(self, scope: Scope, query: QueryIn) -> None:
        self._scope = scope
        self._query = query

    def value(self, node: exp.Expr) -> dict[Origin, Kind]:
        """The sources of the value of ``node``."""
        found: dict[Origin, Kind] = {}
        self._read(node, Kind.IDENTITY, False, found, False)
        return found

    def use(self, node: exp.Expr | None, kind: Kind, into: dict[Origin, Kind], alias_first: bool = False) -> None:
        """Add all that ``node`` reads to ``into``, as used for ``kind``."""
        if node is not None:
            self._read(node, kind, False, into, alias_first)

    def _read(self, node: exp.Expr, use: Kind, masked: bool, into: dict[Origin, Kind], alias_first: bool) -> None:
        if isinstance(node, exp.Column):
            if not isinstance(node.this, exp.Star):
                merge(into, self._scope.column(node, alias_first), use, masked)
            return
        if isinstance(node, exp.Subquery | exp.Select | exp.SetOperation | exp.Exists):
            self._read_query(node, use, masked, into)
            return
        hidden = masked or masks(node)
        for child, how in self._children(node, use):
            self._read(child, how, hidden, into, alias_first)

    def _read_query(self, node: exp.Expr, use: Kind, masked: bool, into: dict[Origin, Kind]) -> None:
        inner = node.this if isinstance(node, exp.Exists) else node
        found = self._query(inner, self._scope)
        if not isinstance(node, exp.Exists):
            for sources in (*found.columns.values(), found.others or {}):
                merge(into, sources, use, masked)
        merge(into, found.rows, use, masked)

    def _children(self, node: exp.Expr, use: Kind) -> Iterator[tuple[exp.Expr, Kind]]:
        """What stands in ``node``, and how its value is used for that of ``node``."""
        if use & INDIRECT or isinstance(node, exp.Alias | exp.Paren):
            yield from ((child, use) for child in node.iter_expressions())
            if isinstance(node, exp.Window):
                yield from ((child, use) for child in self._named_window(node))
            return
        chosen = max(use, Kind.TRANSFORMATION)
        if isinstance(node, exp.Case | exp.If):
            yield from _of_choice(node, chosen)
        elif isinstance(node, exp.Window):
            yield node.this, chosen
            around = [child for child in node.iter_expressions() if child is not node.this]
            yield from ((child, Kind.WINDOW) for child in (*around, *self._named_window(node)))
        elif isinstance(node, exp.Filter):
            yield node.this, chosen
            yield node.expression, Kind.CONDITIONAL
        elif isinstance(node, exp.Order) and isinstance(node.this, exp.Expr):  # list(x ORDER BY y)
            yield node.this, chosen
            yield from ((child, Kind.SORT) for child in node.expressions)
        elif isinstance(node, exp.ArgMax | exp.ArgMin):
            yield node.this, max(use, Kind.AGGREGATION)
            yield node.expression, Kind.CONDITIONAL
        else:
            folds = folds_rows(node) and not isinstance(node, _OF_ONE_ROW)
            how = max(use, Kind.AGGREGATION) if folds else chosen
            yield from ((child, how) for child in node.iter_expressions())

    def _named_window(self, node: exp.Window) -> Iterator[exp.Expr]:
        """The definition behind `OVER name`."""
        named = self._scope.windows.get(node.alias.lower()) if node.alias else None
        if named is not None and named is not node:
            yield from (child for child in named.iter_expressions() if child is not named.this)


def _of_choice(node: exp.Case | exp.If, use: Kind) -> Iterator[tuple[exp.Expr, Kind]]:
    if isinstance(node, exp.If):
        yield node.this, Kind.CONDITIONAL
        results = (node.args.get("true"), node.args.get("false"))
    else:
        if node.this is not None:
            yield node.this, Kind.CONDITIONAL
        for branch in node.args.get("ifs") or ():
            yield from _of_choice(branch, use)
        results = (node.args.get("default"), None)
    yield from ((result, use) for result in results if result is not None)


def _name(node: exp.Expr) -> str:
    return str(node.name).lower() if isinstance(node, exp.Anonymous) else ""


def masks(node: exp.Expr) -> bool:
    """Whether what comes out of ``node`` no longer shows what went in."""
    return isinstance(node, _MASKING_NODES) or _name(node) in _MASKING


def folds_rows(node: exp.Expr) -> bool:
    """Whether ``node`` is a call of an aggregate function."""
    return isinstance(node, exp.AggFunc | exp.WithinGroup) or _name(node) in AGGREGATE_FUNCTIONS


def makes_rows(node: exp.Expr) -> bool:
    """Whether ``node`` is a call that gives several rows for one."""
    return isinstance(node, exp.Explode | exp.Unnest) or _name(node) in _MAKE_ROWS
