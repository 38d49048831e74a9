"""Rejected rows: kept with their values, reasons and place, in the transaction that loads the good ones."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from dataflow_platform.core.base import LoadPlan, Session, Table
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import exact_values, validate
from dataflow_platform.engine.state import QUARANTINE, system_table
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad
from dataflow_platform.engine.transform import Query

SOURCE, POSITION = "_dataflow_source_values", "_dataflow_source_position"
MARKED = Table("temp", "_dataflow_marked")
"""The masks and places of bad rows that were written ahead."""
REJECTED = Table("temp", "_dataflow_rejected")
SUPERSEDED = Table("temp", "_dataflow_superseded")


def with_origins(result: StagedLoad, judged: str, query: Query, places: Mapping[str, str]) -> str:
    """``judged`` with the source's own values and the place of each bad row; of good rows nothing is kept."""
    left_out = f" EXCLUDE ({', '.join(map(quote, query.hidden))})" if query.hidden else ""
    if not validate.row_rules(result.rules):
        return f"SELECT *{left_out} FROM ({judged}) AS judged"
    bad = validate.is_bad(result.rules)
    result.hidden = [SOURCE]
    if not query.origins:
        return f"SELECT *{left_out}, CAST(NULL AS VARCHAR) AS {quote(SOURCE)} FROM ({judged}) AS judged"
    values = origin_texts(result, query.origins)
    kept = f"CASE WHEN {bad} THEN {values} END AS {quote(SOURCE)}"
    if places:
        pairs = ", ".join(f"{literal(word)}, {quote(query.origins[name])}" for name, word in places.items())
        kept += f", CASE WHEN {bad} THEN CAST(json_object({pairs}) AS VARCHAR) END AS {quote(POSITION)}"
        result.hidden = [SOURCE, POSITION]
    return f"SELECT *{left_out}, {kept} FROM ({judged}) AS judged"


def origin_texts(result: StagedLoad, columns: Mapping[str, str]) -> str:
    """SQL of a row's source values, exactly; ``columns``: the source's column -> the column that has its value."""
    exact = [name for name, kind in result.source_types.items() if not exact_values.inexact(kind)]
    values = {name: quote(columns[name]) for name in exact}
    # Invariant 7, nothing clear is written: a digest under a salt that nobody keeps tells rows apart until their
    # lines are found, and is taken away before they are saved.
    return exact_values.as_texts(
        {
            name: f"sha256({literal(result.salt)} || CAST({value} AS VARCHAR))" if name in result.secret else value
            for name, value in values.items()
        }
    )


def _kept_values(staged: StagedLoad) -> str:
    """SQL of the staged source values that may be kept."""
    if not staged.secret or not staged.source_types:
        return quote(SOURCE)
    gone = json.dumps(dict.fromkeys(sorted(staged.secret)), ensure_ascii=False)
    return f"CAST(json_merge_patch(CAST({quote(SOURCE)} AS JSON), {literal(gone)}) AS VARCHAR)"


def drop_known(staged: StagedLoad) -> None:
    """Take the bad rows out of the stage that an earlier load has set aside already, whatever became of them there.

    A lookback reads them again with the same values. Where a column is masked nobody knows that they are the same,
    and the rows are set aside again.
    """
    session, load = staged.session, staged.load
    if SOURCE not in staged.hidden or staged.staged is None:
        return
    session.expose(Table(load.target.schema, QUARANTINE))
    known = (
        f"SELECT source_values FROM {system_table(load.target.schema, QUARANTINE)} "
        f"WHERE {stream_is(load)} AND status <> 'refused'"
    )
    table = qualified(staged.staged.schema, staged.staged.name)
    session.in_engine(f"DELETE FROM {table} WHERE {validate.is_bad(staged.rules)} AND {quote(SOURCE)} IN ({known})")


def set_aside(staged: StagedLoad) -> int:
    """Take the staged rows that break a row rule out of the stage and keep them in the engine; how many."""
    if not validate.row_rules(staged.rules) or staged.staged is None:
        return 0
    session = staged.session
    table = qualified(staged.staged.schema, staged.staged.name)
    bad = validate.is_bad(staged.rules)
    kept = as_quarantined(
        staged, "open", validate.reasons(staged.rules), _clears(staged, table, bad), refusal_of(staged)
    )
    session.in_engine(f"CREATE TEMP TABLE {quote(REJECTED.name)} AS SELECT {kept} FROM {table} AS bad WHERE {bad}")
    if staged.ahead is None:
        return int(session.in_engine(f"DELETE FROM {table} WHERE {bad}")[0][0])
    # Rows that only break rules of scope `set` stay.
    session.in_engine(f"DELETE FROM {_in_temp(MARKED)} WHERE NOT ({bad})")
    gone = session.take_out(staged.ahead.table, MARKED)
    staged.ahead = replace(staged.ahead, rows=staged.ahead.rows - gone)
    return gone


def as_quarantined(staged: StagedLoad, status: str, reasons: str, clears: str, refusal: str) -> str:
    """The columns of the quarantine table as SQL over a staged row; what is not of the row comes as SQL."""
    load = staged.load
    known = ", ".join(
        literal(value) for value in (load.load_id, load.run_id, load.pipeline, load.stream.name, target_name(load))
    )
    position = quote(POSITION) if POSITION in staged.hidden else "CAST(NULL AS VARCHAR)"
    source = _kept_values(staged) if SOURCE in staged.hidden else "CAST(NULL AS VARCHAR)"
    known_types = {name: kind for name, kind in staged.source_types.items() if name not in staged.secret}
    types = exact_values.types_text(list(known_types), list(known_types.values()))
    return (
        f"CAST(uuid() AS VARCHAR) AS quarantine_id, {known}, {judged_values(staged)}, {reasons}, {literal(status)}, "
        f"now(), {source}, {literal(types)}, {exact_judged(staged)} AS judged_values, {position}, "
        f"{literal(described(load))}, {literal(staged.started_at)}, {clears}, {refusal}, "
        "CAST(NULL AS TIMESTAMPTZ), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR)"
    )


def judged_values(staged: StagedLoad) -> str:
    """SQL of a row as the rules saw it, as JSON to look at."""
    values = ", ".join(f"{literal(column.name)}: {quote(column.name)}" for column in staged.columns)
    return f"CAST(to_json({{{values}}}) AS VARCHAR)"


def exact_judged(staged: StagedLoad) -> str:
    """SQL of a row as the rules saw it, exactly."""
    return exact_values.as_texts({column.name: quote(column.name) for column in staged.columns})


def refusal_of(staged: StagedLoad) -> str:
    """SQL literal: why no row of this load can be replayed; NULL where they can."""
    lost = [name for name, kind in staged.source_types.items() if exact_values.inexact(kind)]
    if staged.makes_rows:
        why = "a step makes several rows of one, or one of several: read them again from the source"
    elif staged.secret:
        first = min(staged.secret)
        why = f"column '{first}' is masked, and its clear value is not kept: read them again from the source"
    elif staged.load.strategy.reach is None:
        why = f"load '{staged.load.strategy_name}' does not say what a late row changes"
    elif lost:
        why = f"column '{lost[0]}' ({staged.source_types[lost[0]]}) cannot be kept exactly"
    else:
        return "CAST(NULL AS VARCHAR)"
    return literal(why)


def _clears(staged: StagedLoad, table: str, bad: str) -> str:
    """SQL: no good row of the batch has the partition of the row ``bad``, whose old rows therefore still stand."""
    load = staged.load
    if load.strategy.reach != "partition" or load.window is not None:
        return "CAST(NULL AS BOOLEAN)"
    by = load.strategy.partition_columns([column.name for column in staged.columns])
    same = " AND ".join(f"good.{quote(name)} IS NOT DISTINCT FROM bad.{quote(name)}" for name in by)
    return f"NOT EXISTS (SELECT 1 FROM {table} AS good WHERE NOT ({bad}) AND {same})"


def supersede(staged: StagedLoad, plan: LoadPlan) -> None:
    """Note which open rows of earlier loads the good rows of this one make moot; ``save`` marks them."""
    session, load = staged.session, staged.load
    condition = load.strategy.supersedes(plan)
    if condition is None or not has_open(session, load):
        return
    session.expose(Table(load.target.schema, QUARANTINE))
    types = dict(zip(plan.columns, plan.types, strict=True))
    session.in_engine(
        f"CREATE TEMP TABLE {quote(SUPERSEDED.name)} AS SELECT quarantine_id FROM ({open_rows(load, types)}) AS late "
        f"WHERE {condition}"
    )
    staged.supersedes = True
    if load.strategy.reach == "partition" and plan.window:
        _refuse_cut(session, load, plan)


def _refuse_cut(session: Session, load: StreamLoad, plan: LoadPlan) -> None:
    """A partition run that replaced a part of a row's partition: the row could no longer replace it as it should."""
    by = load.strategy.partition_columns(plan.columns)
    if len(by) == 1 and plan.window and plan.window.startswith(quote(by[0])):
        return  # a partition lies in the range as a whole, or outside of it
    session.execute(
        f"UPDATE {system_table(load.target.schema, QUARANTINE)} SET refusal = "
        f"'a partition run has replaced a part of its partition since' WHERE {of_stream(load)} AND clears_partition"
    )


def save(staged: StagedLoad) -> int:
    """Add the rows set aside to the quarantine table and mark the moot ones, in the session's transaction; how many."""
    session, load = staged.session, staged.load
    moved = 0
    if validate.row_rules(staged.rules) and staged.staged is not None:
        moved = session.append(Table(load.target.schema, QUARANTINE), f"SELECT * FROM {_in_temp(REJECTED)}")
    if staged.supersedes:
        mark(session, load.target.schema, SUPERSEDED, "superseded", load.run_id, f"load {load.load_id}")
        session.in_engine(f"DROP TABLE {_in_temp(SUPERSEDED)}")
    return moved


def mark(session: Session, schema: str, ids: Table, status: str, who: str, why: str) -> int:
    """Give the rows whose ``quarantine_id`` is in the engine's table ``ids`` another status; how many."""
    brought = session.bring(ids)
    return session.execute(
        f"UPDATE {system_table(schema, QUARANTINE)} AS old SET status = {literal(status)}, "
        f"changed_at = now(), changed_by = {literal(who)}, changed_why = {literal(why)} "
        f"FROM {qualified(brought.schema, brought.name)} AS new WHERE old.quarantine_id = new.quarantine_id"
    )


def has_open(session: Session, load: StreamLoad) -> bool:
    """True where the stream has open rows of earlier loads."""
    table = system_table(load.target.schema, QUARANTINE)
    return bool(session.query(f"SELECT 1 FROM {table} WHERE {of_stream(load)} LIMIT 1"))


def of_stream(load: StreamLoad) -> str:
    """SQL over the quarantine table: an open row of this stream and target."""
    return f"{stream_is(load)} AND status = 'open'"


def stream_is(load: StreamLoad) -> str:
    """SQL over the quarantine table: a row of this stream and target, whatever its status."""
    return (
        f"pipeline = {literal(load.pipeline)} AND stream = {literal(load.stream.name)} "
        f"AND target = {literal(target_name(load))}"
    )


def open_rows(load: StreamLoad, types: Mapping[str, str]) -> str:
    """A SELECT in the engine of the open rows: id, load, and the judged values in ``types`` (NULL where unknown)."""
    table = system_table(load.target.schema, QUARANTINE)
    values = exact_values.selected(types, "judged_values", strict=False)
    return (
        f"SELECT quarantine_id, load_id AS _dataflow_load, clears_partition AS _dataflow_clears, {values} "
        f"FROM {table} WHERE {of_stream(load)} AND judged_values IS NOT NULL"
    )


def broke(rule: str) -> str:
    """SQL of the engine over the quarantine table: a row that broke this rule."""
    return f"list_contains(json_extract_string(reasons, '$[*].rule'), {literal(rule)})"


def described(load: StreamLoad) -> str:
    """The load strategy with its options: rows can only be replayed by the one that set them aside."""
    model = getattr(load.strategy, "model_dump", None)
    return json.dumps({load.strategy_name: model(mode="json") if model else {}}, sort_keys=True)


def target_name(load: StreamLoad) -> str:
    """``schema.table`` of the load's target."""
    return f"{load.target.schema}.{load.target.name}"


def digest(name: str) -> str:
    """Eight letters that stand for a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _in_temp(table: Table) -> str:
    return qualified(table.schema, table.name)
