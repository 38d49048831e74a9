"""Declared steps -> ONE SQL query over the source's rows, and which column came from which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from dataflow_platform.core.base import Column, Session, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.sql import quote
from dataflow_platform.core.transformation import FLAG, flag
from dataflow_platform.engine.lineage import Lineage, Origin
from dataflow_platform.engine.masking import ClearValues, hides
from dataflow_platform.engine.step_functions import StepFunctions

if TYPE_CHECKING:
    from sqlglot import exp

CARRIED_CURSOR = "_dataflow_cursor"
_ORIGIN = "_dataflow_origin_"
_SHOWN = 20  # columns in an error


@dataclass(frozen=True)
class Query:
    """The composed query, its output and where each output column comes from.

    ``lineage`` maps an output column to the columns it is computed from. ``cursor`` is the output column that holds
    the source's cursor: the column itself where it survives untouched, else ``CARRIED_CURSOR``, which travels along
    and is dropped before publishing.
    """

    sql: str
    columns: tuple[str, ...]
    lineage: Lineage
    counted_at_source: bool
    """The steps change the number of rows: what was read has to be counted before them."""
    makes_rows: bool
    """There may be more rows than were read."""
    cursor: str | None
    plain: Mapping[str, str] = field(default_factory=dict)
    """Source column -> output column, for those that only changed their name."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Extracted column -> column of the query that holds its value as it was before the steps."""
    hidden: tuple[str, ...] = ()
    """The columns that only travel along, for ``origins`` and ``rules``."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """The rules of the steps: name -> what is wrong with a row whose hidden column ``flag(name)`` is TRUE."""
    masked: frozenset[str] = frozenset()
    """Output columns that a masked value went into."""
    secret: frozenset[str] = frozenset()
    """Source columns of which nothing clear may be written: steps mask what was made of them."""
    holds_rows: bool = False
    """The engine has to hold rows to run it, and may spill them."""


StepAt = Callable[[int], Location]
"""Where the step of a position stands, for errors."""


def by_position(position: int) -> Location:
    """Where a step stands, as far as its position says."""
    return Location(path=f"transform[{position}]")


def refuse_unfit(steps: Sequence[Transformation], cursor: str | None, at: StepAt = by_position) -> None:
    """ConfigError where a step makes its rows anew and only new rows will be read."""
    for position, step in enumerate(steps):
        if step.rows == "anew" and cursor is not None:
            raise ConfigError(
                "transform.needs_all",
                "the step needs all rows, and with a cursor it gets only those that are new",
                where=at(position),
                fix="leave the cursor away (load: replace), or do it in a dbt model over the loaded table",
            )


def compose(
    connection: duckdb.DuckDBPyConnection,
    extracted: str,
    columns: Sequence[Column],
    steps: Sequence[Transformation],
    cursor: str | None,
    keep: Sequence[str] = (),
    tables: Tables | None = None,
    at: StepAt = by_position,
    functions: StepFunctions | None = None,
) -> Query:
    """One query with the steps as common table expressions, in order. ConfigError for a bad step, placed ``at`` it.

    What each step gets, and its types, is inferred by ``connection`` from ``columns``; nothing is asked of the source.
    ``keep``: columns of ``extracted``, seen by the steps (in ``columns``) or not, whose values are wanted as they are.
    ``tables``: those the steps read, which ``connection`` knows by their names.
    ``functions``: where steps may have functions of their own; the query runs while they are open.
    """
    if any(step.rows == "anew" for step in steps):
        keep = ()  # of rows that are made anew none is the origin
    if steps:  # the parser is imported where there is something to parse
        from dataflow_platform.engine import step_tree
    found = _infer(connection, columns, steps, tables or {}, at, functions, cursor)
    names, plain = [column.name for column in found.columns], found.plain
    ctes = [f"step_0 AS ({extracted})"]
    carried = cursor is not None and cursor not in plain
    lost = {name: f"{_ORIGIN}{place}" for place, name in enumerate(name for name in keep if name not in plain)}
    for position, select in enumerate(found.selects):
        for name, alias in lost.items():
            step_tree.carry(select, name if position == 0 else alias, alias)
        if carried and cursor is not None:
            step_tree.carry(select, cursor if position == 0 else CARRIED_CURSOR, CARRIED_CURSOR)
        for rule in found.flagged_before[position]:
            step_tree.carry(select, flag(rule), flag(rule))
        # Invariant 2, nothing lost: a filter does not hide a row that a step before has set aside.
        step_tree.keep_too(select, [flag(rule) for rule in found.flagged_before[position]])
        step_tree.read_from(select, f"step_{position}")
        ctes.append(f"step_{position + 1} AS ({select.sql(dialect='duckdb')})")
    kept = CARRIED_CURSOR if carried else plain.get(cursor) if cursor else None
    rules = {name: wrong for step in steps for name, wrong in step.rules().items()}
    output = [*names, *([CARRIED_CURSOR] if carried else []), *map(flag, rules)]
    selected = ", ".join(quote(name) for name in output)
    for name, alias in lost.items():
        selected += f", {quote(alias if steps else name)} AS {quote(alias)}"
    return Query(
        sql=f"WITH {', '.join(ctes)} SELECT {selected} FROM step_{len(steps)}",
        columns=tuple(names),
        lineage=found.lineage,
        counted_at_source=any(step.rows != "same" for step in steps),
        makes_rows=any(step.rows in ("more", "anew") for step in steps),
        cursor=kept,
        plain=plain,
        origins={name: lost.get(name, plain.get(name, name)) for name in keep},
        hidden=(*lost.values(), *map(flag, rules)),
        rules=rules,
        masked=found.clear.masked,
        secret=found.clear.secret(),
        holds_rows=found.holds_rows,
    )


@dataclass
class _Inferred:
    """What is known of the steps without a row: their SELECTs, and the columns behind the last."""

    selects: "list[exp.Select]"
    columns: Sequence[Column]
    lineage: Lineage
    plain: Mapping[str, str]
    clear: ClearValues
    flagged_before: list[list[str]] = field(default_factory=list)
    """The rules of the steps before each step."""
    holds_rows: bool = False


def _infer(
    connection: duckdb.DuckDBPyConnection,
    columns: Sequence[Column],
    steps: Sequence[Transformation],
    tables: Tables,
    at: StepAt,
    functions: StepFunctions | None,
    cursor: str | None,
) -> _Inferred:
    names = [column.name for column in columns]
    itself: Lineage = {name: (Origin(name),) for name in names}
    found = _Inferred([], columns, itself, {name: name for name in names}, ClearValues(itself))
    if steps:
        from dataflow_platform.engine import step_tree
    masking = hides(steps)
    for position, step in enumerate(steps):
        try:
            select = step_tree.parse(step.apply(found.columns, tables))
            flagged = [rule for before in steps[:position] for rule in before.rules()]
            if flagged and step.rows != "same" and step.condition() is None:
                raise _judged_before(flagged[0])
            _refuse_twice(step, flagged)
            own = step.functions(found.columns)
            if own and functions is not None:
                step_tree.call(select, functions.add(own))
            declared = step.computed_from(found.columns)
            if masking:
                found.clear.follow(position, step, select, found.columns, found.plain)
            found.holds_rows |= step.rows == "anew" or step_tree.holds_rows(select)
            found.columns = _after(connection, select, found.columns)
        except DataflowError as error:
            raise error.at(at(position)) from None
        lineage = step_tree.declared_lineage(select, found.lineage, declared)
        found.lineage = {column.name: lineage[column.name] for column in found.columns}
        found.flagged_before.append(flagged)
        now = step_tree.untouched(select)
        found.plain = {origin: now[name] for origin, name in found.plain.items() if name in now}
        found.selects.append(select)
    found.clear.refuse([column.name for column in found.columns], cursor, at)
    return found


def _judged_before(rule: str) -> ConfigError:
    return ConfigError(
        "transform.judged_before",
        f"the step chooses or makes rows, and would lose those that rule '{rule}' of a step before sets aside",
        fix="put it before that step, or let that step make NULL of the value (misfit: null); a filter may follow",
    )


def _refuse_twice(step: Transformation, flagged: Sequence[str]) -> None:
    for rule in step.rules():
        if rule in flagged:
            raise ConfigError(
                "check.duplicate",
                f"two steps judge rows by a rule '{rule}'",
                fix="let one of them do it: the other gets only values that fit",
            )


def _after(connection: duckdb.DuckDBPyConnection, select: "exp.Select", before: Sequence[Column]) -> list[Column]:
    """The columns a step gives, by a table without rows that has the columns it gets."""
    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in before) or "NULL AS nothing"
    sql = f"DESCRIBE WITH input AS (SELECT {empty}) {select.sql(dialect='duckdb')}"
    try:
        given = [Column(str(name), str(kind)) for name, kind, *_ in connection.execute(sql).fetchall()]
        return [column for column in given if not column.name.startswith(FLAG)]
    except duckdb.Error as error:
        raise ConfigError(
            "transform.binding",
            f"the step does not fit the columns it gets: {str(error).splitlines()[0]}",
            fix="correct the step; it gets " + ", ".join(f"{column.name} {column.type}" for column in before[:_SHOWN]),
        ) from error


def describe(session: Session, query: Query) -> tuple[Column, ...]:
    """The output columns with their types; a ConfigError where DuckDB cannot bind the query."""
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
