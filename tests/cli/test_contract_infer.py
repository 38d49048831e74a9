"""`dataflow contract infer`: from a stream in YAML to a contract that its next load keeps."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
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
      from: {path: orders.csv, columns: {id: bigint, state: varchar, secret: varchar}}
      cursor: id
      primary_key: id
      load: merge
      transform:
        - mask: {columns: {secret: redact}}
        - derive: {cents: id * 100}
"""
)


@pytest.fixture
def project(yaml_project: Write) -> Path:
    folder = yaml_project(DECLARED)
    (folder / "inbox").mkdir()
    rows = [f"{number},{'open' if number % 2 else 'shut'},s3cret-{number}" for number in range(1, 101)]
    (folder / "inbox/orders.csv").write_text("\n".join(["id,state,secret", *rows, ""]))
    return folder


def infer(*words: str) -> Result:
    return CliRunner().invoke(group, ["contract", "infer", *words])


def loads(project: Path) -> bool:
    loaded = load_folder(project / "defs")
    assert loaded.built.problems == []
    job = loaded.built.definitions().resolve_implicit_global_asset_job_def()
    return job.execute_in_process(raise_on_error=False).success


def test_a_model_is_written_named_in_yaml_and_kept_by_the_load(
    project: Path, yaml_project: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "orders_contract.py"
    result = infer("shop.orders", "--out", str(file))
    assert (result.exit_code, result.output) == (0, f"{file}: drafted from 100 rows; read it before use\n")
    assert not (project / "w.duckdb").exists()  # nothing was loaded
    text = file.read_text()
    assert "cents: int" in text  # of the rows behind the steps
    assert "s3cret" not in text
    monkeypatch.syspath_prepend(str(project))
    yaml_project(f"{DECLARED}      checks:\n        - pandera: orders_contract:Orders\n")
    assert loads(project)
    with (project / "inbox/orders.csv").open("a") as rows:
        rows.write("101,,x\n")  # no state
    assert not loads(project)


def test_yaml_is_pasted_under_the_stream(project: Path, yaml_project: Write) -> None:
    result = infer("shop.orders", "--format", "yaml")
    assert "- isin: {column: state, values: [open, shut], severity: warn}" in result.output
    pasted = "".join(f"      {line}\n" for line in result.output.splitlines())
    yaml_project(DECLARED + pasted)
    assert loads(project)
    # What was loaded before does not matter: it is drafted from the source's beginning, by the table's name as well.
    assert infer("shop.orders", "--format", "yaml").output == result.output
    assert infer("shop/orders", "--format", "yaml", "--rows", "10").output.startswith(
        "# Draft of a contract for orders, from the first 10 rows only"
    )


def test_a_stream_nobody_declares_is_told(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown stream 'shop\.order'") as error:
        CliRunner().invoke(group, ["contract", "infer", "shop.order"], catch_exceptions=False)
    assert "did you mean 'shop.orders'" in str(error.value)
