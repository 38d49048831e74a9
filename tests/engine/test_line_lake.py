"""The straight line on a lake: the scenarios of DuckDB's line, and what only a log of versions has."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from dataflow_platform.connectors._lake.writing import PendingFiles
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, LoadStrategy, Table
from dataflow_platform.core.errors import ConfigError, DataError, TransientError
from dataflow_platform.engine.io_manager import WarehouseIOManager
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.quarantine import by_reason
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import load_state, reset_state
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.partition import Partition
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3
from dataflow_platform.pipeline.loader import load_folder
from tests.engine.test_line import (  # noqa: F401  # pytest collects them here, with this module's warehouse
    ONE,
    TWO,
    make,
    run,
    table,
    test_a_committed_load_id_is_a_no_op,
    test_a_failed_error_check_leaves_the_target_untouched,
    test_a_filter_counts_and_its_rows_are_not_read_again,
    test_a_type_is_widened_only_without_loss,
    test_an_empty_stream_makes_an_empty_table,
    test_append_with_cursor_loses_no_tie_and_repeats_none,
    test_bad_rows_go_to_quarantine_with_reasons,
    test_hostile_names_survive,
    test_keys_with_nulls_go_to_quarantine_under_merge,
    test_merge_updates_inserts_and_keeps_the_newest_of_a_batch,
    test_more_than_62_rules,
    test_new_missing_and_changed_columns,
    test_nothing_is_visible_before_publish_and_close_undoes_it,
    test_position_of_the_source_is_committed_with_the_rows,
    test_replace_reads_everything_again_whatever_the_state,
    test_second_run_with_nothing_new_moves_nothing,
)
from tests.engine.test_profile import test_a_profile_is_kept_and_found_again  # noqa: F401
from tests.engine.test_quality_history import (  # noqa: F401
    test_a_refused_first_load_makes_no_table,
    test_a_refused_load_leaves_what_it_found_and_nothing_else,
    test_history_is_what_earlier_published_loads_of_the_stream_kept,
    test_the_rows_that_refused_a_load_can_be_seen_until_the_next,
    test_verdicts_metrics_and_the_number_of_rows_stay_with_a_published_load,
)
from tests.load_strategies.batches import HOSTILE, Loader, Row, batches

FORMATS = ["delta", "parquet_dataset"]


def lake(kind: str, folder: Path, **fields: Any) -> Destination:
    return registry.destination(kind)(path=str(folder / "lake"), wait_seconds=0.3, **fields)


@pytest.fixture(params=FORMATS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    return lake(request.param, tmp_path)


STRATEGIES: list[tuple[str, LoadStrategy]] = [
    ("append", Append()),
    ("replace", Replace()),
    ("merge", Merge()),
    ("merge", Merge(delete_marker=HOSTILE["gone"])),
    ("delta", Delta(deletes="soft")),
    ("delta", Delta()),
    ("partition", Partition(by=(HOSTILE["v"],))),
    ("scd1", Scd1()),
    ("scd2", Scd2()),
    ("scd3", Scd3(columns=(HOSTILE["v"],))),
]
few = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("how", "strategy"), STRATEGIES)
@few
@given(sequence=batches())
def test_the_same_rows_as_on_duckdb(
    tmp_path_factory: pytest.TempPathFactory, how: str, strategy: LoadStrategy, kind: str, sequence: list[list[Row]]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    found = []
    for warehouse in (DuckDB(path=str(folder / "w.duckdb")), lake(kind, folder)):
        loader = Loader(warehouse, how, strategy, HOSTILE, without=(), table="same")  # type: ignore[arg-type]
        counts = []
        for batch in sequence:
            record = loader.load(batch)
            counts.append((record.rows_loaded, record.rows_filtered, record.rows_deleted, record.rows_updated))
        found.append((counts, loader.found(of=list(HOSTILE))))
    assert found[0] == found[1]


def test_the_second_writer_waits_and_then_says_who_is_first(warehouse: Destination) -> None:
    first = stage(make(warehouse, "append", ONE))
    try:
        with pytest.raises(TransientError, match=r"lake\.locked") as caught:
            stage(make(warehouse, "append", ONE, "2"))
    finally:
        first.close()
    assert "is loading raw.t; waited 0.3 s" in caught.value.what


def test_a_second_writer_that_waits_starts_where_the_first_ended(tmp_path: Path) -> None:
    patient = lake("delta", tmp_path).model_copy(update={"wait_seconds": 20.0})
    first = stage(make(patient, "append", ONE, cursor="at"))
    threading.Timer(0.3, publish, [first]).start()
    run(patient, "append", TWO, "2", cursor="at")
    assert table(patient) == [(1, 10, "a"), (1, 30, "A"), (2, 20, "b"), (3, 20, "c")]


def test_what_another_writer_committed_meanwhile_forbids_the_commit(
    warehouse: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(warehouse, "append", ONE)
    # Without the lock, as on a store that has none: the log alone must keep the two apart.
    monkeypatch.setattr("dataflow_platform.connectors._lake.store.LocalStore.lock", lambda *_: lambda: None)
    monkeypatch.setattr("dataflow_platform.connectors._lake.store.LocalStore.exclusive", False)
    first, second = stage(make(warehouse, "merge", TWO, "2")), stage(make(warehouse, "merge", ONE, "3"))
    publish(first)
    with pytest.raises(TransientError, match=r"lake\.overtaken"):
        publish(second)
    assert table(warehouse, "SELECT load_id FROM raw._dataflow_loads ORDER BY 1") == [("1",), ("2",)]


def test_state_is_shown_and_reset_without_a_load(warehouse: Destination) -> None:
    run(warehouse, "append", ONE, cursor="at")
    session = warehouse.session()
    try:
        assert load_state(session, "raw", "p", "t").cursor == "20"
        reset_state(session, "raw", "p", "t")
        session.commit()
    finally:
        session.close()
    record = run(warehouse, "append", ONE, "2", cursor="at")
    assert (record.cursor_before, record.rows_loaded) == (None, 2)


def test_rows_in_quarantine_can_change_their_status_and_columns(warehouse: Destination) -> None:
    run(warehouse, "merge", [{"id": None, "at": 1, "v": "x"}, {"id": None, "at": 2, "v": "y"}])
    for number in (1, 2):
        session = warehouse.session()
        try:
            name = 'raw."_dataflow_quarantine"'
            session.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS note VARCHAR")
            touched = session.execute(
                f"UPDATE {name} SET status = 'discarded', note = 'n{number}' WHERE status = 'open' "
                f"AND contains(row_values, '\"at\":{number}')"
            )
            session.commit()
        finally:
            session.close()
        assert touched == 1
    found = table(warehouse, "SELECT status, note FROM raw._dataflow_quarantine ORDER BY ALL")
    assert found == [("discarded", "n1"), ("discarded", "n2")]
    session = warehouse.session()
    assert by_reason(session, "raw", "p") == []
    session.close()


def test_many_loads_leave_few_ledger_files(warehouse: Destination, tmp_path: Path) -> None:
    for number in range(20):
        run(warehouse, "append", [{"id": number, "at": number, "v": "x"}], str(number), cursor="at")
    assert table(warehouse, "SELECT count(*), count(DISTINCT load_id) FROM raw._dataflow_loads") == [(20, 20)]
    assert table(warehouse, "SELECT count(*) FROM raw.t") == [(20,)]
    # The 17th load merges the 16 files before it; they stay for an hour, for those who still read them.
    named = list((tmp_path / "lake/raw/t/_dataflow").glob("dataflow_loads-*"))
    assert len(named) == 20


def test_a_renamed_and_a_dropped_column_are_written_anew(warehouse: Destination) -> None:
    run(warehouse, "append", ONE)
    session = warehouse.session()
    session.lock(Table("raw", "t"))
    session.execute('ALTER TABLE raw.t RENAME COLUMN "v" TO "w"')
    session.execute('ALTER TABLE raw.t DROP COLUMN "at"')
    session.execute('INSERT INTO raw.t ("id", "w") SELECT 3, \'c\'')
    session.commit()
    session.close()
    assert table(warehouse) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_value_that_does_not_fit_fails_the_load_in_words(warehouse: Destination) -> None:
    # NaN is no key of a decimal: the value cannot become what the column is.
    run(warehouse, "append", ONE)
    with pytest.raises((DataError, ConfigError)):
        run(warehouse, "append", [{"id": "x", "at": 1, "v": "a"}], "2")
    assert len(table(warehouse)) == 2


def test_a_session_changes_one_table_only(warehouse: Destination) -> None:
    run(warehouse, "append", ONE)
    run(warehouse, "append", ONE, "2", target=Table("raw", "u"))
    session = warehouse.session()
    try:
        session.execute("DELETE FROM raw.t")
        session.execute("DELETE FROM raw.u")
        with pytest.raises(ConfigError, match=r"lake\.two_tables"):
            session.commit()
    finally:
        session.close()
    assert len(table(warehouse)) == 2


def test_an_asset_gets_a_relation_and_one_that_returns_arrow_replaces_its_table(warehouse: Destination) -> None:
    run(warehouse, "append", ONE)
    manager = WarehouseIOManager(destination=warehouse)
    context = dg.build_output_context(asset_key=dg.AssetKey(["raw", "t"]))
    manager.handle_output(context, pa.table({"x": [1, 2, 3]}))
    relation = manager.load_input(dg.build_input_context(asset_key=dg.AssetKey(["raw", "t"])))
    assert relation.fetchall() == [(1,), (2,), (3,)]


@pytest.mark.parametrize("kind", FORMATS)
def test_partitions_are_folders_and_come_back(kind: str, tmp_path: Path) -> None:
    warehouse = lake(kind, tmp_path, partition_by={"t": ["v"]})
    rows = [{"id": n, "at": n, "v": text} for n, text in enumerate(["a b", "ä/=%", None, "🛩", "a b"])]
    run(warehouse, "append", rows)
    run(warehouse, "merge", [{"id": 0, "at": 9, "v": "moved"}], "2", cursor="at")
    found = Counter(value for (value,) in table(warehouse, "SELECT v FROM raw.t"))
    assert found == {"a b": 1, "ä/=%": 1, None: 1, "🛩": 1, "moved": 1}
    assert (tmp_path / "lake/raw/t/v=moved").is_dir()


YAML = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: KIND, path: lake}
    inbox: {type: files, root: inbox}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: orders
      from: {path: "*.csv"}
      primary_key: id
      load: merge
      checks: [{not_null: id}]
"""


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pipeline_in_yaml_runs_by_the_command(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "defs").mkdir()
    (tmp_path / "defs" / "defs.yaml").write_text(YAML.replace("KIND", kind))
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.csv").write_text("id,amount\n1,2.5\n2,3.5\n")
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DATAFLOW_DEFS", "defs")
    assert load_folder(tmp_path / "defs").built.problems == []
    command = [sys.executable, "-c", "from dataflow_platform.cli.main import main; main()", "run", "shop"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert table(lake(kind, tmp_path), "SELECT * FROM shop.orders ORDER BY 1") == [(1, 2.5), (2, 3.5)]


@pytest.mark.parametrize("how", ["append", "merge", "replace"])
def test_rows_are_read_back_before_the_commit(
    warehouse: Destination, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(warehouse, how, ONE, reconcile="on")
    record = run(warehouse, how, TWO, "2", reconcile="on")
    assert "3 rows: the table holds what came into the stage" in record.checks
    write = PendingFiles.write

    def altered(self: PendingFiles, query: str, *given: Any) -> Any:
        return write(self, f"SELECT * REPLACE (v || 'x' AS v) FROM ({query})", *given)

    monkeypatch.setattr(PendingFiles, "write", altered)
    if how == "merge":  # its rows are written by the commit, behind the comparison
        return
    with pytest.raises(DataError, match=r"load\.corrupted"):
        run(warehouse, how, TWO, "3", reconcile="on")
