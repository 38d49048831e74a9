"""`dataflow run` with a name nobody knows."""

import pytest

from dataflow_platform.cli.run import execute, find
from dataflow_platform.core.errors import ConfigError
from tests.fixtures.yaml_project import INBOX, Write

DECLARED = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - {name: orders, from: {path: orders.csv}}
"""
)


def test_a_misspelt_name_gets_the_nearest_one(yaml_project: Write) -> None:
    yaml_project(DECLARED)
    with pytest.raises(ConfigError, match="did you mean 'shop'"):
        find("shopp")


def test_a_pipeline_that_does_not_build_is_not_just_unknown(yaml_project: Write) -> None:
    """The name is right; what is wrong stands in the definitions, and the message says where to look."""
    yaml_project(DECLARED.replace("orders.csv}", "orders.csv}, lode: append"))
    with pytest.raises(ConfigError, match="`dataflow check` tells what is wrong with 1 of the definitions"):
        find("shop")


def test_a_project_without_a_home_for_dagster_is_told_so(yaml_project: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = yaml_project(DECLARED)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(ConfigError) as caught:
        execute("shop", None, verbose=False)
    assert caught.value.code == "dagster.home"
    assert f"touch {folder / 'dagster.yaml'}" in caught.value.fix
