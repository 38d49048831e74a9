"""`dataflow contract import` and `export`: a data contract becomes a pipeline that keeps it, and is written back."""

from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.yaml_project import INBOX, Write

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: the-shop
name: shop
version: 1.0.0
status: active
schema:
  - name: orders
    description: One row an order.
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1, required: true, unique: true}
      - name: state
        logicalType: string
        classification: public
        quality: [{metric: invalidValues, arguments: {validValues: [open, shut]}, mustBe: 0, dimension: conformity}]
    quality: [{metric: rowCount, mustBeGreaterOrEqualTo: 2}]
price: {priceAmount: 1, priceCurrency: EUR}
"""
HEAD = INBOX + "type: dataflow_platform.Pipeline\nattributes:\n  name: shop\n  source: inbox\n"


def contract(*words: str) -> Result:
    return CliRunner().invoke(group, ["contract", *words])


def loads(project: Path, *rows: str) -> bool:
    (project / "inbox").mkdir(exist_ok=True)
    (project / "inbox/orders.csv").write_text("\n".join(["id,state", *rows, ""]))
    loaded = load_folder(project / "defs")
    assert loaded.built.problems == []
    job = loaded.built.definitions().resolve_implicit_global_asset_job_def()
    return job.execute_in_process(raise_on_error=False).success


def test_from_a_contract_to_a_pipeline_and_back(tmp_path: Path, yaml_project: Write) -> None:
    file, fragment = tmp_path / "shop.odcs.yaml", tmp_path / "streams.yaml"
    file.write_text(CONTRACT)
    result = contract("import", str(file), "--out", str(fragment))
    # type of two columns, unique, isin, row_count
    assert result.output.splitlines()[0] == f"{fragment}: 1 streams, 5 checks"
    assert "kept in shop.odcs.yaml only: price" in result.output
    assert "kept in shop.odcs.yaml only: schema.orders.properties.state.classification" in result.output
    streams = "".join(f"  {line}\n" for line in fragment.read_text().splitlines())
    streams = streams.replace(
        "- name: orders\n", "- name: orders\n      from: {path: orders.csv}\n      load: replace\n"
    )
    project = yaml_project(HEAD + streams)
    assert loads(project, "1,open", "2,shut")
    assert not loads(project, "1,open", "1,shut")  # unique
    assert not loads(project, "1,open", "2,ajar")
    assert not loads(project, "1,open")  # too few
    assert not loads(project, "1,open", ",shut")  # required
    assert yaml.safe_load(contract("export", "shop", "--odcs", "--into", str(file)).stdout) == yaml.safe_load(CONTRACT)
    # Another rule, and one that is gone.
    changed = streams.replace("- unique: id", "- matches: {column: state, pattern: '[a-z]+'}")
    yaml_project(HEAD + changed)
    again = yaml.safe_load(contract("export", "shop.orders", "--odcs", "--into", str(file)).stdout)
    told, state = again["schema"][0]["properties"]
    assert "unique" not in told
    assert [each["arguments"] for each in state["quality"]] == [
        {"validValues": ["open", "shut"]},
        {"pattern": "^(?:[a-z]+)$"},
    ]
    assert (state["classification"], again["price"]) == ("public", {"priceAmount": 1, "priceCurrency": "EUR"})


def test_a_pipeline_without_a_contract_gets_one(yaml_project: Write) -> None:
    stream = "  streams:\n    - name: orders\n      from: {path: orders.csv}\n      checks:\n"
    project = yaml_project(f"{HEAD}{stream}        - not_null: id\n        - expression: id > 0\n")
    (project / "inbox").mkdir()
    (project / "inbox/orders.csv").write_text("id,state\n1,open\n")
    result = contract("export", "shop.orders", "--odcs")
    written = yaml.safe_load(result.stdout)
    assert (written["apiVersion"], written["kind"], written["name"]) == ("v3.1.0", "DataContract", "shop")
    # The columns are the source's.
    assert [(each["name"], each["logicalType"]) for each in written["schema"][0]["properties"]] == [
        ("id", "integer"),
        ("state", "string"),
    ]
    assert result.stderr == "a custom rule, which only this platform runs: orders: expression_id_gt_0\n"
    (project / "inbox/orders.csv").unlink()
    assert "the columns of orders are not known" in contract("export", "shop", "--odcs").stderr
