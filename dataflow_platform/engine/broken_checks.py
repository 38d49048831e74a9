"""Checks that fail by themselves: found among the others, named, and never taken for passed.

A row rule that raises an error over a row is broken by that row, which goes where bad rows go; the others judge it as
if nothing had happened. A rule whose SQL does not fit its columns, or a set rule that raises an error, judges nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import duckdb

from dataflow_platform.core.base import Column, Rule
from dataflow_platform.core.session import PLACE
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import masking, rejected, validate
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

_LONGEST = 300  # characters of an error that are kept


def told(load: StreamLoad, text: str) -> str:
    """An error's text as it may be kept: without its words where the load masks."""
    first = (text.strip().splitlines() or ["it failed"])[0][:_LONGEST]
    # Invariant 7, nothing clear is written: what stands before the colon is the engine's own.
    return f"{first.partition(':')[0]}; {masking.LEFT_OUT}" if load.masks else first


def as_told(load: StreamLoad, verdict: validate.Verdict) -> validate.Verdict:
    """The verdict; where the load masks, what Python said of its failure without words."""
    if verdict.broken is None or not (load.masks and verdict.rule.code):
        return verdict
    text = told(load, verdict.broken)
    return replace(verdict, broken=text, sentence=f"the check is broken, nothing was judged: {text}")


def set_aside(result: StagedLoad) -> None:
    """Let rules judge nothing whose SQL does not fit the columns, or that failed when the load was tried before."""
    guarded = guard(result)
    if not _fits(result, guarded, "TRY"):
        for rule in guarded:
            text = _misfit(result, str(rule.violation))
            if text is not None:
                result.broken[rule.name] = told(result.load, text)
    result.rules = [_quiet(rule) if rule.name in result.broken else rule for rule in result.rules]


def guard(result: StagedLoad) -> list[Rule]:
    """Take the guard from rules that DuckDB refuses to guard, such as those that call a volatile function.

    The row rules that are left with one.
    """
    guarded = [rule for rule in result.rules if rule.violation is not None and validate.is_guarded(rule)]
    # All are asked at once; one by one only where one of them does not fit.
    if not _fits(result, guarded, "TRY"):
        bare = {rule.name for rule in guarded if not _fits(result, [rule], "TRY") and _fits(result, [rule], "")}
        result.rules = [replace(rule, may_raise=False) if rule.name in bare else rule for rule in result.rules]
        guarded = [rule for rule in guarded if rule.name not in bare]
    return guarded


def _fits(result: StagedLoad, rules: Sequence[Rule], guarded_by: str) -> bool:
    conditions = [f"{guarded_by}({rule.violation})" for rule in rules]
    return not rules or _misfit(result, " AND ".join(conditions)) is None


def _misfit(result: StagedLoad, condition: str) -> str | None:
    """What the engine says of a condition that does not fit the columns; None where it does."""
    columns = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in result.columns)
    # A connection of its own: an error would end the transaction of the load.
    with result.session.connection.cursor() as beside:
        try:
            beside.execute(f"SELECT count(*) FILTER ({condition}) FROM (SELECT {columns}) AS staged WHERE FALSE")
        except duckdb.Error as error:
            return str(error)
    return None


def _quiet(rule: Rule) -> Rule:
    """The rule, judging nothing."""
    if rule.violation is not None:
        return replace(rule, violation="FALSE", may_raise=False)
    return replace(rule, verdict="SELECT 0 AS failing, '' AS sentence", rows=None, measures=None, code=())


def settle(result: StagedLoad) -> None:
    """Judge the rows rule by rule that a rule raised an error over, and note which rules did."""
    if not any(map(validate.is_guarded, validate.row_rules(result.rules))) or result.staged is None:
        return
    session, rules = result.session, result.rules
    table = qualified(result.staged.schema, result.staged.name)
    unjudged = validate.is_unjudged(rules)
    guarded = [rule for rule in validate.row_rules(rules) if validate.is_guarded(rule)]
    counts = ", ".join(f"count(*) FILTER ({_raises(rule)})" for rule in guarded)
    if not session.in_engine(f"SELECT count(*) FROM {table} WHERE {unjudged}")[0][0]:
        return
    found = session.in_engine(f"SELECT {counts} FROM {table} WHERE {unjudged}")[0]
    for rule, count in zip(guarded, found, strict=True):
        if count:
            text = told(result.load, _text(result, rule, f"FROM {table} WHERE ({unjudged}) AND {_raises(rule)}"))
            result.broken[rule.name] = f"{text} (over {count:,} rows)"
    judged = [(quote(name), mine) for name, mine in validate.by_mask(rules) if any(map(validate.is_guarded, mine))]
    if result.ahead is None:
        changed = ", ".join(
            f"{name} = ({name} & {validate.unguarded(mine)}) | ({validate.guarded_bits(mine)})" for name, mine in judged
        )
        session.in_engine(f"UPDATE {table} SET {changed} WHERE {unjudged}")
        session.settle()
        return
    marked = qualified(rejected.MARKED.schema, rejected.MARKED.name)
    bits = ", ".join(f"{validate.guarded_bits(mine)} AS {name}" for name, mine in judged)
    places = ", ".join(map(quote, PLACE))
    same = " AND ".join(f"old.{quote(place)} = new.{quote(place)}" for place in PLACE)
    changed = ", ".join(f"{name} = (old.{name} & {validate.unguarded(mine)}) | new.{name}" for name, mine in judged)
    old = " OR ".join(f"old.{name} < 0" for name, _ in judged)
    session.in_engine(
        f"UPDATE {marked} AS old SET {changed} FROM (SELECT {places}, {bits} FROM "
        f"({session.placed(result.ahead.table)}) AS written) AS new WHERE {same} AND ({old})"
    )


def _raises(rule: Rule) -> str:
    return f"TRY(CASE WHEN {rule.violation} THEN 1 ELSE 0 END) IS NULL"


def _text(result: StagedLoad, rule: Rule, of_rows: str) -> str:
    """What the rule fails with over the first of the rows; asked of an engine of its own, which an error may end."""
    columns = ", ".join(f"CAST({quote(column.name)} AS VARCHAR)" for column in result.columns)
    values = result.session.in_engine(f"SELECT {columns} {of_rows} LIMIT 1")[0]
    row = _row(result.columns, values)
    with suppress(duckdb.Error), duckdb.connect(":memory:") as beside:
        beside.execute(f"CREATE TABLE staged AS SELECT {row}")
        try:
            beside.execute(f"SELECT {rule.violation} FROM staged").fetchall()
        except duckdb.Error as error:
            return str(error)
    return "it raised an error"


def _row(columns: Sequence[Column], values: Sequence[object]) -> str:
    pairs = zip(columns, values, strict=True)
    return ", ".join(f"CAST({literal(value)} AS {column.type}) AS {quote(column.name)}" for column, value in pairs)
