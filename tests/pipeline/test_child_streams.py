"""Lists inside rows become tables of their own, with the keys of their parent."""

import json
from pathlib import Path
from typing import Any

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
    - name: orders
      from: {path: orders.jsonl}
      load: replace
      primary_key: id
      transform:
        - drop: [items]
      children:
        order_items:
          of: items
          type: struct(sku varchar, n integer, tags varchar[])[]
          keys: {id: order_id}
          checks:
            - in_range: {column: n, min: 1, severity: warn}
          children:
            item_tags: {of: tags, keys: [order_id, position], position: place}
        order_marks: {of: extra.marks, type: 'varchar[]', position: null}
"""
)
ORDERS: list[dict[str, Any]] = [
    {"id": 1, "extra": {"marks": ["x", "y"]}, "items": [
        {"sku": "a", "n": 2, "tags": ["red"]}, {"sku": "b", "n": 1, "tags": ["blue", "big"]}]},
    {"id": 2, "extra": {"marks": []}, "items": []},
    {"id": 3, "extra": {"marks": None}, "items": [{"sku": "a", "n": 0, "tags": []}]},
]  # fmt: skip


def rows(project: Path, table: str) -> list[tuple[Any, ...]]:
    with DuckDB(path=str(project / "w.duckdb")).reader() as connection:
        return connection.execute(f"SELECT * FROM shop.{table} ORDER BY ALL").fetchall()


def write(project: Path, orders: list[dict[str, Any]]) -> None:
    (project / "inbox").mkdir(exist_ok=True)
    (project / "inbox" / "orders.jsonl").write_text("".join(json.dumps(each) + "\n" for each in orders))


def load(project: Path) -> dg.ExecuteInProcessResult:
    defs = load_folder(project / "defs").built.definitions()
    return defs.resolve_implicit_global_asset_job_def().execute_in_process()


def test_each_list_is_a_table_and_an_asset(yaml_project: Write) -> None:
    project = yaml_project(DECLARED)
    write(project, ORDERS)
    result = load(project)
    keys = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    assert keys == {"shop/orders", "shop/order_items", "shop/item_tags", "shop/order_marks"}
    assert [row[0] for row in rows(project, "orders")] == [1, 2, 3]
    # The item of order 3 has n = 0 and is in quarantine; its parent is not.
    assert rows(project, "order_items") == [(1, 1, "a", 2, ["red"]), (1, 2, "b", 1, ["blue", "big"])]
    assert rows(project, "item_tags") == [(1, 1, 1, "red"), (1, 2, 1, "blue"), (1, 2, 2, "big")]
    assert rows(project, "order_marks") == [(1, "x"), (1, "y")]
    counted = "rows_read, rows_made, rows_loaded, rows_quarantined, rows_filtered"
    with DuckDB(path=str(project / "w.duckdb")).reader() as connection:
        records = connection.execute(
            f"SELECT stream, {counted} FROM shop._dataflow_loads WHERE stream <> 'item_tags' ORDER BY stream"
        ).fetchall()
    # 3 orders have 3 items, one of them bad; 3 orders have 2 marks, so one row goes.
    assert records == [("order_items", 3, 0, 2, 1, 0), ("order_marks", 3, 0, 2, 0, 1), ("orders", 3, 0, 3, 0, 0)]


def test_a_list_that_loses_elements_loses_rows(yaml_project: Write) -> None:
    project = yaml_project(DECLARED)
    write(project, ORDERS)
    load(project)
    write(project, [{**ORDERS[0], "items": ORDERS[0]["items"][:1]}, *ORDERS[1:]])
    load(project)
    assert rows(project, "order_items") == [(1, 1, "a", 2, ["red"])]


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("keys: {id: order_id}", "kees: [id]", "key.unknown", 22),
        ("      primary_key: id\n", "", "children.keys", 26),
        ("order_marks:", "order_items2: {of: items}\n        orders:", "streams.duplicate", 28),
        ("- in_range", "- in_rage", "check.unknown", 24),
    ],
)
def test_a_mistake_is_told_by_line(yaml_project: Write, old: str, new: str, code: str, line: int) -> None:
    folder = yaml_project(DECLARED.replace(old, new, 1))
    (error,) = load_folder(folder / "defs").built.problems
    assert isinstance(error, ConfigError)
    assert (error.code, error.where.line) == (code, line)
