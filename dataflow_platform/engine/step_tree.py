"""The SELECT of one step as a syntax tree: where its columns come from, and what else it passes on."""

from collections.abc import Mapping

import sqlglot
from sqlglot import exp


def parse(query: str) -> exp.Select:
    """The tree of a SELECT in DuckDB's dialect."""
    return sqlglot.parse_one(query, read="duckdb", into=exp.Select)


def sources(projection: exp.Expr, before: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What a column is computed from, in terms of ``before``: input column -> where that one comes from."""
    found: dict[str, None] = {}
    for column in projection.find_all(exp.Column):
        # `addr.city` may be a field of column addr: the first part that is a column is the source.
        root = next((part.name for part in column.parts if part.name in before), column.name)
        found.update(dict.fromkeys(before.get(root, ())))
    return tuple(found)


def renamed(select: exp.Select) -> dict[str, str]:
    """Input column -> output column, for those that are passed on as they are."""
    return {
        projection.unalias().name: projection.alias_or_name
        for projection in select.selects
        if isinstance(projection.unalias(), exp.Column)
    }


def carry(select: exp.Select, column: str, alias: str) -> None:
    """Pass ``column`` on as ``alias``, besides what the step says."""
    projection = exp.alias_(exp.column(exp.to_identifier(column, quoted=True)), alias, quoted=True)
    select.select(projection, append=True, copy=False)


def read_from(select: exp.Select, name: str) -> None:
    """Read the table ``name`` where the step says ``input``."""
    for table in select.find_all(exp.Table):
        if table.name == "input":
            alias = table.alias or "input"
            table.replace(exp.alias_(exp.to_table(name), alias, table=True))
