"""`dataflow quality` on a project of two pipelines and dbt models."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.core.errors import ConfigError
from tests.fixtures.checked_project import load_orders


def quality(*words: str) -> Result:
    return CliRunner().invoke(group, ["quality", *words])


def told(*words: str) -> dict[str, dict[str, Any]]:
    """Asset -> what is told of it, its checks by name."""
    data = json.loads(quality(*words, "--json").stdout)
    return {each["asset"]: {**each, "checks": {one["name"]: one for one in each["checks"]}} for each in data["assets"]}


def test_what_fails_since_when_whose_and_what_hangs_on_it(checked_project: Path) -> None:
    result = quality()
    # in_range_net refused the load, and dbt's not_null is of severity error.
    assert result.exit_code == 1
    assert "errors: 2, warnings: 1, passed: 3, never run: 0" in result.output
    assert "not_null_id" not in result.output  # it holds
    assets = told()
    orders = assets["raw/orders"]
    refused = orders["checks"]["in_range_net"]
    # -6 / 1.2 is below 0: one of the three rows of the second load, which is the first that failed.
    assert (refused["failing"], refused["rows"], refused["failing loads"], refused["published"]) == (1, 3, 1, False)
    assert refused["owners"] == ["team:shop"]
    # Of the column net two columns are made; the dashboard reads the model.
    assert refused["affected"]["mart/by_city"] == ["revenue", "large_revenue"]
    assert refused["affected"]["report/late_orders"] == ["worth"]
    assert refused["exposures"] == ["city_dashboard"]
    assert "nothing of the last load was published" in refused["to do"][1]
    stranger = orders["checks"]["foreign_key_customer"]
    # Of both loads; only the row of the first was published without it, and waits.
    assert (stranger["failing"], stranger["failing loads"], stranger["quarantined"]) == (2, 2, 1)
    assert stranger["failing since"] < refused["failing since"]
    assert (stranger["owners"], stranger["description"]) == (["anna@example.com"], "No stranger buys.")
    assert "dataflow quarantine show shop orders" in stranger["to do"][1]
    assert orders["quarantined"] == 1
    revenue = assets["mart/by_city"]["checks"]["not_null_by_city_revenue"]
    assert (revenue["kind"], revenue["failing"], revenue["outcome"]) == ("dbt test", 1, "fail")
    assert revenue["perhaps longer"]  # dbt ran once
    assert assets["mart/by_city"]["checks"]["unique_by_city_city"]["outcome"] == "pass"


def test_what_was_corrected_fails_no_more(checked_project: Path) -> None:
    assert load_orders(checked_project, "1,1,12,open,", "6,2,12,open,")
    assert quality("raw.orders").exit_code == 0
    checks = told("raw.orders")["raw/orders"]["checks"]
    assert {name: check["outcome"] for name, check in checks.items()} == {
        "not_null_id": "pass",
        "in_range_net": "pass",
        "foreign_key_customer": "pass",
    }
    assert "1 row in quarantine" in quality().output  # of the first load: nobody has looked at it
    assert not load_orders(checked_project, "1,1,-12,open,")
    again = told("raw/orders")["raw/orders"]["checks"]["in_range_net"]
    assert (again["failing loads"], again["perhaps longer"]) == (1, False)  # the streak began anew
    # A rule that is declared no more is no longer anybody's business.
    file = checked_project / "defs/shop/defs.yaml"
    file.write_text(file.read_text().replace("        - in_range: {column: net, min: 0}\n", ""))
    assert "in_range_net" not in told("raw.orders")["raw/orders"]["checks"]
    assert quality("raw.orders").exit_code == 0


def test_a_newer_result_of_dagster_is_taken_before_that_in_dbts_files(checked_project: Path) -> None:
    file = checked_project / "models_of_shop/target/run_results.json"
    results = json.loads(file.read_text())
    for each in results["results"]:
        each["timing"] = []
    results["metadata"]["generated_at"] = "2020-01-01T00:00:00Z"
    file.write_text(json.dumps(results))
    old = told("mart.by_city")["mart/by_city"]["checks"]["not_null_by_city_revenue"]
    assert (old["outcome"], old["failing since"]) == ("fail", "2020-01-01T00:00:00+00:00")
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                dg.AssetKey(["mart", "by_city"]), "not_null_by_city_revenue", passed=True, metadata={}
            )
        )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                dg.AssetKey(["mart", "by_city"]), "unique_by_city_city", passed=False,
                severity=dg.AssetCheckSeverity.WARN, metadata={"dagster_dbt/failed_row_count": 7},
            )
        )  # fmt: skip
    checks = told("mart.by_city")["mart/by_city"]["checks"]
    assert checks["not_null_by_city_revenue"]["outcome"] == "pass"
    unique = checks["unique_by_city_city"]
    assert (unique["outcome"], unique["severity"], unique["failing"]) == ("fail", "warn", 7)
    assert datetime.fromisoformat(unique["measured at"]).date() >= datetime(2026, 1, 1, tzinfo=UTC).date()
    assert quality("mart.by_city").exit_code == 0


def test_scores_and_checks_that_broke_are_shown(checked_project: Path) -> None:
    columns = "pipeline, stream, load_id, measured_at, published, kind, name, passed, severity, value, failing, detail"
    scores = told("raw.orders")["raw/orders"]["scores"]
    # Of the refused load: nothing is NULL; 1 of 3 rows breaks the range, 2 of 3 the foreign key.
    assert (scores["completeness"], round(scores["validity"], 3), round(scores["consistency"], 3)) == (
        100,
        66.667,
        33.333,
    )
    with duckdb.connect(str(checked_project / "w.duckdb")) as connection:
        for row in (
            "'shop', 'orders', 'y', TIMESTAMPTZ '2100-01-01', TRUE, 'score', 'validity', NULL, NULL, 75, NULL, NULL",
            "'shop', 'orders', 'y', TIMESTAMPTZ '2100-01-01', TRUE, 'score', 'quality', NULL, NULL, 80.5, NULL, NULL",
            "'shop', 'orders', 'y', now(), TRUE, 'check', 'not_null_id', FALSE, 'warn', NULL, 0, "
            """'{"broken": "no id"}'""",
        ):
            connection.execute(f"INSERT INTO raw._dataflow_quality ({columns}) VALUES ({row})")
    found = told("raw.orders")["raw/orders"]
    assert list(found["scores"].items()) == [("quality", 80.5), ("validity", 75)]  # of the last load alone
    broken = found["checks"]["not_null_id"]
    assert (broken["outcome"], broken["told"], broken["failing"]) == ("broken", "no id", None)
    assert "quality 80.5; validity 75.0" in quality("raw.orders").output


def test_what_cannot_be_looked_at_is_told_and_is_no_pass(checked_project: Path) -> None:
    (checked_project / "w.duckdb").write_text("no database")
    result = quality("raw.orders")
    assert "could not be looked at: pipeline shop: " in result.output
    assert result.exit_code == 2


def test_before_the_first_load_nothing_is_known_and_nothing_made(own_lineage_project: Path) -> None:
    result = quality("raw.orders")
    assert (result.exit_code, result.output.count("never run ")) == (0, 3)
    assert not (own_lineage_project / "w.duckdb").exists()
    with pytest.raises(ConfigError, match=r"there is no asset 'raw\.order'"):
        CliRunner().invoke(group, ["quality", "raw.order"], catch_exceptions=False)
