"""What a column or a revision breaks, by `dataflow impact`; what a column leads to, by `dataflow lineage`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.engine.lineage import Kind, Origin, Relation
from dataflow_platform.governance.column_graph import Asset, connected
from dataflow_platform.governance.impact import impact_of
from tests.fixtures.lineage_project import FILES, git

PIPELINES, MODEL = "defs/shop/defs.yaml", "models_of_shop/models/by_city.sql"


def command(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


def change(project: Path, name: str, old: str, new: str) -> None:
    assert old in FILES[name]
    (project / name).write_text(FILES[name].replace(old, new))


def test_a_column_with_everything_that_hangs_on_it(lineage_project: Path) -> None:
    result = command("impact", "--column", "raw.orders.net", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["columns"] == {
        "warehouse/raw/orders": ["net"],
        "mart/open_orders": ["net"],
        "report/late_orders": ["worth"],
        "mart/by_city": ["revenue", "large_revenue"],
    }
    names = {(each["kind"], each["asset"]): each["name"] for each in found["guards"]}
    assert names["check", "raw/orders"] == "in_range_net"
    assert ("dbt test", "mart/by_city") in names
    assert {each["name"] for each in found["guards"]} >= {"not_null_by_city_revenue", "no_void"}
    assert "unique_by_city_city" not in {each["name"] for each in found["guards"]}
    assert found["exposures"] == ["city_dashboard"]
    assert found["owners"] == ["mona@example.com", "team:shop"]


def test_a_key_that_another_table_is_checked_against(lineage_project: Path) -> None:
    result = command("impact", "--column", "raw.customers.id")
    assert result.exit_code == 1
    lines = [line.strip() for line in result.output.splitlines()]
    assert "rows    raw/orders" in lines  # the join of the step
    assert any(line.startswith("check  raw/orders: foreign_key") for line in lines)
    assert any(line.startswith("behind  ") and "mart/by_city" in line for line in lines)


def test_a_column_nobody_uses_breaks_nothing(lineage_project: Path) -> None:
    result = command("impact", "--column", "mart.by_city.tagged")
    # The dashboard reads the table; which of its columns dbt does not know.
    assert (result.exit_code, "city_dashboard" in result.output) == (1, True)
    result = command("impact", "--column", "report.late_orders.worth")
    assert (result.exit_code, result.output) == (0, "nothing that is known uses report.late_orders.worth\n")


def test_what_reads_the_table_without_known_columns_may_use_the_column() -> None:
    whole = Asset("raw/t", "stream", Relation({"a": {}, "b": {}}))
    made = Asset("mart/m", "model", Relation({"a": {Origin("a", "raw/t"): Kind.IDENTITY}}), ("raw/t",))
    asks = Asset("mart/asks", "model", Relation(rest=("raw/t",)), ("raw/t",), "its SQL asks the database", ("team:x",))
    apart = Asset("mart/apart", "model", Relation(), (), "of another table")
    graph = connected([whole, made, asks, apart])
    found = impact_of(graph, Origin("b", "raw/t"))
    assert not found.breaks()
    assert found.unclear == (("mart/asks", "its SQL asks the database"),)
    assert found.lines() == ["unclear mart/asks: its SQL asks the database", "owner   team:x"]
    used = impact_of(graph, Origin("a", "raw/t"))
    assert (list(used.columns), [key for key, _ in used.unclear]) == (["mart/m"], ["mart/asks"])


def test_unknown_names_are_refused_with_the_nearest(lineage_project: Path) -> None:
    result = command("impact", "--column", "raw.order.net")
    assert "did you mean 'raw.orders'" in str(result.exception)
    assert command("impact").exit_code == 2
    assert command("impact", "--column", "a.b.c", "--base", "HEAD").exit_code == 2


def test_no_change_is_no_difference(lineage_project: Path) -> None:
    result = command("impact", "--base", "HEAD")
    assert (result.exit_code, result.output) == (0, "no difference to HEAD\n")


def test_a_harmless_change_is_listed_and_passes(own_lineage_project: Path) -> None:
    change(own_lineage_project, PIPELINES, "amount / 1.2", "amount / 1.1")
    result = command("impact", "--base", "HEAD")
    assert (result.exit_code, result.output) == (0, "changes\n  changed  raw.orders\n")


def test_a_column_that_goes_breaks_the_models_and_checks_that_read_it(own_lineage_project: Path) -> None:
    change(own_lineage_project, PIPELINES, "{net: amount / 1.2, late:", "{nett: amount / 1.2, late:")
    result = command("impact", "--base", "HEAD", "--json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    breaks = "\n".join(found["breaks"])
    assert "check  raw.orders: in_range_net looks at raw.orders.net, which is gone" in breaks
    assert "asset    report.late_orders its steps do not fit" in breaks
    assert "removed  raw.orders.net" in found["changes"]
    assert "mona@example.com" in found["owners"]


def test_a_dbt_model_that_changes_is_parsed_anew(own_lineage_project: Path) -> None:
    change(own_lineage_project, MODEL, "r.region,", "r.regoin,")
    result = command("impact", "--base", "HEAD", "--json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert "asset    mart.by_city reads mart.regions.regoin, which is not there" in found["breaks"]
    assert "exposure city_dashboard reads mart.by_city, which lacks 'region' now" in found["breaks"]
    assert "removed  mart.by_city.region" in found["changes"]
    assert not (own_lineage_project / "w.duckdb").exists()  # no database was made for it


def test_a_pipeline_that_no_longer_builds(own_lineage_project: Path) -> None:
    change(own_lineage_project, PIPELINES, "- drop: [note]", "- dropp: [note]")
    result = command("impact", "--base", "HEAD")
    assert result.exit_code == 1
    assert "pipeline unknown transformation 'dropp'" in result.output


def test_a_dbt_project_that_changed_since_it_was_parsed_is_told(own_lineage_project: Path) -> None:
    assert "models_of_shop" not in command("lineage", "raw.orders.net").stderr
    change(own_lineage_project, MODEL, "r.region,", "r.city as region,")
    result = command("lineage", "raw.orders.net")
    assert "models_of_shop has changed since dbt parsed it: run dataflow setup" in result.stderr
    assert result.exit_code == 0


def test_a_revision_that_git_does_not_know(lineage_project: Path) -> None:
    result = command("impact", "--base", "nowhere")
    assert "git.revision" in str(result.exception)


def test_definitions_of_elsewhere_are_refused(lineage_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATAFLOW_DEFS")  # those shipped with the package
    for name in ("NYC_DB_HOST", "NYC_DB_PORT", "NYC_DB_USER", "NYC_DB_PASSWORD", "NYC_API_URL", "NYC_API_KEY"):
        monkeypatch.setenv(name, "1")
    result = command("impact", "--base", "HEAD")
    assert "git.outside" in str(result.exception)


def test_later_commits_are_compared_by_their_name(own_lineage_project: Path) -> None:
    change(own_lineage_project, PIPELINES, "schema: report", "schema: reports")
    git(own_lineage_project, "commit", "--quiet", "-am", "second")
    assert command("impact", "--base", "HEAD").exit_code == 0
    result = command("impact", "--base", "HEAD~1")
    assert "removed  report.late_orders" in result.output
    assert "new      reports.late_orders" in result.output


@pytest.mark.parametrize("direction", ["--up", "--down"])
def test_lineage_in_words_and_json(lineage_project: Path, direction: str) -> None:
    result = command("lineage", "raw.orders.net", direction)
    above, below = "inbox.orders_csv.amount  [TRANSFORMATION]" in result.output, "by_city" in result.output
    assert (above, below) == (direction == "--up", direction == "--down")
    found = json.loads(command("lineage", "raw.orders.late", direction, "--json").output)
    edge = found["edges"][0]
    if direction == "--up":
        assert edge["from"] == {"asset": "inbox/orders_csv", "column": "note"}
        assert (edge["direct"], edge["indirect"], edge["masked"]) == ([], ["CONDITIONAL"], False)
    else:
        assert {"asset": "report/late_orders", "column": None} in [each["to"] for each in found["edges"]]


def test_mermaid_keeps_indirect_edges_apart(lineage_project: Path) -> None:
    lines = command("lineage", "raw.orders.late", "--mermaid").output.splitlines()
    assert lines[0] == "flowchart LR"
    assert any('-.->|"CONDITIONAL"|' in line for line in lines)
    assert any('-->|"IDENTITY"|' in line for line in lines)
