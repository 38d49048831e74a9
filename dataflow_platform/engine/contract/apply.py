"""Does to the target, and to a staging table that will become the target, what the plan says."""

from collections.abc import Sequence
from dataclasses import replace

from dataflow_platform.core import injection
from dataflow_platform.core.base import DestinationFacts, Session, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine.contract.plan import Alteration, SchemaPlan

_DONE = {
    "add_column": "add column '{column}'",
    "rename_column": "rename column '{column}'",
    "widen_type": "change the type of column '{column}' to {argument}",
    "grow_nested": "change the fields of column '{column}' to {argument}",
    "drop_not_null": "drop NOT NULL of column '{column}'",
}


def refuse_unable(plan: SchemaPlan, facts: DestinationFacts, table: Table) -> SchemaPlan:
    """``plan`` with a refusal for each change that a destination of these facts cannot make."""
    needed = [*plan.alterations, *(guard.alteration for guard in plan.guards if guard.alteration)]
    refusals = [
        DataError(
            "contract.unsupported",
            f"{facts.title} cannot {_DONE[each.needs].format(column=each.column, argument=each.argument)}",
            where=f"{table.schema}.{table.name}",
            fix="set the contract to freeze, discard or quarantine there, or rebuild the table (load: replace)",
        )
        for each in needed
        if each.needs not in facts.evolutions
    ]
    return replace(plan, refusals=(*plan.refusals, *refusals))


def settled(plan: SchemaPlan, counts: Sequence[int]) -> SchemaPlan:
    """``plan`` with its guards answered by the rows that fulfil each; DataError where one of them forbids the load."""
    done, needed = list(plan.alterations), set()
    for guard, rows in zip(plan.guards, counts, strict=True):
        if rows and guard.alteration is None:
            told = guard.refusal
            raise DataError(told.code, told.what.format(rows=f"{rows:,} rows"), where=told.where, fix=told.fix)
        if rows and guard.alteration is not None:
            done.append(guard.alteration)
            needed.add((guard.dimension, guard.path))
    changes = tuple(
        replace(change, if_needed="")
        for change in plan.changes
        if not change.if_needed or (change.dimension, change.path) in needed
    )
    free = {path for dimension, path in needed if dimension == "nullability"}
    return replace(plan, changes=changes, alterations=tuple(done), required=plan.required - free)


def alter_target(session: Session, plan: SchemaPlan, target: Table) -> None:
    """Change the target's schema as planned, in the session's transaction."""
    for alteration in plan.alterations:
        session.execute(f"ALTER TABLE {qualified(target.schema, target.name)} {_statement(alteration)}")
        injection.reach("schema_changed")


def _statement(alteration: Alteration) -> str:
    column = quote(alteration.column)
    if alteration.needs == "add_column":
        return f"ADD COLUMN {column} {alteration.argument}"
    if alteration.needs == "rename_column":
        return f"RENAME COLUMN {column} TO {quote(alteration.argument)}"
    if alteration.needs == "drop_not_null":
        return f"ALTER COLUMN {column} DROP NOT NULL"
    return f"ALTER COLUMN {column} SET DATA TYPE {alteration.argument}"


def fit_query(query: str, plan: SchemaPlan) -> str:
    """``query`` with the columns spelled and typed as the target has them, where no value can be lost by it."""
    casts = [
        f"CAST({quote(each.source)} AS {each.type}) AS {quote(each.source)}"
        for each in plan.fitted
        if each.cast == "staging"
    ]
    names = [f"{quote(each.source)} AS {quote(each.name)}" for each in plan.fitted if each.source != each.name]
    if not casts and not names:
        return query
    replaced = f" REPLACE ({', '.join(casts)})" if casts else ""
    spelled = f" RENAME ({', '.join(names)})" if names else ""
    return f"SELECT *{replaced}{spelled} FROM ({query}) AS fitted"


def as_loaded(query: str, plan: SchemaPlan) -> str:
    """``query`` over staged rows with the values that will be loaded, also where they are cast later."""
    casts = [
        f"TRY_CAST({quote(each.name)} AS {each.type}) AS {quote(each.name)}"
        for each in plan.fitted
        if each.cast == "afterwards"
    ]
    return f"SELECT * REPLACE ({', '.join(casts)}) FROM ({query}) AS staged" if casts else query


def fit_rows(session: Session, plan: SchemaPlan, staged: Table) -> None:
    """Cast the staged rows that were left after those that do not fit were set aside."""
    casts = [each for each in plan.fitted if each.cast == "afterwards"]
    if not casts:
        return
    # DuckDB commits no DELETE together with an ALTER of the same table.
    session.settle()
    for each in casts:
        # TRY: DuckDB converts the rows that were deleted as well.
        name, table = quote(each.name), qualified(staged.schema, staged.name)
        session.in_engine(
            f"ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {each.type} USING TRY_CAST({name} AS {each.type})"
        )
    session.settle()


def fit_stage(session: Session, plan: SchemaPlan, staged: Table) -> None:
    """Give a staging table that will become the target the schema the plan promises."""
    name = qualified(staged.schema, staged.name)
    for each in plan.fitted:
        if not each.loaded:
            session.in_engine(f"ALTER TABLE {name} DROP COLUMN {quote(each.name)}")
    for column in plan.absent:
        session.in_engine(f"ALTER TABLE {name} ADD COLUMN {quote(column.name)} {column.type}")
    for required in sorted(plan.required):
        session.in_engine(f"ALTER TABLE {name} ALTER COLUMN {quote(required)} SET NOT NULL")
