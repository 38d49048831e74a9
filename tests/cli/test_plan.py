"""`dataflow plan` and the schema contract of a YAML pipeline: nothing written before, metadata and checks after."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.yaml_project import INBOX, Write

DECLARED = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  contract: {type_changes: quarantine, new_columns: freeze}
  streams:
    - name: orders
      from: {path: orders.csv}
      contract: {new_columns: evolve}
    - name: items
      from: {path: items.csv}
"""
)


@pytest.fixture
def project(tmp_path: Path, yaml_project: Write) -> Path:
    yaml_project(DECLARED)
    (tmp_path / "inbox").mkdir()
    for name in ("orders", "items"):
        (tmp_path / "inbox" / f"{name}.csv").write_text("id,v\n1,7\n")
    return tmp_path


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["plan", *arguments])


def run(project: Path) -> dg.ExecuteInProcessResult:
    defs = load_folder(project / "defs").built.definitions()
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)


def test_a_plan_of_a_warehouse_that_is_not_there_makes_none(project: Path) -> None:
    result = plan("shop")
    assert result.output.splitlines() == [
        "shop/orders -> shop.orders (load: append)",
        "  create the table (id BIGINT, v BIGINT)",
        "shop/items -> shop.items (load: append)",
        "  create the table (id BIGINT, v BIGINT)",
    ]
    assert result.exit_code == 0
    assert not (project / "w.duckdb").exists()


def test_a_refused_plan_is_printed_with_its_error(project: Path) -> None:
    assert run(project).success
    before = (project / "w.duckdb").read_bytes()
    for name in ("orders", "items"):
        (project / "inbox" / f"{name}.csv").write_text("id,v,extra\n2,8,x\n")
    result = plan()
    assert result.exit_code == 2
    # The stream takes what it does not set (type_changes) from the pipeline, and what it sets is its own.
    assert "shop/orders -> shop.orders (load: append)\n  add column extra VARCHAR\n" in result.output
    assert "  [contract.new_column] the stream has a new column 'extra' (VARCHAR)\n" in result.output
    assert plan("shop", "orders").exit_code == 0
    assert (project / "w.duckdb").read_bytes() == before


def test_an_unknown_name_gets_the_nearest(project: Path) -> None:
    assert project
    assert "did you mean 'shop'?" in str(plan("shpo").exception)
    assert "did you mean 'orders'?" in str(plan("shop", "order").exception)


def test_the_plan_and_the_rows_kept_out_are_shown_on_the_asset(project: Path) -> None:
    assert run(project).success
    (project / "inbox" / "orders.csv").write_text("id,v,extra\n2,8,x\n3,many,y\n")
    result = run(project)
    (shown,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["shop", "orders"])
    ]
    assert shown.metadata["schema changes"].value == (
        "load VARCHAR of column v as BIGINT, keep rows out whose value does not fit; add column extra VARCHAR"
    )
    checks = {
        each.check_name: each.passed
        for each in result.get_asset_check_evaluations()
        if each.asset_key == shown.asset_key
    }
    assert checks == {"contract_type_changes": False}
    with duckdb.connect(str(project / "w.duckdb")) as connection:
        assert connection.execute("SELECT * FROM shop.orders ORDER BY id").fetchall() == [(1, 7, None), (2, 8, "x")]
        kept = connection.execute("SELECT row_values FROM shop._dataflow_quarantine").fetchall()
    # The value as it came, not as it would have been cast.
    assert kept == [('{"id":3,"v":"many","extra":"y"}',)]


STEPS = """\
      transform:
        - rename: {v: amount}
        - derive: {double: amount * 2}
"""


@pytest.mark.parametrize(
    ("step", "says", "fix"),
    [
        # The column was renamed two steps before, so `v` is unknown there.
        ("filter: v > 1", "[column.unknown] unknown column 'v'", "amount, double"),
        ("filter: amont > 1", "[column.unknown] unknown column 'amont'", "did you mean 'amount'?"),
        ("derive: {x: upper(double)}", "No function matches the given name and argument types 'upper(BIGINT)'", ""),
        ("clean: [double]", "clean takes texts, column 'double' is BIGINT", "cast it to varchar"),
    ],
)
def test_a_step_that_does_not_fit_is_told_by_line_before_anything_is_read(
    project: Path, step: str, says: str, fix: str
) -> None:
    steps = f"{STEPS}        - {step}\n"
    declared = DECLARED.replace("      from: {path: orders.csv}\n", f"      from: {{path: orders.csv}}\n{steps}", 1)
    line = declared.splitlines().index(f"        - {step}") + 1
    (project / "defs" / "defs.yaml").write_text(declared)
    result = plan("shop", "orders")
    assert result.exit_code == 2
    assert says in result.output
    assert f"defs.yaml:{line} attributes.streams[0].transform[2]" in result.output
    assert fix in result.output
    # The run says the same: its step fails before a row is staged.
    failed = run(project).filter_events(lambda event: event.is_step_failure)
    texts = [str(event.step_failure_data.user_failure_data.description) for event in failed]
    assert [says in text and f"defs.yaml:{line}" in text for text in texts] == [True]


def test_a_dialect_shows_the_query_and_its_refusal_has_a_place(project: Path, yaml_project: Write) -> None:
    result = plan("shop", "orders", "--dialect", "postgres")
    assert result.exit_code == 0
    assert 'SELECT "id", "v" FROM step_0;' in result.output
    assert '  WITH step_0 AS (SELECT "id", "v" FROM "orders")' in result.output
    assert "  SET TimeZone = 'UTC';" in result.output

    yaml_project(
        DECLARED.replace("from: {path: items.csv}", "from: {path: items.csv}\n      transform: [{sample: 10}]")
    )
    result = plan("shop", "items", "--dialect", "spark")
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert "[portable.step] the step sample does not hold in spark, it does in duckdb" in lines[1]
    # The stream stands below eight lines of the component, INBOX before them.
    line = DECLARED.splitlines().index("      from: {path: items.csv}") + 2
    assert f"defs.yaml:{line}" in lines[2]
