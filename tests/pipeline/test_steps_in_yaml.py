"""Steps that read other tables, declared in YAML: they order the assets, and their columns are traced."""

from pathlib import Path

import dagster as dg
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.yaml_project import INBOX, Write

DECLARED = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: by_country
      from: {path: orders.csv}
      load: replace
      transform:
        - join: {table: shop.countries, by: {land: code}, columns: [name]}
        - aggregate: {by: [name], compute: {total: sum(amount)}}
    - name: countries
      from: {path: countries.csv}
      load: replace
"""
)


@pytest.fixture
def project(yaml_project: Write) -> Path:
    folder = yaml_project(DECLARED)
    (folder / "inbox").mkdir()
    (folder / "inbox" / "orders.csv").write_text("id,land,amount\n1,de,5\n2,de,7\n3,fr,1\n")
    (folder / "inbox" / "countries.csv").write_text("code,name\nde,Germany\nfr,France\n")
    return folder


def test_the_table_that_is_joined_is_loaded_first_and_its_column_is_traced(project: Path) -> None:
    defs = load_folder(project / "defs").built.definitions()
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process()
    order = [event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key]
    assert order == ["shop/countries", "shop/by_country"]
    (shown,) = [
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["shop", "by_country"])
    ]
    lineage = shown["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    traced = {
        column: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
        for column, deps in lineage.deps_by_column.items()
    }
    assert traced == {"name": [("shop/countries", "name")], "total": [("inbox/orders_csv", "amount")]}
    with DuckDB(path=str(project / "w.duckdb")).reader() as connection:
        # 5 + 7 and 1.
        assert connection.execute("FROM shop.by_country ORDER BY name").fetchall() == [("France", 1), ("Germany", 12)]


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("shop.countries", "shop.by_country", "transform.own_table", 16),
        ("shop.countries", "countries", "table.name", 16),
        ("load: replace\n      tr", "load: append\n      cursor: id\n      tr", "transform.needs_all", 18),
        ("aggregate: {by: [name]", "aggregate: {buy: [name]", "key.unknown", 17),
    ],
)
def test_what_does_not_fit_is_told_by_line_when_definitions_are_loaded(
    yaml_project: Write, old: str, new: str, code: str, line: int
) -> None:
    folder = yaml_project(DECLARED.replace(old, new, 1))
    (error,) = load_folder(folder / "defs").built.problems
    assert isinstance(error, ConfigError)
    assert (error.code, error.where.line) == (code, line)


def test_a_step_that_judges_rows_is_an_asset_check(yaml_project: Write) -> None:
    cast = "- cast: {amount: {type: integer, misfit: quarantine}}\n        - join"
    folder = yaml_project(
        DECLARED.replace("- join", cast, 1).replace(
            "\n        - aggregate: {by: [name], compute: {total: sum(amount)}}", ""
        )
    )
    (folder / "inbox").mkdir()
    (folder / "inbox" / "orders.csv").write_text("id,land,amount\n1,de,5\n2,de,many\n")
    (folder / "inbox" / "countries.csv").write_text("code,name\nde,Germany\n")
    defs = load_folder(folder / "defs").built.definitions()
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process()
    (check,) = [found for found in result.get_asset_check_evaluations() if found.check_name == "cast_amount"]
    assert (check.passed, check.metadata["failing rows"].value) == (False, 1)


@pytest.mark.parametrize(
    ("form", "code", "fix"),
    [
        ("{land: {as: contry}}", "value.type", "did you mean 'country'?"),
        ("{land: {misfit: 'null'}}", "key.missing", "add as: ..."),
    ],
)
def test_a_value_that_does_not_say_what_it_is(yaml_project: Write, form: str, code: str, fix: str) -> None:
    folder = yaml_project(DECLARED.replace("- join", f"- normalise: {form}\n        - join", 1))
    (error,) = load_folder(folder / "defs").built.problems
    assert (error.code, error.where.line) == (code, 16)
    assert fix in error.fix


def test_what_a_step_fails_with_is_told_in_its_own_words_also_where_a_value_is_masked(yaml_project: Write) -> None:
    steps = "- normalise: {land: {as: country}}\n        - mask: {amount: 'null'}\n        - join"
    folder = yaml_project(
        DECLARED.replace("- join", steps, 1).replace("compute: {total: sum(amount)}", "compute: {n: count(*)}")
    )
    (folder / "inbox").mkdir()
    (folder / "inbox" / "orders.csv").write_text("id,land,amount\n1,Atlantis,5\n")
    (folder / "inbox" / "countries.csv").write_text("code,name\nde,Germany\n")
    defs = load_folder(folder / "defs").built.definitions()
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = str(failed.step_failure_data.user_failure_data or failed.step_failure_data.error)
    assert "[step.misfit] a value of land is no country" in told
    assert "Atlantis" not in told
