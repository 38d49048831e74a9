"""The rows behind a verdict: samples, and SQL that gives them all, as many as the verdict says."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dataflow_platform.checks.compare import Compare
from dataflow_platform.checks.expression import Expression
from dataflow_platform.checks.format import Format
from dataflow_platform.checks.in_range import InRange
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.checks.row_count import RowCount
from dataflow_platform.checks.unique import Unique
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.parquet_dataset import ParquetDataset
from dataflow_platform.core.base import Check, Destination
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine import failing_rows, metadata
from dataflow_platform.engine.load import blocked, publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StagedLoad
from dataflow_platform.transformations.mask import Mask
from tests.engine.test_line import make, table
from tests.reliability.workload import destination

# 60 rows: n is below 0 in 30 of them, v repeats in 57 (three values), mail is none in 20.
ROWS = [
    {"id": i, "n": -i if i % 2 else i, "m": 30, "v": "abc"[i % 3], "mail": "a@b.de" if i % 3 else f"clear{i}"}
    for i in range(60)
]


@pytest.fixture(params=["duckdb", "parquet_dataset"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "duckdb":
        return DuckDB(path=str(tmp_path / "w.duckdb"), wait_seconds=0.3)
    return ParquetDataset(path=str(tmp_path / "lake"))


def shown(staged: StagedLoad) -> dict[str, dict[str, Any]]:
    """Rule -> what Dagster is told of it."""
    refused = blocked(staged) is not None
    return {
        each.rule.name: {
            name: value.value if isinstance(value, dg.MarkdownMetadataValue) else value
            for name, value in metadata.of_verdict(staged, each, refused).items()
        }
        for each in staged.verdicts
    }


def sql_of(told: dict[str, Any]) -> str:
    (sql,) = re.findall(r"```sql\n(.*)\n```", told["SQL of the failing rows"], re.DOTALL)
    return str(sql)


def rows_by(warehouse: Destination, told: dict[str, Any]) -> int:
    return len(table(warehouse, sql_of(told)))  # type: ignore[arg-type]


RULES: list[tuple[Check, int]] = [
    (InRange(column="n", min=0, severity="warn", owner="team:a"), 30),
    (Expression(sql="n < 40 and m > 0", severity="warn", name="less_than_40"), 10),
    (Compare.model_validate({"column": "n", "is": "<=", "to": "m", "severity": "warn"}), 14),
    (Format.model_validate({"column": "mail", "as": "email", "severity": "warn"}), 20),
]


@pytest.mark.parametrize("scope", ["row", "set"])
def test_the_sql_of_a_published_load_gives_every_failing_row(warehouse: Destination, scope: str) -> None:
    checks = [check.model_copy(update={"scope": scope}) for check, _ in RULES]
    staged = stage(make(warehouse, "replace", ROWS, checks=checks))  # type: ignore[arg-type]
    told = shown(staged)
    publish(staged)
    for check, failing in RULES:
        mine = told[check.names()[0]]
        assert (mine["failing rows"], mine["rows"]) == (failing, 60)
        assert rows_by(warehouse, mine) == failing, sql_of(mine)
        assert mine["failing rows are"] == (
            "in the table" if scope == "set" else "quarantine: dataflow quarantine show p t"
        )
    assert told["in_range_n"]["owner"] == "team:a"
    # A later load with bad rows of its own changes nothing of what the first one's SQL gives.
    if scope == "row":
        publish(stage(make(warehouse, "replace", ROWS, "2", checks=checks)))  # type: ignore[arg-type]
        assert [rows_by(warehouse, told[check.names()[0]]) for check, _ in RULES] == [count for _, count in RULES]


def test_the_sql_of_rules_with_names_alike_keeps_them_apart(warehouse: Destination) -> None:
    names = ("axb", "a_b", "a_b_2")
    checks = [InRange(column="n", min=-10 * place, severity="warn", name=name) for place, name in enumerate(names)]
    staged = stage(make(warehouse, "replace", ROWS, checks=checks))  # type: ignore[arg-type]
    told = shown(staged)
    publish(staged)
    # Odd numbers are negative: 30 below 0; 25 below -10 (11, 13, ... 59); 20 below -20.
    assert [rows_by(warehouse, told[name]) for name in names] == [30, 25, 20]


def test_the_sql_of_a_set_rule_gives_the_rows_of_the_table(warehouse: Destination) -> None:
    checks = [Unique(columns="v", severity="warn"), RowCount(min=100, severity="warn")]
    staged = stage(make(warehouse, "replace", ROWS, checks=checks))  # type: ignore[arg-type]
    told = shown(staged)
    publish(staged)
    # Of each of the three values all rows but one.
    assert told["unique_v"]["failing rows"] == rows_by(warehouse, told["unique_v"]) == 57
    assert told["unique_v"]["samples"] == "a, b, c"
    # No single row makes a number of rows wrong.
    assert "SQL of the failing rows" not in told["row_count"]


def test_a_refused_load_says_that_its_rows_are_gone(warehouse: Destination) -> None:
    checks = [InRange(column="n", min=0), RULES[1][0], Unique(columns="v", severity="warn")]
    staged = stage(make(warehouse, "replace", ROWS, checks=checks))  # type: ignore[arg-type]
    told = shown(staged)
    staged.close()
    for mine in told.values():
        assert "SQL of the failing rows" not in mine
        assert mine["failing rows are"].startswith("nowhere: the load was refused")
        assert mine["samples"] != "-"
        assert "quarantined" not in mine


def test_samples_are_different_values_and_at_most_twenty(warehouse: Destination) -> None:
    checks = [RULES[0][0], RULES[1][0], NotNull(columns="id", severity="warn")]
    staged = stage(make(warehouse, "replace", ROWS, checks=checks))  # type: ignore[arg-type]
    staged.close()
    samples = staged.samples
    assert len(set(samples["in_range_n"])) == len(samples["in_range_n"]) == failing_rows.MOST == 20
    assert {int(each) for each in samples["in_range_n"]} <= {row["n"] for row in ROWS if row["n"] < 0}
    # Of a rule over several columns their values, by name.
    assert samples["less_than_40"][0] == '{"n":40,"m":30}'
    assert "not_null_id" not in samples


def test_a_long_value_is_cut(warehouse: Destination) -> None:
    rows = [{"id": 1, "v": "x" * 5000}]
    staged = stage(make(warehouse, "replace", rows, checks=[Expression(sql="length(v) < 9", severity="warn")]))  # type: ignore[arg-type]
    staged.close()
    assert [len(each) for each in staged.samples["expression_length_v_lt_9"]] == [200]


@pytest.mark.parametrize("severity", ["warn", "error"])
def test_a_value_that_a_mask_hides_is_in_no_sample_and_no_word(warehouse: Destination, severity: str) -> None:
    masked = Mask.model_validate({"mail": {"partial": 1}})
    checks = [
        Format.model_validate({"column": "mail", "as": "email", "severity": severity}),
        Expression(sql="mail = 'q' and n > 100", severity="warn", name="both"),
        Expression(sql="cast(mail as integer) > 0", severity="warn", name="crashes"),
        Unique(columns="mail", severity="warn"),
    ]
    staged = stage(make(warehouse, "replace", ROWS, checks=checks, steps=(masked,)))  # type: ignore[arg-type]
    told = str(shown(staged))
    staged.close()
    # clear0 is masked to *****0: what is shown is what is loaded.
    assert "*****0" in told
    assert not re.search(r"clear|a@b|lear\d", told)


def test_postgres_itself_runs_the_sql_of_quarantined_rows(postgres_server: PostgresServer) -> None:
    postgres_server.execute("DROP SCHEMA IF EXISTS raw CASCADE")
    warehouse = destination(
        {
            "type": "postgres", "host": "127.0.0.1", "port": postgres_server.port, "database": "postgres",
            "user": "postgres", "password": postgres_server.password,
        }
    )  # fmt: skip
    staged = stage(make(warehouse, "replace", ROWS, checks=[check for check, _ in RULES]))  # type: ignore[arg-type]
    told = shown(staged)
    publish(staged)
    # Not through DuckDB: the server gets the text as a person would paste it.
    found = {check.names()[0]: len(postgres_server.execute(sql_of(told[check.names()[0]]))) for check, _ in RULES}
    assert found == {check.names()[0]: failing for check, failing in RULES}
    postgres_server.execute("DROP SCHEMA IF EXISTS raw CASCADE")
