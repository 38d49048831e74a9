"""`dataflow quarantine` on a pipeline of files: list, show, export, discard, replay."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.pipeline.loader import load_folder

DEFS = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: WAREHOUSE}
    inbox: {type: files, root: INBOX}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: orders
      from: {path: orders.csv}
      primary_key: id
      load: merge
      transform:
        - derive: {amount: amount * 100}
      checks:
        - in_range: {column: amount, max: LIMIT, severity: warn}
"""
Ask = Callable[..., Result]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The pipeline was run on three orders, of which two are too large; what calls `dataflow quarantine`."""
    text = DEFS.replace("WAREHOUSE", str(tmp_path / "w.duckdb")).replace("INBOX", str(tmp_path / "in"))
    file = tmp_path / "defs/shop/defs.yaml"
    for folder in (file.parent, tmp_path / "in"):
        folder.mkdir(parents=True)
    file.write_text(text.replace("LIMIT", "3000"))
    (tmp_path / "in/orders.csv").write_text("id,amount\n1,10\n2,40\n3,9000\n")
    monkeypatch.setenv("DATAFLOW_DEFS", str(tmp_path / "defs"))
    loaded = load_folder(tmp_path / "defs")
    assert loaded.built.problems == []
    assert loaded.built.definitions().resolve_implicit_global_asset_job_def().execute_in_process().success
    # The rule is corrected: 40.00 may be.
    file.write_text(text.replace("LIMIT", "5000"))

    def call(*words: str) -> Result:
        return CliRunner().invoke(group, ["quarantine", *words])

    return call


def orders(tmp_path: Path) -> list[tuple[int, int]]:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        return connection.execute("SELECT id, amount FROM shop.orders ORDER BY 1").fetchall()


def test_from_list_to_replay(ask: Ask, tmp_path: Path) -> None:
    listed = ask("list", "shop").output
    assert "in_range_amount" in listed
    assert [line.split() for line in listed.splitlines() if "open" in line] == [["orders", "open", "2"]]
    shown = [json.loads(line) for line in ask("show", "shop", "orders").output.splitlines()]
    # What the rule saw is the steps' value, beside it the source's own, as text.
    assert sorted((row["values"]["amount"], row["source"]["amount"]) for row in shown) == [
        (4000, "40"),
        (900000, "9000"),
    ]
    assert {(row["position"]["file"], row["status"]) for row in shown} == {("orders.csv", "open")}
    assert all(row["run_id"] and row["load_id"] for row in shown)
    done = ask("replay", "shop", "orders")
    assert (done.exit_code, done.output) == (
        1,
        "2 open rows: 1 loaded, 1 still break a rule, 0 left out by the steps, 0 cannot be replayed\n",
    )
    assert orders(tmp_path) == [(1, 1000), (2, 4000)]


def test_a_row_is_corrected_by_hand_and_one_discarded(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    assert ask("export", "shop", "orders", str(file)).output == f"2 rows written to {file}\n"
    (wrong,) = (line for line in file.read_text().splitlines() if json.loads(line)["row_values"]["amount"] == 900000)
    row = json.loads(wrong)
    row["source_values"]["amount"] = "9"
    file.write_text(json.dumps(row) + "\n")
    done = ask("replay", "shop", "orders", "--from", str(file))
    assert done.exit_code == 0
    assert orders(tmp_path) == [(1, 1000), (3, 900)]
    assert ask("discard", "shop", "orders", "--why", "a test order").output == "1 rows discarded\n"
    (kept,) = ask("show", "shop", "orders", "--status", "discarded").output.splitlines()
    assert json.loads(kept)["why"] == "a test order"
    assert ask("replay", "shop", "orders").output.startswith("0 open rows")


def test_a_stream_nobody_knows(ask: Ask) -> None:
    done = ask("replay", "shop", "oders")
    assert isinstance(done.exception, ConfigError)
    assert "did you mean 'orders'?" in str(done.exception)
