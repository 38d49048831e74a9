"""What is settled before a stream's rows are read: its key, the rules it brings, the target's columns."""

from collections.abc import Sequence
from dataclasses import replace

from dataflow_platform.core.base import AddedColumn, Column, RowShape, Rule
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.core.transformation import flag
from dataflow_platform.engine import contract as schema_contract
from dataflow_platform.engine import state, transform, validate
from dataflow_platform.engine.contract import apply, key, rename, rules
from dataflow_platform.engine.contract.decide import Decision, Incoming
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

KEY_RULE = "primary_key_present"
CURSOR_RULE = "cursor_present"
_GIVEN = "_dataflow_given_"


def plan(result: StagedLoad, query: transform.Query) -> None:
    """Put into ``result`` what is known of the rows of ``query``, and what becomes of the target."""
    result.columns = transform.describe(result.session, query)
    result.lineage, result.plain = query.lineage, query.plain
    result.primary_key = mapped_key(result.load.stream.primary_key, query)
    result.cursor = query.cursor if query.cursor != transform.CARRIED_CURSOR else None
    _decide(result, query)


def _decide(result: StagedLoad, query: transform.Query) -> None:
    """Plan the target's schema: ``plan``, ``shape`` and ``added`` of ``result``, its columns as they will be staged.

    ``added`` are the columns the load strategy adds to the target, which no contract can forbid. What the contract
    forbids stands in the plan as its refusals.
    """
    load, session = result.load, result.session
    there = session.columns(load.target)
    window = load.window.column if load.window else ""
    result.shape = RowShape(
        tuple(result.columns), result.primary_key, result.cursor,
        load.window is not None, query.plain.get(window), result.started_at,
    )  # fmt: skip
    added = load.strategy.added_columns(result.shape)
    own = {column.name.lower() for column in added}
    names = [column.name for column in result.columns]
    decision = Decision(load.contract, load.target, frozenset((*result.primary_key, result.cursor or "")))
    target = None if there is None else rename.rename(decision, [*names, *(each.name for each in added)], there)
    data = None if target is None else [column for column in target if column.name.lower() not in own]
    result.plan = decision.plan(_incoming(result, result.columns), data)
    _take_over(result)
    load.strategy.check(result.shape)
    result.added = load.strategy.added_columns(result.shape)
    _refuse_taken(load, result.added, names, target)
    _refuse_long(load, [*names, *(column.name for column in result.added)])
    if target is not None:
        _extend(result, [column for column in target if column.name.lower() in own])
        _judge_key(result, decision, target)
    if not load.strategy.replaces_target():
        result.plan = apply.refuse_unable(result.plan, load.destination.facts, load.target)


def _incoming(result: StagedLoad, columns: Sequence[Column]) -> list[Incoming]:
    stored = result.session.stored(columns)
    return [Incoming(each.name, each.type, kept.type) for each, kept in zip(columns, stored, strict=True)]


def _take_over(result: StagedLoad) -> None:
    """Speak of the columns as the target spells and types them from here on."""
    assert result.plan is not None
    assert result.shape is not None
    spelled = {each.source: each.name for each in result.plan.fitted}
    result.columns = [
        Column(each.name, each.given if each.cast == "afterwards" else each.type) for each in result.plan.fitted
    ]
    result.primary_key = tuple(spelled.get(name, name) for name in result.primary_key)
    result.cursor = spelled.get(result.cursor, result.cursor) if result.cursor else None
    result.lineage = result.lineage.renamed(spelled)
    result.plain = {origin: spelled.get(name, name) for origin, name in result.plain.items()}
    window = result.shape.window_column
    result.shape = replace(
        result.shape,
        columns=tuple(Column(each.name, each.type) for each in result.plan.fitted if each.loaded),
        primary_key=result.primary_key,
        cursor=result.cursor,
        window_column=spelled.get(window, window) if window else None,
    )


def _extend(result: StagedLoad, kept: Sequence[Column]) -> None:
    """Add what the strategy's own columns ask of the target; ``kept`` are those it has."""
    if not result.added:
        return
    assert result.plan is not None
    plain = [Column(column.name, column.type) for column in result.added]
    own = Decision(schema_contract.Contract(), result.load.target).plan(_incoming(result, plain), kept)
    kinds = {each.source: each.type for each in own.fitted}
    result.added = tuple(replace(each, type=kinds[each.name]) for each in result.added)
    result.plan = replace(
        result.plan,
        changes=result.plan.changes + own.changes,
        alterations=result.plan.alterations + own.alterations,
        refusals=result.plan.refusals + own.refusals,
    )


def _judge_key(result: StagedLoad, decision: Decision, target: Sequence[Column]) -> None:
    """Compare the declared key with that of the last load."""
    load, plan = result.load, result.plan
    assert plan is not None
    where = f"{load.target.schema}.{load.target.name}"
    last = state.last_key(result.session, load.target.schema, load.pipeline, load.stream.name, where)
    judged = Decision(load.contract, load.target, alterations=decision.alterations)
    names = [column.name for column in result.columns]
    if key.compare_key(judged, last, result.primary_key, names) and load.strategy.needs_primary_key:
        history = any(column.required for column in result.added)
        key.refuse_ambiguous(judged, result.session, result.primary_key, target, history)
    result.plan = replace(
        plan,
        changes=(*plan.changes, *judged.changes),
        conditions=(*plan.conditions, *judged.conditions),
        refusals=(*plan.refusals, *judged.refusals),
    )


def _refuse_long(load: StreamLoad, columns: Sequence[str]) -> None:
    limit = load.destination.facts.identifier_limit
    for name in (load.target.schema, load.target.name, *columns):
        if len(name.encode()) > limit:
            raise ConfigError(
                "identifier.long",
                f"the name '{name[:80]}' has {len(name.encode())} bytes, {load.destination.facts.title} keeps {limit}",
                where=f"{load.target.schema}.{load.target.name}",
                fix="give it a shorter one (transform: - rename), or leave the column out",
            )


def _refuse_taken(
    load: StreamLoad, added: Sequence[AddedColumn], columns: Sequence[str], there: Sequence[Column] | None
) -> None:
    taken = {name.lower() for name in columns}
    known = None if there is None else {column.name.lower() for column in there}
    for column in added:
        if column.name.lower() in taken:
            raise ConfigError(
                "load_strategy.column_taken",
                f"load '{load.strategy_name}' adds a column '{column.name}', and the stream has one",
                where="load",
                fix=f"rename it in the pipeline (transform: - rename: {{{column.name}: another_name}})",
            )
        if column.required and known is not None and column.name.lower() not in known:
            raise ConfigError(
                "load_strategy.table",
                f"the table has no column '{column.name}': it was not loaded by '{load.strategy_name}'",
                where=f"{load.target.schema}.{load.target.name}",
                fix="load into another table, or drop this one and load it again from the beginning",
            )


def staged_query(query: str, result: StagedLoad, more: Sequence[str] = ()) -> str:
    """``query`` as it is staged: spelled and typed as the target, with the strategy's own columns and ``more`` ones.

    Both kinds are made of the values that will be loaded, also where a column is cast after bad rows were set aside:
    until then it keeps the value it came with.
    """
    assert result.plan is not None
    fitted = apply.fit_query(query, result.plan)
    own = [f"CAST({column.value} AS {column.type}) AS {quote(column.name)}" for column in result.added]
    if not own and not more:
        return fitted
    later = [quote(each.name) for each in result.plan.fitted if each.cast == "afterwards"]
    given = [quote(f"{_GIVEN}{place}") for place, _ in enumerate(later)]
    aside = "".join(f", {name} AS {kept}" for name, kept in zip(later, given, strict=True))
    rows = apply.as_loaded(f"SELECT *{aside} FROM ({fitted}) AS fitted", result.plan)
    for made in (own, more):
        rows = f"SELECT *, {', '.join(made)} FROM ({rows}) AS incoming" if made else rows
    if not later:
        return rows
    back = ", ".join(f"{kept} AS {name}" for name, kept in zip(later, given, strict=True))
    return f"SELECT * EXCLUDE ({', '.join(given)}) REPLACE ({back}) FROM ({rows}) AS loaded"


def mapped_key(primary_key: Sequence[str], query: transform.Query) -> tuple[str, ...]:
    lost = [name for name in primary_key if name not in query.plain and name not in query.columns]
    if lost:
        raise ConfigError(
            "stream.primary_key_lost",
            f"primary key column '{lost[0]}' does not survive the steps",
            where="transform",
            fix="keep it (under the same name or renamed), or declare another key",
        )
    alike = [name for name in primary_key if query.plain.get(name, name) in query.blurred]
    if alike:
        raise ConfigError(
            "mask.primary_key",
            f"primary key column '{alike[0]}' is masked so that keys that differ may become equal",
            where="transform",
            fix="hash or tokenise it: then keys stay apart",
        )
    return tuple(query.plain.get(name, name) for name in primary_key)


def own_rules(result: StagedLoad, query: transform.Query) -> list[Rule]:
    """The rules that steps, load strategy and contract bring: rows that break them go to quarantine."""
    strategy, found = result.load.strategy, []
    if strategy.needs_primary_key:
        missing = " OR ".join(f"{quote(name)} IS NULL" for name in result.primary_key)
        message = f"the primary key ({', '.join(result.primary_key)}) has a missing part"
        found.append(Rule(KEY_RULE, message, "warn", violation=missing, dimension="completeness"))
    if strategy.needs_cursor_values and result.cursor:
        message = f"the cursor {result.cursor} is missing: the row has no place in the history"
        missing = f"{quote(result.cursor)} IS NULL"
        found.append(Rule(CURSOR_RULE, message, "warn", violation=missing, dimension="completeness"))
    found += [Rule(name, wrong, "warn", violation=quote(flag(name))) for name, wrong in query.rules.items()]
    assert result.plan is not None
    found += rules.row_rules(result.load.contract, result.plan)
    return [replace(rule, may_raise=False) for rule in found]


def refuse(result: StagedLoad) -> None:
    """Raise what the contract forbids; nothing was read so far."""
    assert result.plan is not None
    refusals = result.plan.refusals
    if len(refusals) > 1:
        first, others = refusals[0], "; ".join(refusal.what for refusal in refusals[1:])
        raise DataError(first.code, f"{first.what}; also: {others}", where=first.where, fix=first.fix)
    if refusals:
        raise refusals[0]


def settle(result: StagedLoad) -> None:
    """Settle what only the staged rows can tell: values that are missing, values that are left out by choice."""
    plan, staged = result.plan, result.staged
    assert plan is not None
    assert staged is not None
    lossy = [each for each in plan.fitted if each.loses]
    asked = [*(guard.condition for guard in plan.guards), *(each.loses for each in lossy)]
    if not asked:
        return
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in asked)
    good = f"FROM {qualified(staged.schema, staged.name)} WHERE NOT ({validate.is_bad(result.rules)})"
    found = [int(count) for count in result.session.in_engine(f"SELECT {counts} {good}")[0]]
    result.plan = apply.settled(plan, found[: len(plan.guards)])
    result.left_out = {each.name: count for each, count in zip(lossy, found[len(plan.guards) :], strict=True)}
