"""What the steps of a stream give, told step by step over tables without rows before anything is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.spilling_engine import only_tables
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.core.transformation import FLAG, RowsFunction, flag
from dataflow_platform.engine import references
from dataflow_platform.engine.lineage import Relation, of_table
from dataflow_platform.engine.masking import ClearValues
from dataflow_platform.engine.step_functions import StepFunctions

if TYPE_CHECKING:
    from sqlglot import exp

_SHOWN = 20  # columns in an error

StepAt = Callable[[int], Location]
"""Where the step of a position stands, for errors."""


def by_position(position: int) -> Location:
    """Where a step stands, as far as its position says."""
    return Location(path=f"transform[{position}]")


@dataclass
class TypedStep:
    """One step over the columns it gets."""

    select: "exp.Select"
    gives: Sequence[Column]
    flagged_before: list[str]
    """The rules of the steps before it."""
    rows_function: RowsFunction | None


@dataclass
class TypedSteps:
    """What is known of the steps without a row."""

    columns: Sequence[Column]
    """Those behind the last step."""
    lineage: Relation
    plain: Mapping[str, str]
    """Source column -> output column, for those that only changed their name."""
    clear: ClearValues
    """Where steps mask: what carries clear values by now."""
    steps: list[TypedStep] = field(default_factory=list)


def typed(
    columns: Sequence[Column],
    steps: Sequence[Transformation],
    tables: Tables,
    at: StepAt,
    functions: StepFunctions,
    engine: duckdb.DuckDBPyConnection | None = None,
) -> TypedSteps:
    """What ``steps`` make of ``columns``; ConfigError for a bad step, placed ``at`` it.

    ``engine``: a ``locked_engine`` that many streams are typed in, one after the other; one of its own if absent.
    """
    names = [column.name for column in columns]
    found = TypedSteps(columns, of_table(names), {name: name for name in names}, ClearValues(of_table(names), steps))
    if steps:
        with nullcontext(engine) if engine is not None else locked_engine() as engine:
            _expose(tables, engine)
            for position, step in enumerate(steps):
                try:
                    _add(found, step, [each for before in steps[:position] for each in before.rules()], tables,
                         functions, engine)  # fmt: skip
                except DataflowError as error:
                    raise error.at(at(position)) from None
    return found


@contextmanager
def locked_engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine that can reach nothing: no file, no network, no setting.

    A user's SQL is bound here first, whatever the list of allowed expressions may have let through.
    """
    with duckdb.connect(":memory:", config={"threads": "1"}) as engine:
        only_tables(engine)
        engine.execute("SET enable_external_access = false")
        engine.execute("SET lock_configuration = true")
        yield engine


def _expose(tables: Tables, engine: duckdb.DuckDBPyConnection) -> None:
    """Let ``engine`` know ``tables``, without their rows."""
    for table, columns in tables.items():
        schema, _, name = table.rpartition(".")
        held = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
        engine.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        engine.execute(f"CREATE OR REPLACE TABLE {qualified(schema, name)} ({held})")


def _add(
    found: TypedSteps,
    step: Transformation,
    flagged: list[str],
    tables: Tables,
    functions: StepFunctions,
    engine: duckdb.DuckDBPyConnection,
) -> None:
    from dataflow_platform.engine import query_lineage, step_tree

    _refuse_lost(step, flagged)
    before, rows_function = found.columns, step.rows_function(found.columns)
    if rows_function is not None:
        given = [column.name for column in rows_function.gives]
        select, after = step_tree.parse(f"SELECT {', '.join(map(quote, given))} FROM input"), list(rows_function.gives)
        now = {}
    else:
        references.bring(step.references(), functions.connection, engine, functions.only_types)
        select = step_tree.parse(step.apply(before, tables))
        step_tree.call(select, functions.add(step.functions(before), engine))
        after = _after(engine, select, before)
        now = step_tree.untouched(select)
    beside = {name: of_table([column.name for column in known], name) for name, known in tables.items()}
    # What a file says is nobody's column.
    beside |= {each.name: Relation({name: {} for name in each.columns}) for each in step.references()}
    declared, masked = step.computed_from(before), step.masks(before)
    rules = [flag(rule) for rule in step.rules()]

    def through(given: Relation) -> Relation:
        """The lineage behind the step, where ``given`` is that before it."""
        if rows_function is None:
            made = query_lineage.lineage_of(select, {**beside, "input": given})
        else:
            made = Relation({column.name: {} for column in after}, given.any_decides())
        return made.declared(declared, given, masked).chosen([column.name for column in after], rules)

    found.clear.follow(step, before, found.plain, through)
    found.lineage, found.columns = through(found.lineage), after
    found.plain = {origin: now[name] for origin, name in found.plain.items() if name in now}
    found.steps.append(TypedStep(select, after, flagged, rows_function))


def _refuse_lost(step: Transformation, flagged: list[str]) -> None:
    """ConfigError where rows that a step before has set aside would be lost, or judged twice by one rule."""
    if flagged and step.rows != "same" and step.condition() is None:
        raise ConfigError(
            "transform.judged_before",
            f"the step chooses or makes rows, and would lose those that rule '{flagged[0]}' of a step before sets "
            "aside",
            fix="put it before that step, or let that step make NULL of the value (misfit: null); a filter may follow",
        )
    for rule in step.rules():
        if rule in flagged:
            raise ConfigError(
                "check.duplicate",
                f"two steps judge rows by a rule '{rule}'",
                fix="let one of them do it: the other gets only values that fit",
            )


def _after(engine: duckdb.DuckDBPyConnection, select: "exp.Select", before: Sequence[Column]) -> list[Column]:
    """The columns a step gives, by a table without rows that has the columns it gets."""
    sql = f"DESCRIBE WITH input AS (SELECT {nothing(before)}) SELECT * FROM ({select.sql(dialect='duckdb')})"
    try:
        given = [Column(str(name), str(kind)) for name, kind, *_ in engine.execute(sql).fetchall()]
        return [column for column in given if not column.name.startswith(FLAG)]
    except duckdb.Error as error:
        raise ConfigError(
            "transform.binding",
            f"the step does not fit the columns it gets: {str(error).splitlines()[0]}",
            fix="correct the step; it gets " + ", ".join(f"{column.name} {column.type}" for column in before[:_SHOWN]),
        ) from error


def nothing(columns: Sequence[Column]) -> str:
    """What a SELECT says to have one row of NULLs in ``columns``."""
    return ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in columns) or "NULL AS nothing"
