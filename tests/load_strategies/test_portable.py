"""Statements on the target mean the same elsewhere: nothing in them is DuckDB's alone."""

from datetime import UTC, datetime

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from dataflow_platform.core import registry
from dataflow_platform.core.base import LoadPlan, LoadStrategy, Table

OPTIONS: dict[str, list[dict[str, object]]] = {
    "merge": [{}, {"delete_marker": "gone"}],
    "delta": [{"deletes": "hard"}, {"deletes": "soft"}],
    "partition": [{"by": "v"}, {"by": ["v", "w"]}],
    "scd2": [{"deletes": "ignore"}, {"deletes": "close"}],
    "scd3": [{"columns": ["v"]}],
}
CASES = [
    (name, registry.load_strategy(name).model_validate(options), cursor)
    for name in registry.names("load_strategies")
    for options in OPTIONS.get(name, [{}])
    for cursor in ("at", None)
]


@pytest.mark.parametrize(("name", "strategy", "cursor"), CASES)
def test_postgres_can_be_told(name: str, strategy: LoadStrategy, cursor: str | None) -> None:
    plan = LoadPlan(
        target=Table("raw", "t"),
        staged=Table("raw", "staged"),
        incoming=Table("pg_temp", "incoming"),
        columns=("id", "at", "v", "w", "gone"),
        primary_key=("id",),
        cursor=cursor,
        target_is_new=False,
        loaded_at=datetime(2024, 1, 1, tzinfo=UTC),
        types=("BIGINT", "TIMESTAMP", "VARCHAR", "INTEGER", "BOOLEAN"),
    )
    on_target = [statement.sql for statement in strategy.statements(plan) if statement.on == "target"]
    assert on_target
    for sql in on_target:
        tree = sqlglot.parse_one(sql, read="duckdb")
        # In PostgreSQL a row has no such column, and QUALIFY and EXCLUDE are unknown.
        assert not [column for column in tree.find_all(exp.Column) if column.name.lower() == "rowid"]
        assert not list(tree.find_all(exp.Qualify))
        assert not [star for star in tree.find_all(exp.Star) if star.args.get("except_")]
        # The stage is the engine's: the destination does not see it.
        assert not [table for table in tree.find_all(exp.Table) if table.name == "staged"]
        text = tree.sql("postgres", unsupported_level=ErrorLevel.RAISE)
        assert sqlglot.parse_one(text, read="postgres") is not None
