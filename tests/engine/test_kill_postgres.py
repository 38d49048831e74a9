"""SIGKILL at every named point of a load into PostgreSQL, then a rerun: same rows, quarantine and state."""

import multiprocessing
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.injection import POINTS
from tests.engine import killed
from tests.engine.test_kill import OF_STRATEGIES, WIDE

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.engine.killed", "psycopg2", "sqlglot"])
Everything = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def warehouse(postgres_server: PostgresServer) -> Iterator[dict[str, Any]]:
    """The fields of a destination with a database of its own."""
    yield from _warehouse(postgres_server)


def _warehouse(server: PostgresServer) -> Iterator[dict[str, Any]]:
    name = f"kill_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    yield {
        "type": "postgres",
        "host": "127.0.0.1",
        "port": server.port,
        "database": name,
        "user": "postgres",
        "password": server.password,
    }
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def everything(server: PostgresServer, where: dict[str, Any]) -> Everything:
    """All that a load leaves behind, without the clock: read by psycopg2, in the order of its text."""
    queries = {
        "rows": "SELECT * FROM raw.t ORDER BY id, at, v",
        "state": "SELECT pipeline, stream, cursor_value, cursor_type, boundary, position, load_id "
        "FROM raw._dataflow_state",
        "quarantine": "SELECT load_id, row_values, reasons FROM raw._dataflow_quarantine ORDER BY 1, 2",
        "loads": "SELECT load_id, strategy, rows_read, rows_loaded, rows_quarantined, rows_filtered, rows_inserted, "
        "rows_updated, rows_deleted, cursor_before, cursor_after FROM raw._dataflow_loads ORDER BY 1",
        "tables": "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind = 'r' AND nspname !~ '^(pg_|information_schema)' ORDER BY 1, 2",
        "locks": "SELECT pid FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    }
    return {name: server.execute(sql, where["database"]) for name, sql in queries.items()}


@pytest.fixture(scope="module")
def golden(postgres_server: PostgresServer) -> dict[str, Everything]:
    """What two loads that nobody disturbed leave behind, by strategy."""
    found = {}
    for how in killed.STRATEGIES:
        for where in _warehouse(postgres_server):
            killed.load(where, how, 0)
            killed.load(where, how, 1)
            found[how] = everything(postgres_server, where)
    return found


def test_the_golden_run_is_what_the_batches_say(golden: dict[str, Everything]) -> None:
    # The same numbers as on DuckDB: tests/engine/test_kill.py explains them.
    assert {how: len(golden[how]["rows"]) for how in WIDE} == {
        "append": 11_880 + 9_010 - 90,
        "merge": 20_790,
        "replace": 11_880,
    }
    assert all(found["locks"] == [] for found in golden.values())


def test_every_strategy_leaves_what_it_leaves_on_duckdb(golden: dict[str, Everything], tmp_path: Path) -> None:
    for how, found in golden.items():
        path = tmp_path / f"{how}.duckdb"
        killed.load(path, how, 0)
        killed.load(path, how, 1)
        with DuckDB(path=str(path)).reader() as connection:
            rows = connection.execute('SELECT id, "at", v FROM raw.t').fetchall()
        assert sorted((row[:3] for row in found["rows"]), key=repr) == sorted(rows, key=repr), how


@pytest.mark.kill
@pytest.mark.parametrize(
    ("how", "point"),
    [(how, point) for how in killed.STRATEGIES for point in (POINTS if how in WIDE else OF_STRATEGIES)],
)
def test_kill_and_rerun(
    golden: dict[str, Everything], postgres_server: PostgresServer, warehouse: dict[str, Any], how: str, point: str
) -> None:
    first = 0 if how == "merge" else 1  # one strategy is enough to show it on a table that does not exist yet
    if first:
        killed.load(warehouse, how, 0)
    for number in range(first, 2):
        child = _CONTEXT.Process(target=killed.load_and_die, args=(warehouse, how, number, point))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, f"the load never reached '{point}'"
        killed.load(warehouse, how, number)
    assert everything(postgres_server, warehouse) == golden[how]
    assert [folder.name for folder in Path(tempfile.gettempdir()).glob(f"dataflow-spill-*-{child.pid}-*")] == []
