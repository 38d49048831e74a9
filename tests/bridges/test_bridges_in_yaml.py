"""A bridge in a pipeline's YAML: it runs as an asset, and its secrets come from the environment only."""

import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dataflow_platform.pipeline.loader import load_folder

TAP = Path(__file__).parent.parent / "fixtures" / "hostile_tap.py"
DECLARED = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: WAREHOUSE}
    tap:
      type: singer
      command: COMMAND
      config: {last: 10}
      secrets: {api_key: SECRET}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: tap
  streams:
    - {name: orders, from: {stream: orders}, primary_key: id, load: merge}
"""


def declared(folder: Path, secret: str) -> Path:
    said = {"WAREHOUSE": str(folder / "w.duckdb"), "COMMAND": f"{sys.executable} {TAP}", "SECRET": secret}
    text = DECLARED
    for word, value in said.items():
        text = text.replace(word, value)
    (folder / "defs").mkdir()
    (folder / "defs" / "defs.yaml").write_text(text)
    return folder / "defs"


def test_a_secret_setting_in_clear_text_is_refused(tmp_path: Path) -> None:
    (problem,) = load_folder(declared(tmp_path, "hunter2")).built.problems
    assert problem.code == "secret.literal"
    assert "hunter2" not in str(problem)


def test_a_tap_as_an_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_TEST_KEY", "hunter2-of-the-tap")
    built = load_folder(declared(tmp_path, '"{{ env.TAP_TEST_KEY }}"')).built
    assert built.problems == []
    job = built.definitions().resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        told = "".join(str(event) for event in instance.all_logs(result.run_id))
    assert "hunter2-of-the-tap" not in told
    assert result.success
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders").fetchall() == [(10,)]
