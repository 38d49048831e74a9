"""Declared steps -> ONE SQL query over the source's rows, and which column came from which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from dataflow_platform.core.base import Column, Session, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import quote
from dataflow_platform.core.transformation import flag
from dataflow_platform.engine import step_typing
from dataflow_platform.engine.lineage import Relation
from dataflow_platform.engine.step_functions import StepFunctions
from dataflow_platform.engine.step_typing import StepAt, by_position

CARRIED_CURSOR = "_dataflow_cursor"
_ORIGIN = "_dataflow_origin_"


@dataclass(frozen=True)
class Query:
    """The composed query, its output and where each output column comes from.

    ``lineage``: of which source columns the output is made. ``cursor`` is the output column that holds
    the source's cursor: the column itself where it survives untouched, else ``CARRIED_CURSOR``, which travels along
    and is dropped before publishing.
    """

    sql: str
    columns: tuple[str, ...]
    lineage: Relation
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
    selects: tuple[str, ...] = ()
    """The SELECT of each step, over ``step_0`` (the extracted rows), ``step_1`` and so on."""
    output: tuple[str, ...] = ()
    """The columns the query takes of the last of them, ``hidden`` ones and the carried cursor among them."""
    secret: frozenset[str] = frozenset()
    """Source columns of which nothing clear may be written: steps mask what was made of them."""
    blurred: frozenset[str] = frozenset()
    """Output columns in which values that differed may have become equal: masked ones."""


def refuse_unfit(steps: Sequence[Transformation], cursor: str | None, at: StepAt = by_position) -> None:
    """ConfigError where a step needs all rows and only new rows will be read."""
    for position, step in enumerate(steps):
        if step.needs_all and cursor is not None:
            raise ConfigError(
                "transform.needs_all",
                "the step needs all rows, and with a cursor it gets only those that are new",
                where=at(position),
                fix="leave the cursor away (load: replace), or do it in a dbt model over the loaded table",
            )


def compose(
    extracted: str,
    columns: Sequence[Column],
    steps: Sequence[Transformation],
    cursor: str | None,
    functions: StepFunctions,
    keep: Sequence[str] = (),
    tables: Tables | None = None,
    at: StepAt = by_position,
) -> Query:
    """One query with the steps as common table expressions, in order. ConfigError for a bad step, placed ``at`` it.

    What each step gets, and its types, is inferred from ``columns``; nothing is asked of the source.
    ``keep``: columns of ``extracted``, seen by the steps (in ``columns``) or not, whose values are wanted as they are.
    ``tables``: those the steps read, which the engine knows by their names.
    ``functions``: holds the functions of Python that steps bring; the query can be run while it is open.
    """
    if any(step.rows == "anew" for step in steps):
        # Of rows that are made anew none is the origin; and `*` is what a step may see.
        keep, extracted = (), f"SELECT {', '.join(quote(column.name) for column in columns)} FROM ({extracted})"
    found = step_typing.typed(columns, steps, tables or {}, at, functions)
    found.clear.refuse(cursor, at)
    names, plain = [column.name for column in found.columns], found.plain
    carried = cursor is not None and cursor not in plain
    lost = {name: f"{_ORIGIN}{place}" for place, name in enumerate(name for name in keep if name not in plain)}
    ctes, selects = _chained(extracted, columns, found, lost, cursor if carried else None, functions)
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
        selects=tuple(selects),
        output=(*output, *lost.values()),
        secret=found.clear.secret(),
        blurred=found.clear.blurred,
    )


def _chained(
    extracted: str,
    columns: Sequence[Column],
    found: step_typing.TypedSteps,
    lost: Mapping[str, str],
    carried: str | None,
    functions: StepFunctions,
) -> tuple[list[str], list[str]]:
    """The common table expressions ``step_0`` (what was extracted) to ``step_<n>``, and each step's SELECT in them.

    Where rows go through a function over all rows, the chain ends there and begins anew behind it.
    """
    if found.steps:  # the parser is imported where there is something to parse
        from dataflow_platform.engine import step_tree
    ctes, selects, given = [f"step_0 AS ({extracted})"], list[str](), columns
    for position, step in enumerate(found.steps):
        if step.rows_function is not None:
            names = ", ".join(quote(column.name) for column in given)
            relation = functions.pass_rows(
                f"WITH {', '.join(ctes)} SELECT {names} FROM step_{position}", step.rows_function
            )
            # Arrow has no UUID or JSON of its own: what comes back is brought into the declared types.
            typed = ", ".join(f"CAST({quote(each.name)} AS {each.type}) AS {quote(each.name)}" for each in step.gives)
            ctes = [f"step_{position} AS (SELECT {typed} FROM {relation})"]
        for name, alias in lost.items():
            step_tree.carry(step.select, name if position == 0 else alias, alias)
        if carried is not None:
            step_tree.carry(step.select, carried if position == 0 else CARRIED_CURSOR, CARRIED_CURSOR)
        for rule in step.flagged_before:
            step_tree.carry(step.select, flag(rule), flag(rule))
        # Invariant 2, nothing lost: a filter does not hide a row that a step before has set aside.
        step_tree.keep_too(step.select, [flag(rule) for rule in step.flagged_before])
        step_tree.read_from(step.select, f"step_{position}")
        selects.append(step.select.sql(dialect="duckdb"))
        ctes.append(f"step_{position + 1} AS ({selects[-1]})")
        given = step.gives
    return ctes, selects


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
