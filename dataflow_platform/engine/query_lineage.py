"""The lineage of a whole query: its WITH, its set operations, its SELECTs and what they read."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count

from sqlglot import exp

from dataflow_platform.engine.expression_lineage import Reading, Scope, folds_rows, makes_rows
from dataflow_platform.engine.from_lineage import FromClause
from dataflow_platform.engine.lineage import Kind, Origin, Relation, Sources, merge, of_unknown_table

TableNamed = Callable[[exp.Table], Relation]
_ROUNDS = 20  # until the lineage of a recursive query stands; each round follows it one step further


class QueryLineage:
    """Finds the lineage of queries over tables that ``table`` knows. ``missing``: columns that no table has."""

    def __init__(self, table: TableNamed) -> None:
        self._table = table
        self.missing: list[Origin] = []

    def of(self, query: exp.Expr, around: Scope | None = None) -> Relation:
        """The lineage of a query; names it does not know itself are looked for in ``around``."""
        with_ = query.args.get("with_")
        if with_ is not None:
            around = self._with(with_, around)
        if isinstance(query, exp.Subquery):
            inner = self.of(query.this, around)
            return self._limited(query, inner, around)
        if isinstance(query, exp.SetOperation):
            return self._limited(query, self._set_operation(query, around), around)
        if isinstance(query, exp.Select):
            return _Select(self, query, self._scope(around)).relation()
        # VALUES, FROM-only queries and PIVOT as a statement read like an entry of FROM.
        scope = self._scope(around)
        return self.from_clause(scope).read(query)

    def from_clause(self, scope: Scope) -> FromClause:
        """What FROM of one SELECT reads."""
        return FromClause(scope, self._table, self.of)

    def _scope(self, around: Scope | None) -> Scope:
        return Scope(around, missing=self.missing)

    def _with(self, with_: exp.Expr, around: Scope | None) -> Scope:
        queries: dict[str, Relation] = {}
        scope = Scope(around, queries, missing=self.missing)
        for cte in with_.expressions:
            names = [name.name for name in cte.args["alias"].args.get("columns") or ()]
            name = cte.alias.lower()
            if with_.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                self._recursive(queries, name, cte.this, names, scope)
            else:
                queries[name] = called(self.of(cte.this, scope), names)
        return scope

    def _recursive(
        self, queries: dict[str, Relation], name: str, query: exp.SetOperation, names: list[str], scope: Scope
    ) -> None:
        noted = len(self.missing)
        queries[name] = called(self.of(query.this, scope), names)
        for _ in range(_ROUNDS):
            del self.missing[noted:]
            found = called(self.of(query, scope), names)
            if found == queries[name]:
                return
            queries[name] = found

    def _set_operation(self, query: exp.SetOperation, around: Scope | None) -> Relation:
        left, right = self.of(query.this, around), self.of(query.expression, around)
        rows: dict[Origin, Kind] = {}
        for side in (left, right):
            merge(rows, side.rows)
        united = isinstance(query, exp.Union)
        if not united or query.args.get("distinct"):
            for side in (left, right):
                for sources in side.columns.values():
                    merge(rows, sources, Kind.GROUP_BY if united else Kind.FILTER)
        if not united:
            return Relation(left.columns, rows, left.rest, left.others)
        columns = _side_by_side(left, right, bool(query.args.get("by_name")))
        others = {**(left.others or {}), **(right.others or {})} or left.others or right.others
        return Relation(columns, rows, tuple(dict.fromkeys((*left.rest, *right.rest))), others)

    def _limited(self, query: exp.Expr, found: Relation, around: Scope | None) -> Relation:
        """ORDER BY and LIMIT behind a set operation or parentheses."""
        order = query.args.get("order")
        if order is None:
            return found
        scope = self._scope(around)
        scope.tables[""] = found
        rows = dict(found.rows)
        Reading(scope, self.of).use(order, Kind.SORT, rows)
        return Relation(found.columns, rows, found.rest, found.others)


def _side_by_side(left: Relation, right: Relation, by_name: bool) -> dict[str, Sources]:
    columns = {name: dict(sources) for name, sources in left.columns.items()}
    others = list(right.columns.items())
    if by_name:
        spelled = {name.lower(): name for name in columns}
        for name, sources in others:
            merge(columns.setdefault(spelled.get(name.lower(), name), {}), sources)
    else:
        for name, (_, sources) in zip(columns, others, strict=False):
            merge(columns[name], sources)
    # Of a side whose columns are not all known each column may come.
    for side in (left, right):
        for name in columns if side.is_open() else ():
            merge(columns[name], side.of(name) or {})
    return {**columns}


def called(relation: Relation, names: list[str]) -> Relation:
    """``relation`` with its first columns renamed, as `t(a, b)` does."""
    if not names:
        return relation
    return relation.renamed(dict(zip(relation.columns, names, strict=False)))


class _Select:
    """One SELECT: what it reads, what it keeps of the rows, what it makes of the columns."""

    def __init__(self, lineage: QueryLineage, select: exp.Select, scope: Scope) -> None:
        self._select = select
        self._scope = scope
        self._reading = Reading(scope, lineage.of)
        self._from = lineage.from_clause(scope)
        self._rows: dict[Origin, Kind] = {}
        self._columns: dict[str, Sources] = {}
        self._rest: tuple[str, ...] = ()
        self._others: dict[Origin, Kind] | None = None
        self._used: set[str] = set()

    def relation(self) -> Relation:
        select, args = self._select, self._select.args
        self._scope.windows = {each.name.lower(): each for each in args.get("windows") or ()}
        self._from.read_all(select, self._rows)
        for projection in select.expressions:
            self._project(projection)
        self._use(args.get("where"), Kind.FILTER)
        self._group(args.get("group"))
        self._use(args.get("having"), Kind.FILTER)
        self._use(args.get("qualify"), Kind.FILTER)
        self._distinct(args.get("distinct"))
        order = args.get("order")
        for each in order.expressions if order is not None else ():
            self._by_position(each.this, Kind.SORT, alias_first=True)
        return Relation(self._columns, self._rows, self._rest, self._others)

    def _use(self, node: exp.Expr | None, kind: Kind) -> None:
        self._reading.use(node, kind, self._rows)

    def _group(self, group: exp.Expr | None) -> None:
        if group is None:
            return
        if group.args.get("all"):
            for projection in self._select.expressions:
                if not any(folds_rows(node) for node in projection.walk()):
                    self._use(projection, Kind.GROUP_BY)
        for each in group.iter_expressions():
            self._by_position(each, Kind.GROUP_BY)

    def _by_position(self, node: exp.Expr, kind: Kind, alias_first: bool = False) -> None:
        """A term of GROUP BY or ORDER BY, which may be the number of a column."""
        projections = self._select.expressions
        if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
            if 0 < int(node.name) <= len(projections):
                self._use(projections[int(node.name) - 1].unalias(), kind)
            return
        self._reading.use(node, kind, self._rows, alias_first)

    def _distinct(self, distinct: exp.Expr | None) -> None:
        if distinct is None:
            return
        if distinct.args.get("on") is not None:
            for each in distinct.args["on"].expressions or [distinct.args["on"]]:
                self._by_position(each, Kind.GROUP_BY)
            return
        for sources in self._columns.values():
            merge(self._rows, sources, Kind.GROUP_BY)

    def _project(self, projection: exp.Expr) -> None:
        inner = projection.unalias()
        star = inner if isinstance(inner, exp.Star) else inner.this if isinstance(inner, exp.Column) else None
        if isinstance(star, exp.Star):
            self._star(star, inner.table.lower() if isinstance(inner, exp.Column) else "")
            return
        if projection.find(exp.Columns):
            self._each_of(projection)
            return
        if any(makes_rows(node) for node in inner.walk()):
            self._use(inner, Kind.JOIN)
        self._name(projection.alias_or_name or projection.sql(), self._reading.value(inner))

    def _name(self, name: str, sources: Sources) -> None:
        self._scope.aliases.setdefault(name.lower(), sources)
        places = count(1)
        unique = name
        while unique.lower() in self._used:  # as DuckDB names the second of two columns of one name
            unique = f"{name}_{next(places)}"
        self._used.add(unique.lower())
        self._columns[unique] = sources

    def _star(self, star: exp.Star, table: str) -> None:
        """`*` or `t.*`, with EXCLUDE, REPLACE and RENAME."""
        gone = {each.name.lower() for each in star.args.get("except_") or ()}
        made = {each.alias.lower(): each for each in star.args.get("replace") or ()}
        new = {each.this.name.lower(): each.alias for each in star.args.get("rename") or ()}
        for name, sources in self._visible(table):
            folded = name.lower()
            if folded not in gone:
                value = self._reading.value(made[folded].this) if folded in made else sources
                self._name(new.get(folded, name), value)
        for alias, relation in self._scope.tables.items():
            if table in ("", alias) and relation.is_open():
                self._rest = tuple(dict.fromkeys((*self._rest, *relation.rest)))
                if relation.others is not None:
                    self._others = self._others or {}
                    merge(self._others, relation.others)

    def _visible(self, table: str) -> Iterator[tuple[str, Sources]]:
        """What `*` means: a column that USING made one of two stands once."""
        once: set[str] = set()
        for alias, relation in self._scope.tables.items():
            for name, sources in relation.columns.items() if table in ("", alias) else ():
                merged = self._scope.merged.get(name.lower()) if not table else None
                if merged is None:
                    yield name, sources
                elif name.lower() not in once:
                    once.add(name.lower())
                    yield name, merged

    def _each_of(self, projection: exp.Expr) -> None:
        """An expression over `COLUMNS('pattern')`: as many columns as there are matches."""
        columns = projection.find(exp.Columns)
        pattern = columns.this.name if columns is not None and isinstance(columns.this, exp.Literal) else ".*"
        for name, sources in [*self._visible("")]:
            if re.search(pattern, name):
                single = projection.unalias().copy()
                if isinstance(single, exp.Columns):
                    self._name(name, sources)
                    continue
                for each in single.find_all(exp.Columns):
                    each.replace(exp.column(exp.to_identifier(name, quoted=True)))
                self._name(name, self._reading.value(single))


def lineage_of(query: exp.Expr, tables: Mapping[str, Relation]) -> Relation:
    """The lineage of ``query`` over ``tables`` by their names (``input``, ``schema.table``); others are unknown."""

    def table(node: exp.Table) -> Relation:
        name = f"{node.db}.{node.name}" if node.db else node.name
        return tables.get(name) or of_unknown_table(name)

    return QueryLineage(table).of(query)
