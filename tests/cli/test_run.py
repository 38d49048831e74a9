"""`dataflow run` with a name nobody knows."""

from pathlib import Path

import pytest

from dataflow_platform.cli.run import find
from dataflow_platform.core.errors import ConfigError

CONNECTIONS = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: w.duckdb}
    inbox: {type: files, root: inbox}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - {name: orders, from: {path: orders.csv}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "defs").mkdir()
    (tmp_path / "defs" / "defs.yaml").write_text(CONNECTIONS)
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DATAFLOW_DEFS", "defs")
    return tmp_path


def test_a_misspelt_name_gets_the_nearest_one(project: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'shop'"):
        find("shopp")


def test_a_pipeline_that_does_not_build_is_not_just_unknown(project: Path) -> None:
    """The name is right; what is wrong stands in the definitions, and the message says where to look."""
    (project / "defs" / "defs.yaml").write_text(CONNECTIONS.replace("orders.csv}", "orders.csv}, lode: append"))
    with pytest.raises(ConfigError, match="`dataflow check` tells what is wrong with 1 of the definitions"):
        find("shop")
