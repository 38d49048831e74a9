"""The SELECT of one step as a syntax tree: which columns it leaves untouched, and what else it passes on."""

from collections.abc import Mapping

import sqlglot
from sqlglot import exp


def parse(query: str) -> exp.Select:
    """The tree of a SELECT in DuckDB's dialect."""
    return sqlglot.parse_one(query, read="duckdb", into=exp.Select)


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
