"""The SELECT of one step as a syntax tree: where its columns come from, and what else it passes on."""

from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp

from dataflow_platform.engine.lineage import Lineage, Origin


def parse(query: str) -> exp.Select:
    """The tree of a SELECT in DuckDB's dialect."""
    return sqlglot.parse_one(query, read="duckdb", into=exp.Select)


def lineage(select: exp.Select, before: Lineage) -> dict[str, tuple[Origin, ...]]:
    """The lineage of a step's columns; ``before`` is that of the table ``input``."""
    return {each.alias_or_name: tuple(dict.fromkeys(_origins(each, select, before))) for each in select.selects}


def declared_lineage(select: exp.Select, before: Lineage, declared: Mapping[str, Sequence[str]]) -> Lineage:
    """The same, where ``declared`` says what some columns are computed from."""
    found = lineage(select, before)
    for name, inputs in declared.items():
        found[name] = tuple(dict.fromkeys(origin for one in inputs for origin in before[one]))
    return found


_HOLDING = (
    exp.Window, exp.Join, exp.Group, exp.Order, exp.Distinct, exp.SetOperation, exp.AggFunc, exp.TableSample, exp.Limit,
)  # fmt: skip


def holds_rows(select: exp.Select) -> bool:
    """True where the engine has to hold rows to run it, and may spill them."""
    return select.find(*_HOLDING) is not None


def _origins(projection: exp.Expr, select: exp.Select, before: Lineage) -> Iterator[Origin]:
    tables = {read.alias_or_name: read for read in _read_by(select) if isinstance(read, exp.Table)}
    inner = {read.alias_or_name: read for read in _read_by(select) if isinstance(read, exp.Subquery)}
    for column in projection.find_all(exp.Column):
        # `addr.city` may be a field of column addr; `other.name` is a column of the table other.
        first, rest = column.parts[0].name, [part.name for part in column.parts[1:]]
        named = rest[0] if rest and (first in tables or first in inner) else first
        if rest and first in tables and tables[first].db:
            yield Origin(named, f"{tables[first].db}.{tables[first].name}")
        elif inner:
            yield from _from_queries(list(inner.values()), named, before)
        else:
            yield from before.get(named, ())


def _from_queries(queries: list[exp.Subquery], name: str, before: Lineage) -> Iterator[Origin]:
    """Those of the column ``name`` of queries in FROM, whatever branch of a UNION gives it."""
    for query in queries:
        for branch in query.find_all(exp.Select):
            for projection in branch.selects:
                if projection.is_star:
                    yield from before.get(name, ())
                elif projection.alias_or_name == name:
                    yield from _origins(projection, branch, before)


def _read_by(select: exp.Select) -> Iterator[exp.Expr]:
    """What stands in FROM and JOIN."""
    for clause in (select.args.get("from_"), *(select.args.get("joins") or ())):
        if clause is not None:
            yield clause.this


def untouched(select: exp.Select) -> dict[str, str]:
    """Column of ``input`` -> output column, for those that at most change their name."""
    found: dict[str, str] = {}
    for projection in select.selects:
        if (name := _column_of_input(projection)) is not None:
            found.setdefault(name, projection.alias_or_name)
    return found


def _column_of_input(projection: exp.Expr) -> str | None:
    """The column of ``input`` that a projection is, whatever its new name; a field of a structure is none."""
    column = projection.unalias()
    if not isinstance(column, exp.Column):
        return None
    *before, name = [part.name for part in column.parts]
    return name if before in ([], ["input"]) else None


def carry(select: exp.Select, column: str, alias: str) -> None:
    """Pass ``column`` on as ``alias``, besides what the step says."""
    projection = exp.alias_(
        exp.column(exp.to_identifier(column, quoted=True), table=exp.to_identifier("input")), alias, quoted=True
    )
    select.select(projection, append=True, copy=False)


def keep_too(select: exp.Select, flags: list[str]) -> None:
    """Keep rows that one of the columns ``flags`` is TRUE for, whatever the condition of a filter says of them."""
    where = select.args.get("where")
    if where is not None and flags:
        kept = [exp.column(exp.to_identifier(name, quoted=True), table="input") for name in flags]
        where.set("this", exp.or_(where.this, *kept))


def call(select: exp.Select, names: Mapping[str, str]) -> None:
    """Call functions by other names: ``names`` maps those the step uses to those the engine knows."""
    for each in select.find_all(exp.Anonymous):
        each.set("this", names.get(each.name, each.this))


def read_from(select: exp.Select, name: str) -> None:
    """Read the table ``name`` where the step says ``input``."""
    for table in select.find_all(exp.Table):
        if table.name == "input" and not table.db:
            alias = table.alias or "input"
            table.replace(exp.alias_(exp.to_table(name), alias, table=True))
