"""Pipelines as Dagster sees them: write-audit-publish, metadata, retries, partitions, hand-written assets."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from dataflow_platform.pipeline.loader import Loaded, load_folder

YAML = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {{type: duckdb, path: "{home}/w.duckdb", wait_seconds: 0.3}}
    inbox: {{type: files, root: "{home}/inbox"}}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  schedule: {{cron: "0 6 * * *", timezone: Europe/Berlin}}
  freshness: {{fail_hours: 26, warn_hours: 25}}
  owners: ["team:sales"]
  tags: {{domain: sales}}
  sensor: {{every_seconds: 30}}
  streams:
    - name: orders
      description: What was sold.
      from: {{path: "*.csv", columns: {{id: INTEGER, day: DATE, amount: INTEGER}}}}
      primary_key: id
      cursor: day
      load: merge
      partition: {{by: day, every: month, start: 2026-01-01, end: 2026-04-01, timezone: America/New_York}}
      transform:
        - derive: {{cents: amount * 100}}
        - rename: {{amount: euros}}
      checks:
        - in_range: {{column: euros, min: 0, severity: {severity}, at_most: {at_most}}}
"""


class Shop:
    """A project of one pipeline, run with an instance of its own."""

    def __init__(self, home: Path, severity: str = "warn", at_most: str = "0") -> None:
        self.home = home
        (home / "inbox").mkdir()
        folder = home / "defs" / "shop"
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(YAML.format(home=home, severity=severity, at_most=at_most))
        self.loaded: Loaded = load_folder(home / "defs")
        assert self.loaded.built.problems == []
        self.defs = self.loaded.built.definitions()
        (home / "dagster").mkdir()
        self.instance = dg.DagsterInstance.ephemeral(tempdir=str(home / "dagster"))

    def arrive(self, name: str, rows: str) -> None:
        (self.home / "inbox" / name).write_text("id,day,amount\n" + rows)

    def run(self, **options: Any) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **options)

    def rows(self, sql: str = "SELECT * FROM shop.orders ORDER BY id") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "w.duckdb")) as connection:
            return connection.execute(sql).fetchall()


KEY = dg.AssetKey(["shop", "orders"])


def test_a_warning_publishes_the_good_rows_and_says_what_was_kept_out(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.arrive("a.csv", "1,2026-01-05,10\n2,2026-02-05,-1\n")
    result = shop.run()
    assert result.success
    assert [row[0] for row in shop.rows()] == [1]
    evaluations = {each.check_name: each for each in result.get_asset_check_evaluations()}
    check = evaluations["in_range_euros"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["quarantined"].value == 1
    assert check.metadata["samples"].value == "-1"
    assert evaluations["primary_key_present"].passed


def test_an_error_is_known_before_anything_is_published(tmp_path: Path) -> None:
    """Invariant 6: the target stays as it was, downstream does not run, the failed check is on record."""
    shop = Shop(tmp_path, severity="error")
    shop.arrive("a.csv", "1,2026-01-05,10\n")
    assert shop.run().success
    shop.arrive("b.csv", "2,2026-02-05,-1\n3,2026-02-06,5\n")
    result = shop.run()
    assert not result.success
    assert [row[0] for row in shop.rows()] == [1]
    assert not any(event.is_step_materialization for event in result.all_events)
    assert [each.passed for each in result.get_asset_check_evaluations() if "range" in each.check_name] == [False]
    told = next(iter(result.get_step_failure_events())).step_failure_data
    assert told.user_failure_data is None or "check.failed" in str(told.user_failure_data.description)
    # Nothing is lost: with the bad row mended, the same files are read again.
    shop.arrive("b.csv", "2,2026-02-05,1\n3,2026-02-06,5\n")
    assert shop.run().success
    assert [row[0] for row in shop.rows()] == [1, 2, 3]


def test_a_tolerated_share_passes_and_is_quarantined_all_the_same(tmp_path: Path) -> None:
    shop = Shop(tmp_path, severity="error", at_most="50%")
    shop.arrive("a.csv", "1,2026-01-05,10\n2,2026-02-05,-1\n")
    result = shop.run()
    assert result.success
    assert all(each.passed for each in result.get_asset_check_evaluations())
    assert shop.rows("SELECT count(*) FROM shop._dataflow_quarantine") == [(1,)]


def test_native_metadata_and_column_lineage(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.arrive("a.csv", "1,2026-01-05,10\n")
    event = shop.run().asset_materializations_for_node("shop__orders")[0]
    metadata = event.metadata
    assert metadata["dagster/row_count"].value == 1
    schema = metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [(column.name, column.type) for column in schema.columns] == [
        ("id", "INTEGER"), ("day", "DATE"), ("euros", "INTEGER"), ("cents", "INTEGER"),
    ]  # fmt: skip
    lineage = metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    origins = {column: [dep.column_name for dep in deps] for column, deps in lineage.deps_by_column.items()}
    assert origins == {"id": ["id"], "day": ["day"], "euros": ["amount"], "cents": ["amount"]}
    spec = next(spec for spec in shop.defs.resolve_all_asset_specs() if spec.key == KEY)
    assert spec.metadata["dagster/relation_identifier"] == "shop.orders"
    assert (spec.owners, spec.tags["domain"], spec.description) == (["team:sales"], "sales", "What was sold.")
    assert spec.kinds == {"files", "duckdb"}
    assert spec.freshness_policy is not None


def test_an_incremental_run_fills_the_partitions_it_touched(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.arrive("a.csv", "1,2026-01-05,10\n2,2026-02-05,20\n")
    shop.run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = shop.instance.get_materialized_partitions(KEY)
    assert filled == {"2026-01-01", "2026-02-01"}


def test_a_partition_run_reads_its_range_only(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.arrive("a.csv", "1,2026-01-05,10\n2,2026-02-05,20\n3,2026-03-01,30\n")
    assert shop.run(partition_key="2026-02-01").success
    assert [row[0] for row in shop.rows()] == [2]
    span = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-02-01"}
    assert shop.run(tags=span).success
    assert [row[0] for row in shop.rows()] == [1, 2]
    assert shop.run().success
    assert [row[0] for row in shop.rows()] == [1, 2, 3]


def test_schedule_and_sensor(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    (schedule,) = shop.defs.get_repository_def().schedule_defs
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "Europe/Berlin")
    sensor = shop.defs.resolve_sensor_def("shop_orders_arrival")
    with dg.build_sensor_context(instance=shop.instance, definitions=shop.defs) as context:
        assert isinstance(sensor(context), dg.SkipReason)
        shop.arrive("a.csv", "1,2026-01-05,10\n")
        request = sensor(context)
        assert isinstance(request, dg.RunRequest)
        assert isinstance(sensor(context), dg.SkipReason)


def test_a_resumed_run_does_not_move_what_the_first_one_committed(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.arrive("a.csv", "1,2026-01-05,10\n2,2026-02-05,-1\n")
    first = shop.run()
    tags = {"dagster/is_resume_retry": "true", "dagster/root_run_id": first.run_id}
    again = shop.run(tags=tags)
    assert again.success
    assert shop.rows("SELECT count(*) FROM shop._dataflow_loads") == [(1,)]
    # The checks of the committed load are told again, as they were.
    assert [each.passed for each in again.get_asset_check_evaluations() if "range" in each.check_name] == [False]


def test_a_python_asset_takes_the_table_lazily_and_gives_one_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.arrive("a.csv", "1,2026-01-05,10\n2,2026-02-05,20\n")
    assert shop.run().success

    @dg.asset(
        key=["shop", "totals"],
        ins={"orders": dg.AssetIn(KEY)},
        io_manager_key="warehouse_io_manager",
    )
    def totals(orders: duckdb.DuckDBPyRelation) -> Any:
        return orders.aggregate("sum(euros) AS euros").to_arrow_table()

    resources = shop.loaded.built.resources
    source = [asset for asset in shop.loaded.built.assets if isinstance(asset, dg.AssetsDefinition)]
    result = dg.materialize([*source, totals], resources=resources, selection=[totals], raise_on_error=False)
    assert result.success
    assert shop.rows("SELECT euros::INTEGER FROM shop.totals") == [(30,)]


@pytest.mark.parametrize("attempts", [0, 2])
def test_a_passing_error_is_retried_as_often_as_declared(tmp_path: Path, attempts: int) -> None:
    shop = Shop(tmp_path)
    file = tmp_path / "defs" / "shop" / "defs.yaml"
    file.write_text(
        file.read_text().replace("  streams:", f"  retries: {{max: {attempts}, delay_seconds: 0}}\n  streams:")
    )
    shop.loaded = load_folder(tmp_path / "defs")
    shop.defs = shop.loaded.built.definitions()
    shop.arrive("a.csv", "1,2026-01-05,10\n")
    with duckdb.connect(str(tmp_path / "other.duckdb")):
        # A file that vanishes between listing and reading is a passing error; a held warehouse is one as well.
        code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        words = [sys.executable, "-c", code, str(tmp_path / "w.duckdb")]
        holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        try:
            result = shop.run()
        finally:
            holder.communicate()
    assert not result.success
    retried = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert len(retried) == attempts


def test_a_history_runs_with_the_check_it_brings(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    file = tmp_path / "defs" / "shop" / "defs.yaml"
    file.write_text(file.read_text().replace("load: merge", "load: scd2"))
    shop.loaded = load_folder(tmp_path / "defs")
    shop.defs = shop.loaded.built.definitions()
    shop.arrive("a.csv", "1,2026-01-05,10\n2,,20\n")
    result = shop.run()
    assert result.success
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks["cursor_present"] is False  # order 2 has no day: it waits in quarantine
    assert [row[0] for row in shop.rows()] == [1]
