"""A query of a PostgreSQL source in a pipeline's YAML: its first load, its cursor, its lookback and its errors."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.pipeline.loader import load_folder

PIPELINE = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: WAREHOUSE}
    sales: {type: postgres, host: 127.0.0.1, port: PORT, database: DATABASE, user: postgres,
            password: "{{ env.SALES_TEST_PASSWORD }}"}
---
type: dataflow_platform.Pipeline
attributes:
  name: sales
  source: sales
  destination: {connection: warehouse, schema: raw}
  streams:
    - name: order_totals
      from:
        query: |
          SELECT o.id, o.at, sum(l.price) AS total  -- a line each
          FROM orders o JOIN lines l ON l.order_id = o.id
          GROUP BY o.id;
      primary_key: id
      cursor: at
      lookback: 10m
      load: merge
"""
TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, at timestamptz); CREATE TABLE lines (order_id int, price numeric(8,2));
INSERT INTO orders SELECT i, timestamptz '2020-01-01 00:00+00' + i * interval '1 hour' FROM generate_series(1, 3) i;
INSERT INTO lines SELECT i, i FROM generate_series(1, 3) i; INSERT INTO lines VALUES (1, 0.50);
"""


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"sales_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    postgres_server.execute(TABLES, name)
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def totals(folder: Path) -> list[tuple[int, str]]:
    with DuckDB(path=str(folder / "w.duckdb")).reader() as connection:
        asked = "SELECT id, total FROM raw.order_totals ORDER BY id"
        return [(int(id), str(total)) for id, total in connection.execute(asked).fetchall()]


def test_a_query_is_loaded_by_its_cursor(
    postgres_server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_TEST_PASSWORD", postgres_server.password)
    text = PIPELINE.replace("WAREHOUSE", str(tmp_path / "w.duckdb")).replace("PORT", str(postgres_server.port))
    (tmp_path / "defs/sales").mkdir(parents=True)
    (tmp_path / "defs/sales/defs.yaml").write_text(text.replace("DATABASE", database))
    built = load_folder(tmp_path / "defs").built
    assert built.problems == []
    job = built.definitions().resolve_implicit_global_asset_job_def()
    assert job.execute_in_process().success
    # Order n has one line of n, order 1 another of 0.50. A sum has no precision: it arrives as text.
    assert totals(tmp_path) == [(1, "1.50"), (2, "2.00"), (3, "3.00")]
    # Order 4 is new; order 5 comes late, within ten minutes below the greatest cursor, 03:00; order 6 too late.
    late = """
        INSERT INTO orders VALUES (4, '2020-01-01 04:00+00'), (5, '2020-01-01 02:55+00'), (6, '2020-01-01 02:45+00');
        INSERT INTO lines VALUES (4, 4), (5, 5), (6, 6);"""
    postgres_server.execute(late, database)
    before = len(postgres_server.log.read_text())
    assert job.execute_in_process().success
    assert [id for id, _ in totals(tmp_path)] == [1, 2, 3, 4, 5]
    assert """) AS asked WHERE "at" >= '2020-01-01 02:50:00+00'""" in postgres_server.log.read_text()[before:]
