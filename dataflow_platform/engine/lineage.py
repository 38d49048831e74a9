"""From which columns of the source, or of other tables, a step computes each of its columns."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlglot import exp


class Origin(NamedTuple):
    """A column of the stream's source, or of the ``table`` (``schema.table``) a step reads beside it."""

    column: str
    table: str = ""


Lineage = Mapping[str, tuple[Origin, ...]]
"""Column -> the columns whose values it is computed from."""


def after(select: exp.Select, before: Lineage) -> dict[str, tuple[Origin, ...]]:
    """The lineage of a step's columns; ``before`` is that of the table ``input``."""
    return {each.alias_or_name: tuple(dict.fromkeys(_origins(each, select, before))) for each in select.selects}


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
                if projection.alias_or_name == name:
                    yield from _origins(projection, branch, before)


def _read_by(select: exp.Select) -> Iterator[exp.Expr]:
    """What stands in FROM and JOIN."""
    for clause in (select.args.get("from_"), *(select.args.get("joins") or ())):
        if clause is not None:
            yield clause.this
