"""A check of a column that the stream will not have is found before anything is read, where its columns are known."""

from pathlib import Path

import pytest

from dataflow_platform.governance.check_columns import unknown_columns
from dataflow_platform.pipeline.loader import load_folder

YAML = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: "w.duckdb"}
    inbox: {type: files, root: "."}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: orders
      from: {path: "*.csv", columns: {id: BIGINT, amount: DOUBLE}}
      load: append
      transform:
        - STEP
      checks:
        - not_null: id
        - {type: range, field: FIELD, condition: "0.."}
"""


def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, field: str) -> list[str]:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "defs" / "shop"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(YAML.replace("STEP", step).replace("FIELD", field))
    loaded = load_folder(tmp_path / "defs")
    assert loaded.built.problems == []
    return [str(each) for each in unknown_columns(loaded)]


def test_a_column_that_the_last_step_does_not_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = found(tmp_path, monkeypatch, "select: [id, amount]", "amuont")
    assert "[column.unknown] unknown column 'amuont'" in problem
    assert "defs.yaml:19 " in problem
    assert "did you mean 'amount'?" in problem


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ("select: [id, amount]", "AMOUNT"),
        # The file may have other columns, and all of them pass the filter.
        ("filter: id > 1", "other"),
        ("rename: {amount: price}", "price"),
    ],
)
def test_nothing_is_said_of_columns_that_may_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, field: str
) -> None:
    assert found(tmp_path, monkeypatch, step, field) == []
