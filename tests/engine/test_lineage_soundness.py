"""Soundness by perturbation: change one input column, and every output column that changes has it in its lineage."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest
import sqlglot

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import step_functions, transform
from dataflow_platform.engine.lineage import Origin, Relation, of_table
from dataflow_platform.engine.query_lineage import lineage_of
from tests.engine.generated_queries import TABLES, Pipelines, Queries
from tests.transformations.stepping import columns_of, step

QUERIES, PIPELINES = 200, 300
ROWS = 14
Worlds = dict[Origin | None, duckdb.DuckDBPyConnection]
"""One database as it is (None), and one for each column with other values in that column alone."""

_TYPES = {"int": "BIGINT", "text": "VARCHAR", "list": "BIGINT[]"}


def _value(kind: str, chance: random.Random) -> Any:
    if chance.random() < 0.12:
        return None
    if kind == "int":
        return chance.randint(0, 9)
    if kind == "text":
        return chance.choice(["", "a", "ba", "cab", "4", "7", "dada"])
    return [chance.randint(0, 5) for _ in range(chance.randint(0, 3))]


def _column(table: str, name: str, kind: str, salt: int) -> list[Any]:
    chance = random.Random(f"{table}.{name}.{salt}")
    if name == "id" or (table, name) == ("raw.other", "x"):  # tells rows apart: joins promise one match
        values = list(range(100 * salt, 100 * salt + ROWS)) if salt else list(range(ROWS))
        chance.shuffle(values)
        return [value % 23 if salt else value for value in values]
    return [_value(kind, chance) for _ in range(ROWS)]


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    changed = [Origin(name, "" if table == "input" else table) for table in TABLES for name in TABLES[table]]
    found: Worlds = {}
    for each in (None, *changed):
        found[each] = duckdb.connect(":memory:", config={"threads": 1})
        found[each].execute("CREATE SCHEMA raw")
        for table, columns in TABLES.items():
            made = {
                name: _column(table, name, kind, int(each == Origin(name, "" if table == "input" else table)))
                for name, kind in columns.items()
            }
            declared = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in columns.items())
            found[each].execute(f"CREATE TABLE {table} ({declared})")
            found[each].executemany(
                f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})",
                [list(row) for row in zip(*made.values(), strict=True)],
            )
    yield found
    for connection in found.values():
        connection.close()


def columns_by_value(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Counter[str]]:
    """Column -> how often it has which value: without ORDER BY rows have no order."""
    cursor = connection.execute(sql)
    names = [str(column[0]) for column in cursor.description or ()]
    rows = cursor.fetchall()
    return {name: Counter(repr(row[place]) for row in rows) for place, name in enumerate(names)}


@dataclass
class Judged:
    """Edges from input to output columns: told by the lineage, proven by changed values, proven and not told."""

    told: int = 0
    proven: int = 0
    missed: list[str] = field(default_factory=list)


def judge(worlds: Worlds, sql: str, lineage: Relation, judged: Judged) -> list[str]:
    """Count the edges of one query; those that are missed."""
    before = columns_by_value(worlds[None], sql)
    assert list(lineage.columns) == list(before), sql
    for origin, connection in worlds.items():
        if origin is None or (origin.table and "other" not in sql):
            continue
        after = columns_by_value(connection, sql)
        for name, values in before.items():
            told, proven = origin in lineage.rows or origin in lineage.columns[name], after[name] != values
            judged.told += told
            judged.proven += proven
            if proven and not told:
                judged.missed.append(f"{origin} -> {name}")
    return judged.missed


def test_no_edge_is_missed_in_generated_queries(worlds: Worlds) -> None:
    tables = {"input": of_table([*TABLES["input"]]), "raw.other": of_table([*TABLES["raw.other"]], "raw.other")}
    judged, tried = Judged(), 0
    for seed in range(QUERIES):
        sql = Queries(seed).any()
        try:
            columns_by_value(worlds[None], sql)
        except duckdb.Error:
            continue  # a number out of range, a type that does not fit: chance made no query of it
        lineage = lineage_of(sqlglot.parse_one(sql, read="duckdb"), tables)
        assert judge(worlds, sql, lineage, judged) == [], f"seed {seed}: {sql}"
        tried += 1
    _report("queries", tried, judged)
    assert tried >= 190  # chance makes no query of some seeds
    assert judged.proven > 1000  # the proof looks at something


def test_no_edge_is_missed_in_generated_pipelines(worlds: Worlds) -> None:
    base = worlds[None]
    columns, other = columns_of(base), {"raw.other": columns_of(base, "raw.other")}
    judged, tried = Judged(), 0
    for seed in range(PIPELINES * 4):
        query = _composed(base, columns, other, seed)
        if query is None:
            continue
        assert judge(worlds, _visible(query), query.lineage, judged) == [], f"seed {seed}: {query.sql}"
        tried += 1
        if tried == PIPELINES:
            break
    _report("pipelines", tried, judged)
    assert tried == PIPELINES
    assert judged.proven > 2000


def _report(what: str, tried: int, judged: Judged) -> None:
    print(f"{tried} {what}: {judged.proven} edges proven by changed values, {judged.told} told, 0 missed")


def _composed(
    base: duckdb.DuckDBPyConnection, columns: list[Column], other: dict[str, list[Column]], seed: int
) -> transform.Query | None:
    try:
        steps = [step(name, value) for name, value in Pipelines(seed).any()]
        with step_functions.opened(base) as functions:
            query = transform.compose("SELECT * FROM input", columns, steps, None, functions, tables=other)
        columns_by_value(base, query.sql)
    except (ConfigError, duckdb.Error):
        return None  # steps that do not fit one another
    return query


def _visible(query: transform.Query) -> str:
    return f"SELECT {', '.join(query.columns)} FROM ({query.sql})"
