"""Runs the rules of a check over rows in DuckDB, as the engine does."""

from collections.abc import Sequence
from typing import Any

import duckdb

from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, Column, Rule
from dataflow_platform.engine.step_functions import StepFunctions


def check(name: str, value: Any) -> Check:
    """The check ``name`` with what YAML holds under it."""
    cls: Any = registry.check(name)
    made: Check = cls.model_validate(value)
    return made


def columns_of(types: dict[str, str]) -> list[Column]:
    """Columns by name and DuckDB type."""
    return [Column(name, kind) for name, kind in types.items()]


def staged(types: dict[str, str], rows: Sequence[Sequence[object]]) -> duckdb.DuckDBPyConnection:
    """A connection with ``rows`` in the table staged, numbered from 0 in _row."""
    connection = duckdb.connect(":memory:")
    declared = "".join(f', "{name}" {kind}' for name, kind in types.items())
    connection.execute(f"CREATE TABLE staged (_row INTEGER{declared})")
    if rows:
        marks = ", ".join("?" * (len(types) + 1))
        numbered = [[number, *row] for number, row in enumerate(rows)]
        connection.executemany(f"INSERT INTO staged VALUES ({marks})", numbered)
    return connection


def let_know(connection: duckdb.DuckDBPyConnection, *rules: Rule) -> None:
    """Let the engine know the functions that the rules call, unless it does."""
    known = {name for (name,) in connection.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
    calling = [rule for rule in rules if not {each.function.name for each in rule.code if each.function} & known]
    StepFunctions(connection).add_rules(calling)


def violating(connection: duckdb.DuckDBPyConnection, rule: Rule) -> list[int]:
    """The numbers of the rows that break a row rule."""
    assert rule.violation is not None
    assert rule.verdict is None
    let_know(connection, rule)
    # Beside another expression, as in the engine's bit mask: the violation must stand on its own feet.
    marked = f"SELECT _row, CASE WHEN {rule.violation} AND TRUE THEN 1 ELSE 0 END AS bad FROM staged"
    return [row[0] for row in connection.execute(f"SELECT _row FROM ({marked}) WHERE bad = 1 ORDER BY _row").fetchall()]


def failing(connection: duckdb.DuckDBPyConnection, rule: Rule) -> tuple[int, str]:
    """The count and sentence of a set rule, or of what its code says of all rows."""
    if rule.code:
        let_know(connection, rule)
        if rule.violation:
            violating(connection, rule)
        (code,) = rule.code
        if code.needs_all():
            decision = code.decide(connection.sql(code.takes).to_arrow_reader(7))
            return decision.failing, decision.sentence
        return 0, str(code.broken)
    assert rule.verdict is not None
    assert rule.violation is None
    ((count, sentence),) = connection.execute(rule.verdict).fetchall()
    return int(count), str(sentence)


def broken_by(name: str, value: Any, types: dict[str, str], rows: Sequence[Sequence[object]]) -> dict[str, list[int]]:
    """Rule name -> numbers of the rows that break it."""
    with staged(types, rows) as connection:
        rules = check(name, value).rules(columns_of(types))
        return {rule.name: violating(connection, rule) for rule in rules if rule.violation}
