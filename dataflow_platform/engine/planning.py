"""What is settled before a stream's rows are read: its key, the rules it brings, the target's columns."""

from collections.abc import Sequence
from dataclasses import replace

from dataflow_platform.core.base import AddedColumn, Column, RowShape, Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import quote
from dataflow_platform.engine import contract as schema_contract
from dataflow_platform.engine import transform
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

KEY_RULE = "primary_key_present"
CURSOR_RULE = "cursor_present"


def decide(result: StagedLoad, query: transform.Query) -> tuple[AddedColumn, ...]:
    """Plan the target's schema; the columns the load strategy adds to it, which no contract can forbid."""
    load = result.load
    there = result.session.columns(load.target)
    window = load.window.column if load.window else ""
    result.shape = RowShape(
        tuple(result.columns), result.primary_key, result.cursor,
        load.window is not None, query.plain.get(window), result.started_at,
    )  # fmt: skip
    own = {column.name.lower() for column in load.strategy.added_columns(result.shape)}
    data = None if there is None else [column for column in there if column.name.lower() not in own]
    plan = schema_contract.decide(load.contract, result.session.stored(result.columns), data, load.target)
    loaded = {column.name for column in plan.columns}
    result.shape = replace(result.shape, columns=tuple(each for each in result.columns if each.name in loaded))
    load.strategy.check(result.shape)
    added = load.strategy.added_columns(result.shape)
    _refuse_taken(load, added, result.columns, there)
    _refuse_long(load, [load.target.schema, load.target.name, *(column.name for column in (*plan.columns, *added))])
    if there is not None and added:
        kept = [column for column in there if column.name.lower() in own]
        plain = [Column(column.name, column.type) for column in added]
        extended = schema_contract.decide(schema_contract.Contract(), result.session.stored(plain), kept, load.target)
        plan = replace(plan, changes=plan.changes + extended.changes)
    result.plan = plan
    return added


def _refuse_long(load: StreamLoad, names: Sequence[str]) -> None:
    limit = load.destination.facts.identifier_limit
    for name in names:
        if len(name.encode()) > limit:
            raise ConfigError(
                "identifier.long",
                f"the name '{name[:80]}' has {len(name.encode())} bytes, {load.destination.facts.title} keeps {limit}",
                where=f"{load.target.schema}.{load.target.name}",
                fix="give it a shorter one (transform: - rename), or leave the column out",
            )


def _refuse_taken(
    load: StreamLoad, added: Sequence[AddedColumn], columns: Sequence[Column], there: Sequence[Column] | None
) -> None:
    taken = {column.name.lower() for column in columns}
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


def with_added(query: str, added: Sequence[AddedColumn]) -> str:
    if not added:
        return query
    values = ", ".join(f"CAST({column.value} AS {column.type}) AS {quote(column.name)}" for column in added)
    return f"SELECT *, {values} FROM ({query}) AS incoming"


def mapped_key(primary_key: Sequence[str], query: transform.Query) -> tuple[str, ...]:
    lost = [name for name in primary_key if name not in query.plain and name not in query.columns]
    if lost:
        raise ConfigError(
            "stream.primary_key_lost",
            f"primary key column '{lost[0]}' does not survive the steps",
            where="transform",
            fix="keep it (under the same name or renamed), or declare another key",
        )
    return tuple(query.plain.get(name, name) for name in primary_key)


def own_rules(result: StagedLoad) -> list[Rule]:
    strategy, rules = result.load.strategy, []
    if strategy.needs_primary_key:
        missing = " OR ".join(f"{quote(name)} IS NULL" for name in result.primary_key)
        message = f"the primary key ({', '.join(result.primary_key)}) has a missing part"
        rules.append(Rule(KEY_RULE, message, "warn", violation=missing))
    if strategy.needs_cursor_values and result.cursor:
        message = f"the cursor {result.cursor} is missing: the row has no place in the history"
        rules.append(Rule(CURSOR_RULE, message, "warn", violation=f"{quote(result.cursor)} IS NULL"))
    return rules
