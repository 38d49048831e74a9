"""The rows in quarantine of one earlier load, as the source gave them, through the stream's steps and rules."""

import json
from dataclasses import dataclass
from datetime import datetime

import sqlglot
from sqlglot import exp

from dataflow_platform.core.base import Column, LoadPlan, Session, Statement, Table
from dataflow_platform.core.errors import DataError, unknown_name
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import (
    broken_checks,
    exact_values,
    planning,
    rejected,
    step_functions,
    transform,
    upstream,
    validate,
)
from dataflow_platform.engine.contract import SchemaPlan, apply
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

PICKED = Table("temp", "_dataflow_picked")
"""The rows to replay: ``quarantine_id``, ``load_id``, ``source_values``, ``source_types``, ``reasons``, ``changed``
(somebody corrected it), ``clears_partition``, and ``refusal``: why a row cannot be replayed."""
OUTCOME = Table("temp", "_dataflow_outcome")
"""What became of them: ``replayed``, ``open`` (with new ``reasons`` and ``row_values``) or ``left_out``."""
ID, CLEARS = "_dataflow_id", "_dataflow_clears"


@dataclass(frozen=True)
class Batch:
    """The rows of one earlier load that pass: ``table`` in the engine, with ``ID`` and ``CLEARS`` as columns of it.

    ``place`` is the load's number in the order of commits.
    """

    load_id: str
    place: int
    table: Table
    plan: SchemaPlan
    load_plan: LoadPlan
    added: tuple[str, ...]
    """The columns the load strategy adds."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the rows that the target has, the strategy's own among them."""
        return (*self.load_plan.columns, *self.added)

    def insert(self, brought: Table) -> Statement:
        """Add the rows, where the destination sees them."""
        return self.load_plan.insert(qualified(brought.schema, brought.name))


def judge(session: Session, load: StreamLoad, load_id: str, started_at: datetime, types: str, place: int) -> Batch:
    """Put the picked rows of one load through steps and rules; their outcome is noted, those that pass are kept."""
    with step_functions.opened(session.connection) as functions:
        return _judged(session, load, load_id, started_at, types, place, functions)


def _judged(
    session: Session,
    load: StreamLoad,
    load_id: str,
    started_at: datetime,
    types: str,
    place: int,
    functions: step_functions.StepFunctions,
) -> Batch:
    result = StagedLoad(load, session, started_at)
    kinds: dict[str, str] = json.loads(types)
    mine = f"load_id = {literal(load_id)} AND source_types = {literal(types)} AND refusal IS NULL"
    _refuse_unreadable(session, kinds, mine)
    rows = (
        f"SELECT {exact_values.selected(kinds, 'source_values')}, quarantine_id AS {quote(ID)}, "
        f"clears_partition AS {quote(CLEARS)} FROM {PICKED.sql} WHERE {mine}"
    )
    if load.stream.cursor is not None and load.stream.cursor not in kinds:
        raise unknown_name("column", load.stream.cursor, kinds, "the rows do not have it").at_path("cursor")
    columns = [Column(name, kind) for name, kind in kinds.items()]
    query = transform.compose(
        rows, columns, load.steps, load.stream.cursor, functions, (ID, CLEARS),
        upstream.of_steps(load, session), load.step_at,
    )  # fmt: skip
    _refuse_windows(query.sql, load)
    planning.plan(result, query)
    planning.refuse(result)
    result.rules = [*planning.own_rules(result, query), *validate.compile_rules(load.checks, result.columns)]
    _refuse_compared(result, mine)
    functions.add_rules(result.rules)
    upstream.expose_to_checks(load, session)
    upstream.keep_promises(load, session)
    broken_checks.guard(result)
    judged = validate.with_masks(planning.staged_query(query.sql, result), result.rules, apart=True)
    table = _keep(session, result, judged, query)
    _refuse_crashed(result)
    shape, plan = result.shape, result.plan
    assert shape is not None
    assert plan is not None
    load_plan = LoadPlan(
        target=load.target,
        staged=table,
        incoming=table,
        columns=tuple(column.name for column in plan.columns),
        primary_key=result.primary_key,
        cursor=result.cursor,
        target_is_new=False,
        loaded_at=started_at,
        types=tuple(column.type for column in shape.columns),
    )
    return Batch(load_id, place, table, plan, load_plan, tuple(column.name for column in result.added))


def _refuse_compared(result: StagedLoad, mine: str) -> None:
    """A row that broke a rule by comparison with rows of its load would pass it alone: it stays until it is corrected.

    A rule that is gone, or that the row did not break, keeps nothing back.
    """
    for rule in validate.row_rules(result.rules):
        if not sqlglot.parse_one(f"SELECT {rule.violation}", read="duckdb").find(exp.Window):
            continue
        why = f"rule {rule.name} compares it with rows of its load, which are not here any more"
        result.session.in_engine(
            f"UPDATE {PICKED.sql} SET refusal = {literal(why)} "
            f"WHERE {mine} AND NOT changed AND {rejected.broke(rule.name)}"
        )


def _refuse_crashed(result: StagedLoad) -> None:
    """Rows that a check's own code could not judge have not passed it."""
    for rule in result.rules:
        for code in rule.code:
            if code.broken is not None:
                why = broken_checks.told(result.load, code.broken)
                raise DataError(
                    "replay.check_broken",
                    f"check '{rule.name}' is broken, nothing was replayed: {why}",
                    where=f"{result.load.target.schema}.{result.load.target.name}",
                    fix="mend the check's function, or take it out",
                )


def _keep(session: Session, result: StagedLoad, judged: str, query: transform.Query) -> Table:
    """Run the steps and rules; the rows that pass, without the columns only the engine needs."""
    unseen = [*query.hidden, *([transform.CARRIED_CURSOR] if query.cursor == transform.CARRIED_CURSOR else [])]
    kept = ", ".join(f"{quote(query.origins[name])} AS {quote(name)}" for name in (ID, CLEARS))
    session.in_engine(
        f"CREATE OR REPLACE TEMP TABLE _dataflow_judged AS SELECT * EXCLUDE ({', '.join(map(quote, unseen))}), {kept} "
        f"FROM ({judged}) AS judged"
    )
    result.staged = Table("temp", "_dataflow_judged")
    planning.settle(result)
    has_rules = bool(validate.row_rules(result.rules))
    bad = validate.is_bad(result.rules)
    reasons = f"CASE WHEN {bad} THEN {validate.reasons(result.rules)} END" if has_rules else "NULL"
    session.in_engine(
        f"INSERT INTO {OUTCOME.sql} SELECT {quote(ID)}, CASE WHEN {bad} THEN 'open' ELSE 'replayed' END, {reasons}, "
        f"{rejected.judged_values(result)} FROM _dataflow_judged"
    )
    number = session.in_engine("SELECT count(*) FROM duckdb_tables() WHERE temporary")[0][0]
    table = Table("temp", f"_dataflow_replay_{number}")
    masks = validate.mask_columns(result.rules)
    left_out = f" EXCLUDE ({', '.join(map(quote, masks))})" if masks else ""
    assert result.plan is not None
    good = apply.as_loaded(f"SELECT *{left_out} FROM _dataflow_judged WHERE NOT ({bad})", result.plan)
    session.in_engine(f"CREATE TEMP TABLE {quote(table.name)} AS {good}")
    return table


def _refuse_unreadable(session: Session, kinds: dict[str, str], mine: str) -> None:
    """Leave rows alone whose text (edited by hand, perhaps) is no value of its column's type."""
    for name, kind in kinds.items():
        text = exact_values.text_of(name, "source_values")
        unread = exact_values.value_of(name, kind, "source_values", strict=False)
        session.in_engine(
            f"UPDATE {PICKED.sql} SET refusal = {literal(f'the text of column {name} is no {kind}')} "
            f"WHERE {mine} AND {text} IS NOT NULL AND {unread} IS NULL"
        )


def _refuse_windows(sql: str, load: StreamLoad) -> None:
    """A value computed from other rows of its batch cannot be computed again without them."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    selects = tree.find_all(exp.Select)
    windows = any(projection.find(exp.Window) for select in selects for projection in select.expressions)
    if windows or any(step.needs_all for step in load.steps):
        raise DataError(
            "replay.window",
            "a step computes a value from other rows of the batch, which are not here any more",
            where=f"streams.{load.stream.name}.transform",
            fix="read the rows again from the source (dataflow state reset), or discard them",
        )
