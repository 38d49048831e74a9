"""Declared steps -> ONE SQL query over the source's rows, and which column came from which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dataflow_platform.core.base import Column, Session, Transformation
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.sql import quote

CARRIED_CURSOR = "_dataflow_cursor"
_ORIGIN = "_dataflow_origin_"


@dataclass(frozen=True)
class Query:
    """The composed query, its output and where each output column comes from.

    ``lineage`` maps an output column to the source columns it is computed from. ``cursor`` is the
    output column that holds the source's cursor: the column itself where it survives untouched,
    else ``CARRIED_CURSOR``, which travels along and is dropped before publishing.
    """

    sql: str
    columns: tuple[str, ...]
    lineage: Mapping[str, tuple[str, ...]]
    drops_rows: bool
    cursor: str | None
    plain: Mapping[str, str] = field(default_factory=dict)
    """Source column -> output column, for those that only changed their name."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Extracted column -> column of the query that holds its value as it was before the steps."""
    hidden: tuple[str, ...] = ()
    """The columns that only travel along for ``origins``."""


def compose(
    extracted: str,
    columns: Sequence[str],
    steps: Sequence[Transformation],
    cursor: str | None,
    keep: Sequence[str] = (),
) -> Query:
    """One query with the steps as common table expressions, in order. Raises ConfigError for a bad step.

    ``keep``: columns of ``extracted``, seen by the steps (in ``columns``) or not, whose values are wanted as they are.
    """
    names = list(columns)
    ctes = [f"step_0 AS ({extracted})"]
    lineage: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    plain: dict[str, str] = {name: name for name in names}
    parsed = []
    if steps:  # the parser is imported where there is something to parse
        from dataflow_platform.engine import step_tree
    for position, step in enumerate(steps):
        try:
            select = step_tree.parse(step.apply(names))
        except DataflowError as error:
            raise error.at(Location(path=f"transform[{position}]")) from None
        lineage = {projection.alias_or_name: step_tree.sources(projection, lineage) for projection in select.selects}
        renamed = step_tree.renamed(select)
        plain = {origin: renamed[now] for origin, now in plain.items() if now in renamed}
        names = [projection.alias_or_name for projection in select.selects]
        parsed.append(select)
    carried = cursor is not None and cursor not in plain
    lost = {name: f"{_ORIGIN}{place}" for place, name in enumerate(name for name in keep if name not in plain)}
    for position, select in enumerate(parsed):
        for name, alias in lost.items():
            step_tree.carry(select, name if position == 0 else alias, alias)
        if carried and cursor is not None:
            step_tree.carry(select, cursor if position == 0 else CARRIED_CURSOR, CARRIED_CURSOR)
        step_tree.read_from(select, f"step_{position}")
        ctes.append(f"step_{position + 1} AS ({select.sql(dialect='duckdb')})")
    kept = CARRIED_CURSOR if carried else plain.get(cursor) if cursor else None
    output = [*names, CARRIED_CURSOR] if carried else names
    selected = ", ".join(quote(name) for name in output)
    for name, alias in lost.items():
        selected += f", {quote(alias if steps else name)} AS {quote(alias)}"
    return Query(
        sql=f"WITH {', '.join(ctes)} SELECT {selected} FROM step_{len(steps)}",
        columns=tuple(names),
        lineage=lineage,
        drops_rows=any(step.drops_rows for step in steps),
        cursor=kept,
        plain=plain,
        origins={name: lost.get(name, plain.get(name, name)) for name in keep},
        hidden=tuple(lost.values()),
    )


def describe(session: Session, query: Query) -> tuple[Column, ...]:
    """The output columns with their types; a ConfigError where DuckDB cannot bind the query."""
    import duckdb

    try:
        rows = session.in_engine(f"DESCRIBE {query.sql}")
    except duckdb.Error as error:
        raise ConfigError(
            "transform.binding",
            f"the steps do not fit the stream's columns: {str(error).splitlines()[0]}",
            where="transform",
            fix="correct the expression; types are DuckDB's",
        ) from error
    unseen = {CARRIED_CURSOR, *query.hidden}
    return tuple(Column(str(name), str(kind)) for name, kind, *_ in rows if name not in unseen)
