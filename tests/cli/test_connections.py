"""`dataflow connections`: what is declared, whether it works, what can be read; over real files and a real database."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.connectors.duckdb import DuckDB
from tests.fixtures.yaml_project import Write

DECLARED = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: w.duckdb}
    inbox: {type: files, root: inbox}
    lost: {type: files, root: nowhere}
"""


@pytest.fixture
def project(tmp_path: Path, yaml_project: Write) -> Path:
    yaml_project(DECLARED)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "orders.csv").write_text("id\n1\n")
    DuckDB(path=str(tmp_path / "w.duckdb")).connect().close()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["connections", *arguments])


@pytest.mark.usefixtures("project")
def test_list_names_connector_roles_and_file() -> None:
    lines = run("list").output.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["inbox", "files", "source", "defs/defs.yaml"],
        ["lost", "files", "source", "defs/defs.yaml"],
        ["warehouse", "duckdb", *lines[3].split()[2:]],
    ]
    assert "destination" in lines[3]


@pytest.mark.usefixtures("project")
def test_a_connection_that_works_says_to_what() -> None:
    result = run("test", "inbox", "warehouse")
    assert result.exit_code == 0, result.output
    assert "ok      inbox as source: " in result.output
    assert "ok      warehouse as destination: DuckDB v" in result.output


@pytest.mark.usefixtures("project")
def test_one_that_does_not_work_is_told_and_the_others_are_still_tried() -> None:
    result = run("test")
    assert result.exit_code == 1
    assert "failed  lost as source" in result.output
    assert "  fix: " in result.output
    assert "ok      warehouse as destination" in result.output


@pytest.mark.usefixtures("project")
def test_discover_prints_what_can_be_read() -> None:
    assert run("discover", "inbox").output.splitlines() == ["*.csv"]  # files of one kind are one stream


@pytest.mark.usefixtures("project")
def test_an_unknown_connection_gets_the_nearest_name() -> None:
    result = run("test", "warehose")
    assert "did you mean 'warehouse'?" in str(result.exception)


def of_type(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["connectors", "test", *arguments])


@pytest.mark.usefixtures("project")
def test_connections_are_tested_by_their_connector() -> None:
    result = of_type("files")
    # `inbox` works, `lost` does not; the warehouse is of another type.
    assert result.exit_code == 1
    assert "ok      inbox as source" in result.output
    assert "failed  lost as source" in result.output
    assert "warehouse" not in result.output
    assert of_type("duckdb").exit_code == 0


@pytest.mark.usefixtures("project")
def test_a_connector_nobody_uses_and_one_that_is_none() -> None:
    nobody = of_type("sqlite")
    assert nobody.exit_code == 1
    assert "no declared connection is of type 'sqlite'" in str(nobody.exception)
    assert "did you mean 'sqlite'" in str(of_type("sqlit").exception)
