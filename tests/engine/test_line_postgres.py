"""The straight line on PostgreSQL: the scenarios of DuckDB's line, and what only a server with many writers has."""

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from dataflow_platform.checks.foreign_key import ForeignKey
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.postgres import PostgresDestination, copying
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import qualified
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.io_manager import WarehouseIOManager
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.quarantine import by_reason, rows_of
from dataflow_platform.engine.stage import stage
from dataflow_platform.pipeline.loader import load_folder
from tests.engine.test_line import (  # noqa: F401  # pytest collects them here, with this module's warehouse
    ONE,
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
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.rows import Rows


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own, owned by a role that is nobody else."""
    name = f"line_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def warehouse(postgres_server: PostgresServer, database: str) -> PostgresDestination:
    return PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=database, user="postgres",
        password=postgres_server.password, wait_seconds=0.3,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["append", "merge", "replace"])
@pytest.mark.evidence("postgres", "destination", "real_server")
def test_hostile_names_survive(
    warehouse: PostgresDestination, how: str, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    longest = "ü" * 31 + "x"  # 63 bytes
    names = ["a b", 'quo"te', "apo'strophe", "select", "1st", "ümläut", "emoji 🛩", "per%cent", "{brace}", longest]
    rows = [{"id": 1, **dict.fromkeys(names, "v")}]
    target = Table('odd "schema"', "odd 'table' %s?")
    for load_id in ("1", "2"):
        publish(stage(replace(make(warehouse, how, rows, load_id), target=target)))
    session = warehouse.session()
    try:
        columns = session.columns(target)
        assert [column.name for column in columns or ()] == ["id", *names]
        count = 2 if how == "append" else 1
        assert session.query(f"SELECT * FROM {qualified(target.schema, target.name)}") == [(1, *["v"] * 10)] * count
    finally:
        session.close()
    ran_against(warehouse, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


@pytest.mark.parametrize("schema", ["memory", "temp", "system", "main", "warehouse"])
def test_a_schema_may_have_a_name_that_means_something_to_duckdb(warehouse: PostgresDestination, schema: str) -> None:
    for load_id in ("1", "2"):
        publish(stage(replace(make(warehouse, "merge", ONE, load_id), target=Table(schema, "t"))))
    session = warehouse.session()
    try:
        assert session.query(f'SELECT count(*) FROM "{schema}"."t"') == [(2,)]
    finally:
        session.close()


@pytest.mark.parametrize(
    ("target", "column"), [(Table("raw", "t"), "ü" * 32), (Table("raw", "x" * 64), "v"), (Table("x" * 64, "t"), "v")]
)
def test_a_name_postgres_would_cut_off_is_refused(warehouse: PostgresDestination, target: Table, column: str) -> None:
    with pytest.raises(
        ConfigError, match=r"\[postgres.identifier\] the name '[üx]+' has 64 bytes, PostgreSQL keeps 63"
    ):
        stage(replace(make(warehouse, "append", [{"id": 1, column: "v"}]), target=target))


@pytest.mark.evidence("postgres", "destination", "real_server")
def test_merge_with_equal_cursors_is_deterministic(
    warehouse: PostgresDestination, postgres_server: PostgresServer, ran_against: RanAgainst
) -> None:
    batch = [{"id": 1, "at": 5, "v": "x"}, {"id": 1, "at": 5, "v": "y"}]
    run(warehouse, "merge", batch, cursor="at")
    run(warehouse, "merge", batch[::-1], "2", cursor="at", target=Table("raw", "other"), pipeline="q")
    assert table(warehouse) == table(warehouse, "SELECT * FROM raw.other") == [(1, 5, "y")]
    ran_against(warehouse, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


def test_a_declared_widening_is_no_change_of_schema(warehouse: PostgresDestination) -> None:
    rows = pa.table({"id": pa.array([1], pa.uint64()), "kind": pa.array([{"a": 1}]), "n": pa.array([7], pa.uint8())})
    load = make(warehouse, "merge", ONE)
    for load_id in ("1", "2"):
        staged = stage(replace(load, source=Rows().with_rows(rows), load_id=load_id))
        assert staged.plan is not None
        assert staged.plan.changes == ()
        publish(staged)
    assert table(warehouse, "SELECT id, kind->>'a', n, typeof(id) FROM raw.t") == [(1, "1", 7, "DECIMAL(20,0)")]


def test_a_column_of_an_existing_table_is_widened_in_place(
    warehouse: PostgresDestination, postgres_server: PostgresServer, database: str
) -> None:
    narrow, wide = pa.table({"id": pa.array([1], pa.int32())}), pa.table({"id": pa.array([2**40], pa.int64())})
    load = make(warehouse, "append", ONE)
    publish(stage(replace(load, source=Rows().with_rows(narrow))))
    postgres_server.execute("CREATE INDEX t_id ON raw.t (id)", database)
    publish(stage(replace(load, source=Rows().with_rows(wide), load_id="2")))
    assert postgres_server.execute("SELECT id, pg_typeof(id)::text FROM raw.t ORDER BY 1", database) == [
        (1, "bigint"), (2**40, "bigint"),
    ]  # fmt: skip
    assert postgres_server.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'raw'", database) == [("t_id",)]


@pytest.mark.evidence("postgres", "destination", "real_server")
def test_replace_keeps_what_hangs_on_the_table(
    warehouse: PostgresDestination, postgres_server: PostgresServer, database: str, ran_against: RanAgainst
) -> None:
    run(warehouse, "replace", ONE)
    postgres_server.execute(
        "CREATE VIEW raw.seen AS SELECT id, v FROM raw.t; GRANT SELECT ON raw.t TO pg_monitor; "
        "COMMENT ON COLUMN raw.t.v IS 'said'; CREATE INDEX t_id ON raw.t (id)",
        database,
    )
    run(warehouse, "replace", [{"id": 9, "at": 1, "v": "new"}], "2")
    assert postgres_server.execute("SELECT * FROM raw.seen", database) == [(9, "new")]
    kept = postgres_server.execute(
        "SELECT has_table_privilege('pg_monitor', 'raw.t', 'SELECT'), col_description('raw.t'::regclass, 3), "
        "(SELECT count(*) FROM pg_indexes WHERE tablename = 't')",
        database,
    )
    assert kept == [(True, "said", 1)]
    ran_against(warehouse, f"PostgreSQL {postgres_server.execute('SHOW server_version')[0][0]}")


def test_replace_shows_the_old_rows_until_the_new_are_complete(
    warehouse: PostgresDestination, postgres_server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(warehouse, "replace", ONE)
    seen: list[list[tuple[Any, ...]]] = []
    read = copying.Feed.read

    def reading(feed: copying.Feed, size: int) -> bytes:
        seen.append(postgres_server.execute("SELECT id FROM raw.t ORDER BY 1", database))
        return read(feed, size)

    monkeypatch.setattr(copying.Feed, "read", reading)
    run(warehouse, "replace", [{"id": 9, "at": 1, "v": "new"}], "2")
    assert len(seen) >= 2  # at least one block of rows and the end
    assert all(rows == [(1,), (2,)] for rows in seen)
    assert table(warehouse, "SELECT id FROM raw.t") == [(9,)]


def test_a_check_reads_another_table_and_an_asset_gets_a_relation(
    warehouse: PostgresDestination, postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute(
        "CREATE SCHEMA ref; CREATE TABLE ref.known (v text, price numeric); INSERT INTO ref.known VALUES ('a', 0.1)",
        database,
    )
    checks = [ForeignKey(column="v", references="ref.known.v", severity="warn")]
    record = run(warehouse, "append", ONE, checks=checks)
    assert (record.rows_loaded, record.rows_quarantined) == (1, 1)
    context = dg.build_input_context(asset_key=dg.AssetKey(["raw", "t"]))
    relation = WarehouseIOManager(destination=warehouse).load_input(context)
    assert relation.fetchall() == [(1, 10, "a")]


def test_an_asset_that_returns_arrow_replaces_its_table(warehouse: PostgresDestination) -> None:
    manager = WarehouseIOManager(destination=warehouse)
    for value in (1, 2):
        context = dg.build_output_context(asset_key=dg.AssetKey(["ref", "mine"]))
        manager.handle_output(context, pa.table({"x": [value]}))
    assert table(warehouse, "SELECT x FROM ref.mine") == [(2,)]


def test_a_role_that_may_not_create_is_told_what_to_grant(
    warehouse: PostgresDestination, postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute(f"CREATE ROLE {database} LOGIN PASSWORD 'pw'")
    try:
        guest = PostgresDestination(**{**warehouse.model_dump(), "user": database, "password": "pw"})
        assert guest.test_connection().endswith(f"as {database}, which may not create schemas")
        with pytest.raises(
            ConfigError, match=r"\[postgres.permission\] permission denied for database(.|\n)*GRANT CREATE"
        ):
            run(guest, "append", ONE)
        # Where the schema is there and is the role's to use, the right to create schemas is not asked for.
        postgres_server.execute(f"CREATE SCHEMA raw AUTHORIZATION {database}", database)
        assert run(guest, "append", ONE).rows_loaded == 2
    finally:
        postgres_server.execute(f"DROP OWNED BY {database}", database)
        postgres_server.execute(f"DROP ROLE {database}")


def test_engine_spills_instead_of_growing(warehouse: PostgresDestination, tmp_path: Path) -> None:
    small = PostgresDestination(**{**warehouse.model_dump(), "memory_limit": "100MB", "spill_folder": str(tmp_path)})
    session = small.session()
    try:
        # 4 million rows of 64 random characters: 250 MB that no compression makes small.
        staged = session.stage(
            "SELECT md5(i::VARCHAR) || md5((-i)::VARCHAR) AS v FROM range(4000000) r(i)", Table("raw", "t")
        )
        assert [folder.name.startswith("dataflow-spill-") for folder in tmp_path.iterdir()] == [True]
        session.execute('CREATE SCHEMA IF NOT EXISTS "raw"')
        session.publish_as_new(staged, Table("raw", "t"))
        assert session.query("SELECT count(*) FROM raw.t") == [(4_000_000,)]
    finally:
        session.close()
    assert list(tmp_path.iterdir()) == []


def test_spill_of_a_killed_process_is_removed(warehouse: PostgresDestination, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    left, kept = (
        tmp_path / f"dataflow-spill-{socket.gethostname()}-{pid}-0123abcd" for pid in (child.pid, os.getpid())
    )
    left.mkdir()
    kept.mkdir()
    PostgresDestination(**{**warehouse.model_dump(), "spill_folder": str(tmp_path)}).session().close()
    assert list(tmp_path.iterdir()) == [kept]


def test_the_quarantine_is_listed(warehouse: PostgresDestination) -> None:
    rows = [*ONE, {"id": 3, "at": 99, "v": None}, {"id": 4, "at": None, "v": None}]
    run(warehouse, "append", rows, checks=[NotNull(columns=["v", "at"], severity="warn")])
    session = warehouse.session()
    try:
        assert by_reason(session, "raw", "p") == [("t", "not_null_v", 2), ("t", "not_null_at", 1)]
        listed = rows_of(session, "raw", "p", "t", 1)
        assert [set(row["values"]) for row in listed] == [{"id", "at", "v"}]  # type: ignore[call-overload]
    finally:
        session.close()


PIPELINE = """\
type: dataflow_platform.Connections
attributes:
  connections:
    pg:
      type: postgres
      host: 127.0.0.1
      port: PORT
      database: DATABASE
      user: postgres
      password: "{{ env.LINE_TEST_PASSWORD }}"
    inbox: {type: files, root: INBOX}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  destination: {connection: pg, schema: s}
  streams:
    - name: orders
      from: {path: orders.csv}
      primary_key: id
      load: merge
      transform:
        - derive: {total: amount * 2}
      checks:
        - in_range: {column: amount, min: 0, severity: warn}
"""


def test_a_pipeline_in_yaml_runs_end_to_end(
    warehouse: PostgresDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINE_TEST_PASSWORD", warehouse.password)
    text = PIPELINE.replace("PORT", str(warehouse.port)).replace("DATABASE", warehouse.database)
    (tmp_path / "defs/shop").mkdir(parents=True)
    (tmp_path / "defs/shop/defs.yaml").write_text(text.replace("INBOX", str(tmp_path)))
    (tmp_path / "orders.csv").write_text("id,amount\n1,10\n2,20\n3,-5\n")
    loaded = load_folder(tmp_path / "defs")
    assert loaded.built.problems == []
    job = loaded.built.definitions().resolve_implicit_global_asset_job_def()
    for _ in range(2):
        result = job.execute_in_process()
        (event,) = result.asset_materializations_for_node("s__orders")
        assert event.metadata["dagster/row_count"].value == 2
        lineage = event.metadata["dagster/column_lineage"].value.deps_by_column
        assert [dep.column_name for dep in lineage["total"]] == ["amount"]
        assert [column.name for column in event.metadata["dagster/column_schema"].value.columns] == [
            "id", "amount", "total",
        ]  # fmt: skip
    assert table(warehouse, "SELECT * FROM s.orders ORDER BY 1") == [(1, 10, 20), (2, 20, 40)]
    # The second run finds no file it has not read: the bad row was set aside once.
    assert table(warehouse, "SELECT count(*) FROM s._dataflow_quarantine") == [(1,)]
