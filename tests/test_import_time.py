"""What is imported, and when: heavy libraries come with what needs them, never with the package or a plain run."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.fixtures.yaml_project import Write

HEAVY = {"aiohttp", "boto3", "dbt", "pandas", "pandera", "polars", "psycopg2", "pyarrow"}
NOT_FOR_PLAIN_FILES = {*HEAVY, "deltalake", "numpy", "pymysql", "sqlglot"}
"""What a run of Parquet files into DuckDB, without steps and checks, does without: 0.3 CPU seconds of 10 rows' 2.3."""
PIPELINE = """
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: {{type: files, root: "{folder}"}}
  destination: {{connection: warehouse}}
  streams:
    - name: orders
      load: replace
      from: {{path: orders.parquet}}
{more}
---
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {{type: duckdb, path: warehouse.duckdb}}
"""


def modules_after(statement: str) -> set[str]:
    """The top-level modules a fresh interpreter holds after ``statement``."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.splitlines()[-1].split())


def test_no_heavy_library_is_imported_with_the_package() -> None:
    dagster = modules_after("import dagster")
    ours = modules_after(
        "import dagster, dataflow_platform, dataflow_platform.core.registry, dataflow_platform.pipeline.component"
    )
    assert "dataflow_platform" in ours
    assert (ours - dagster) & {*HEAVY, "sqlglot"} == set()


def test_the_probe_would_see_a_heavy_library() -> None:
    assert "pyarrow" in modules_after("import pyarrow")


@pytest.mark.parametrize(
    ("more", "needed"),
    [("", set()), ("      transform: [{filter: i > 3}]", {"sqlglot"})],
    ids=["no_steps", "steps_need_the_parser"],
)
def test_a_run_imports_what_it_needs(
    yaml_project: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, needed: set[str]
) -> None:
    folder = yaml_project(PIPELINE.format(folder=tmp_path, more=more))
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i FROM range(10) AS r(i)) TO '{folder}/orders.parquet'")
    run = "from dataflow_platform.cli.run import execute\nassert execute('shop', None, False)"
    assert modules_after(run) & NOT_FOR_PLAIN_FILES == needed
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        # 10 rows; of 0..9 the values 4 to 9 are above 3.
        assert connection.execute("SELECT count(*) FROM shop.orders").fetchall() == [(6 if more else 10,)]
