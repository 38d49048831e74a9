"""What stands in FROM and JOIN: tables, queries, VALUES, unnested lists, PIVOT and UNPIVOT."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from dataflow_platform.engine.expression_lineage import QueryIn, Reading, Scope
from dataflow_platform.engine.lineage import Kind, Origin, Relation, Sources, merge


class FromClause:
    """Reads the entries of one FROM into its scope."""

    def __init__(self, scope: Scope, table: Callable[[exp.Table], Relation], query: QueryIn) -> None:
        self._scope = scope
        self._table = table
        self._query = query
        self._reading = Reading(scope, query)

    def read_all(self, select: exp.Expr, rows: dict[Origin, Kind]) -> None:
        """Everything FROM, JOIN and LATERAL read; ``rows`` gets what they say of the rows."""
        from_ = select.args.get("from_")
        if from_ is not None:
            self._enter(from_.this, rows)
        for join in select.args.get("joins") or ():
            self._join(join, rows)
        for lateral in select.args.get("laterals") or ():
            self._enter(lateral, rows)

    def _enter(self, node: exp.Expr, rows: dict[Origin, Kind]) -> None:
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias:
            self._enter(node.this, rows)  # parentheses around a join
            return
        relation = self.read(node)
        merge(rows, relation.rows)
        alias = (node.alias or node.name).lower()
        self._scope.tables[alias if alias not in self._scope.tables else f"{alias} {len(self._scope.tables)}"] = (
            relation
        )
        for join in node.args.get("joins") or ():
            self._join(join, rows)

    def _join(self, join: exp.Expr, rows: dict[Origin, Kind]) -> None:
        before = dict(self._scope.tables)
        self._enter(join.this, rows)
        on = join.args.get("on")
        self._reading.use(on, Kind.JOIN, rows)
        using = [each.name for each in join.args.get("using") or ()]
        if str(join.args.get("method") or "").upper() == "NATURAL":
            using = [
                name for name in _names(self._scope.tables) if name in _names(before) and self._is_new(name, before)
            ]
        for name in using:
            self._merge_column(name, before, str(join.args.get("side") or "").upper(), rows)
        if str(join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
            self._scope.tables = before  # seen in ON only

    def _is_new(self, name: str, before: dict[str, Relation]) -> bool:
        return any(table.known(name) is not None for key, table in self._scope.tables.items() if key not in before)

    def _merge_column(self, name: str, before: dict[str, Relation], side: str, rows: dict[Origin, Kind]) -> None:
        left: dict[Origin, Kind] = dict(self._scope.merged.get(name.lower(), {}))
        right: dict[Origin, Kind] = {}
        if not left:
            for table in before.values():
                merge(left, table.of(name) or {})
        for key, table in self._scope.tables.items():
            if key not in before:
                merge(right, table.of(name) or {})
        merge(rows, left, Kind.JOIN)
        merge(rows, right, Kind.JOIN)
        value = dict(right) if side == "RIGHT" else dict(left)
        if side == "FULL":
            merge(value, right)
        self._scope.merged[name.lower()] = value

    def read(self, node: exp.Expr) -> Relation:
        """One entry of FROM, its new names and its PIVOT in it."""
        if isinstance(node, exp.Pivot):
            return self._pivoted(self.read(node.this), node)
        found = self._plain(node)
        for pivot in node.args.get("pivots") or ():
            found = self._pivoted(found, pivot)
        alias = node.args.get("alias")
        names = [each.name for each in alias.args.get("columns") or ()] if isinstance(alias, exp.TableAlias) else []
        return found.renamed(dict(zip(found.columns, names, strict=False))) if names else found

    def _plain(self, node: exp.Expr) -> Relation:
        if isinstance(node, exp.Table):
            if not isinstance(node.this, exp.Identifier):
                return self._function(node)
            named = None if node.db else self._scope.query(node.name)
            return self._table(node) if named is None else named
        if isinstance(node, exp.Values):
            return self._values(node)
        if isinstance(node, exp.Unnest):
            return self._opened(node, node.expressions)
        if isinstance(node, exp.Lateral):
            if isinstance(node.this, exp.Subquery):
                return self._query(node.this.this, self._scope)
            return self._opened(node, [node.this])
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Pivot):
            return self.read(node.this)
        return self._query(node, self._scope)

    def _function(self, node: exp.Table) -> Relation:
        """A function that gives rows: of columns beside it, or of the world outside."""
        if isinstance(node.this, exp.Explode | exp.Unnest | exp.GenerateSeries | exp.GenerateDateArray):
            return self._opened(node, [node.this])
        rows: dict[Origin, Kind] = {}
        self._reading.use(node.this, Kind.JOIN, rows)
        return Relation(rows=rows, rest=(node.this.sql(),))

    def _opened(self, node: exp.Expr, lists: Sequence[exp.Expr]) -> Relation:
        """Lists as rows: there are as many as they are long."""
        rows: dict[Origin, Kind] = {}
        value: dict[Origin, Kind] = {}
        for each in lists:
            self._reading.use(each, Kind.JOIN, rows)
            merge(value, self._reading.value(each), Kind.TRANSFORMATION)
        alias = node.args.get("alias")
        names = [each.name for each in alias.args.get("columns") or ()] if isinstance(alias, exp.TableAlias) else []
        columns: dict[str, Sources] = dict.fromkeys(names or ["unnest"], value)
        return Relation(columns, rows, others=value)

    def _values(self, node: exp.Values) -> Relation:
        columns: dict[str, dict[Origin, Kind]] = {}
        for row in node.expressions:
            for place, each in enumerate(row.expressions if isinstance(row, exp.Tuple) else [row]):
                merge(columns.setdefault(f"col{place}", {}), self._reading.value(each))
        return Relation({**columns})

    def _pivoted(self, table: Relation, pivot: exp.Pivot) -> Relation:
        inside = Scope(self._scope, tables={"": table}, missing=self._scope.missing)
        reading = Reading(inside, self._query)
        return _unpivot(table, pivot, reading) if pivot.args.get("unpivot") else _pivot(table, pivot, reading)


def _names(tables: dict[str, Relation]) -> list[str]:
    return list(dict.fromkeys(name for table in tables.values() for name in table.columns))


def _pivot(table: Relation, pivot: exp.Pivot, reading: Reading) -> Relation:
    """A row of each group, a column of each value of the columns that are pivoted."""
    # PIVOT as a clause says `FOR k IN (...)`, as a statement `ON k USING sum(v)`.
    clause = bool(pivot.args.get("fields"))
    folded = pivot.expressions if clause else pivot.args.get("using") or []
    turned = [each.this for each in pivot.args["fields"]] if clause else pivot.expressions
    value: dict[Origin, Kind] = {}
    for each in folded:
        merge(value, reading.value(each), Kind.AGGREGATION)
    for each in turned:
        reading.use(each.this if isinstance(each, exp.In) else each, Kind.CONDITIONAL, value)
    used = {column.name.lower() for each in (*folded, *turned) for column in each.find_all(exp.Column)}
    group = pivot.args.get("group")
    named = [each.name for each in group.expressions] if group is not None else None
    kept = [name for name in table.columns if name.lower() not in used] if named is None else named
    rows = dict(table.rows)
    columns: dict[str, Sources] = {}
    for name in kept:
        columns[name] = table.of(name) or {}
        merge(rows, columns[name], Kind.GROUP_BY)
    for each in pivot.args.get("columns") or ():
        columns[each.name] = value
    return Relation(columns, rows, table.rest if named is None else (), others=value)


def _unpivot(table: Relation, pivot: exp.Pivot, reading: Reading) -> Relation:
    """A row of each of several columns: its name and its value."""
    fields, into = pivot.args.get("fields"), pivot.args.get("into")
    if fields:
        name, turned = fields[0].this.name, fields[0].expressions
        values = [each.name for each in pivot.expressions]
    else:
        name = into.this.name if into is not None else "name"
        turned = pivot.expressions
        values = [each.name for each in into.expressions] if into is not None else ["value"]
    value: dict[Origin, Kind] = {}
    rows = dict(table.rows)
    for each in turned:
        merge(value, reading.value(each), Kind.TRANSFORMATION)
        reading.use(each, Kind.FILTER, rows)  # a NULL makes no row
    gone = {column.name.lower() for each in turned for column in each.find_all(exp.Column)}
    columns: dict[str, Sources] = {each: table.columns[each] for each in table.columns if each.lower() not in gone}
    columns[name] = {}
    columns |= dict.fromkeys(values, value)
    return Relation(columns, rows, table.rest)
