"""Steps that bring knowledge from elsewhere, declared in YAML and run through the engine."""

from pathlib import Path
from typing import Any

import dagster as dg

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.yaml_project import INBOX, Write

PIPELINE = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: customers
      from: {path: customers.csv}
      load: replace
      transform:
"""
)


def materialized(folder: Path) -> dg.ExecuteInProcessResult:
    """What became of all assets of the project."""
    loaded = load_folder(folder / "defs").built
    assert loaded.problems == []
    return loaded.definitions().resolve_implicit_global_asset_job_def().execute_in_process()


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with DuckDB(path=str(folder / "w.duckdb")).reader() as connection:
        return connection.execute(query).fetchall()


def project(write: Write, steps: str, customers: str) -> Path:
    folder = write(PIPELINE + "".join(f"        - {line}\n" for line in steps.splitlines()))
    (folder / "inbox").mkdir()
    (folder / "inbox" / "customers.csv").write_text(customers)
    return folder


def test_values_in_one_form_and_misfits_in_quarantine(yaml_project: Write) -> None:
    steps = """\
cast: {phone: varchar}
normalise: {phone: {as: phone, region: DE}, land: {as: country, languages: [de], misfit: quarantine}}
"""
    folder = project(
        yaml_project, steps, 'id,phone,land\n1,"030 123456",Frankreich\n2,,deu\n3,"+49 30 123456",Erewhon\n'
    )
    result = materialized(folder)
    assert rows(folder, "SELECT id, phone, land FROM shop.customers ORDER BY id") == [
        (1, "+4930123456", "FR"),
        (2, None, "DE"),
    ]
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "normalise_land"]
    assert check.metadata["failing rows"].value == 1
    ((metadata,),) = [
        [each.step_materialization_data.materialization.metadata] for each in result.get_asset_materialization_events()
    ]
    lineage: Any = metadata["dagster/column_lineage"].value
    assert {name: [dep.column_name for dep in deps] for name, deps in lineage.deps_by_column.items()} == {
        "id": ["id"], "phone": ["phone"], "land": ["land"],
    }  # fmt: skip
