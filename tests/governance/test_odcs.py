"""Data contracts of the Open Data Contract Standard as streams and back: nothing changed, nothing lost silently."""

import copy
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dataflow_platform.core.base import Check, Column
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.governance.odcs_as_pandera import as_models
from dataflow_platform.governance.odcs_as_yaml import as_streams
from dataflow_platform.governance.odcs_document import Place, leaves, read_contract, write_contract
from dataflow_platform.governance.odcs_export import ExportedStream, export_contract
from dataflow_platform.governance.odcs_import import Imported, check_of, import_contract
from tests.checks.verdicts import columns_of, staged, violating

OWN = Path(__file__).parent / "orders.odcs.yaml"
EXAMPLES = Path(os.environ.get("DATAFLOW_ODCS_EXAMPLES") or Path.home() / ".cache" / "dataflow-odcs-examples")
"""Official examples (github.com/bitol-io/open-data-contract-standard, docs/examples): not part of this project."""
OFFICIAL = sorted(EXAMPLES.rglob("*.odcs.yaml")) or [EXAMPLES / "full-example.odcs.yaml"]
CONTRACTS = pytest.mark.parametrize("file", [OWN, *OFFICIAL], ids=lambda file: str(file.stem))


def read(file: Path) -> dict[str, Any]:
    if not file.exists():
        pytest.skip(f"needs the standard's examples: {file} is not there (DATAFLOW_ODCS_EXAMPLES)")
    return read_contract(file)


def declared(imported: Imported) -> list[ExportedStream]:
    """The streams as YAML holds them once they were pasted into a pipeline."""
    streams = yaml.safe_load(as_streams(imported, "x.odcs.yaml"))["streams"]
    return [
        ExportedStream(
            each["name"], each.get("description", ""), each.get("primary_key", ()),
            each.get("contract", {}).get("not_null", ()), each.get("checks", ()),
        )
        for each in streams
    ]  # fmt: skip


def checks_of(imported: Imported) -> list[tuple[str, Check]]:
    return [(stream.name, placed.check) for stream in imported.streams for placed in stream.checks]


def test_what_a_contract_says_as_checks() -> None:
    imported = import_contract(read(OWN), "sales")
    orders, customers = imported.streams
    assert (orders.name, orders.description, orders.primary_key) == ("order_rows", "One row an order.", ["shop", "id"])
    assert (orders.not_null, customers.not_null) == (["id"], ["id"])
    assert [placed.entry for placed in orders.checks] == [
        {"type": {"column": "id", "is": "integer"}},
        {"unique": {"columns": "id"}},
        {"in_range": {"column": "id", "min": 1}},
        {"type": {"column": "shop", "is": "text"}},
        {"length": {"column": "shop", "min": 2, "max": 2}},
        {"type": {"column": "ordered_at", "is": "timestamp"}},
        {"in_range": {"column": "ordered_at", "min": "2020-01-01 00:00:00"}},
        {"type": {"column": "amount", "is": "number"}},
        {"in_range": {"column": "amount", "max": 100000}},
        {"in_range": {"column": "amount", "min": 0, "exclusive": True, "name": "exclusive_range_amount"}},
        {"expression": {"sql": '"amount" % 0.01 = 0', "name": "multiple_amount"}},
        {"not_null": {"columns": "amount", "at_most": "5%", "severity": "warn"}},
        {"type": {"column": "state", "is": "text"}},
        {
            "isin": {
                "column": "state", "values": ["open", "shut"], "at_most": 9, "name": "known_state",
                "description": "An order is open or shut.", "owner": "team:shop",
            }
        },
        {"expression": {"sql": "\"state\" IS NOT NULL AND \"state\" NOT IN ('', 'n/a')"}},
        {"type": {"column": "email", "is": "text"}},
        {"matches": {"column": "email", "pattern": "[^@]+@[^@]+"}},
        {"format": {"column": "email", "as": "email"}},
        {"unique": {"columns": "email", "at_most": 3}},
        {"type": {"column": "customer", "is": "integer"}},
        {"foreign_key": {"column": "customer", "references": "sales.customers.id"}},
        {"foreign_key": {"column": "state", "references": "sales.states.code"}},
        {"row_count": {"min": 1, "max": 5000}},
        {"unique": {"columns": ["ordered_at", "customer"]}},
        {"expression": {"sql": "amount > 0 or state = 'open'"}},
    ]  # fmt: skip


def test_what_no_check_says_is_named() -> None:
    kept = import_contract(read(OWN), "sales").kept
    assert kept == (
        "id", "name", "version", "status", "domain", "description", "servers",
        "schema.orders.physicalType", "schema.orders.tags",
        "schema.orders.properties.id.physicalType", "schema.orders.properties.id.logicalTypeOptions.format",
        "schema.orders.properties.shop.classification",
        "schema.orders.properties.ordered at.logicalTypeOptions.timezone",
        "schema.orders.properties.amount.quality[0].dimension", "schema.orders.properties.amount.quality[1]",
        # The ticket, and a rule that asks for bad rows.
        "schema.orders.properties.state.quality.known_state.customProperties[1]",
        "schema.orders.properties.state.quality[2]",
        # A pattern that no engine here reads, and a severity of which nobody knows what it does.
        "schema.orders.properties.email.quality[0]", "schema.orders.properties.email.quality[1].severity",
        "schema.orders.properties.customer.relationships[0].customProperties",
        "schema.orders.properties.customer.relationships[1]",
        "schema.orders.properties.address.logicalType", "schema.orders.properties.address.properties",
        "schema.orders.relationships[1]",
        "schema.orders.quality[0].schedule", "schema.orders.quality[0].scheduler",
        "schema.orders.quality[2]", "schema.orders.quality[3]",
        "price", "slaProperties",
    )  # fmt: skip


@CONTRACTS
def test_a_contract_comes_back_as_it_was(file: Path) -> None:
    contract = read(file)
    streams = declared(import_contract(contract, "sales"))
    exported = export_contract("shop", "sales", streams, contract)
    assert exported.contract == contract
    assert exported.custom == []
    assert yaml.safe_load(write_contract(contract)) == contract


@CONTRACTS
def test_what_counts_as_said_by_a_check_is_said(file: Path) -> None:
    """Another value at such a place makes another stream, or the place is named as kept."""
    contract = read(file)
    imported = import_contract(contract, "sales")
    told = {place for stream in imported.streams for placed in stream.checks for place in placed.places}
    told |= {place for stream in imported.streams for place in stream.structural}
    for place in leaves(contract):
        claimed = next((place[:length] for length in range(len(place) + 1) if place[:length] in told), None)
        # The order of keys: with one, or with none, it says nothing.
        if claimed is None or place[-1] == "primaryKeyPosition":
            continue
        changed = copy.deepcopy(contract)
        _change(changed, place)
        again = import_contract(changed, "sales")
        assert (as_streams(again, ""), again.kept) != (as_streams(imported, ""), imported.kept), place


def _change(contract: dict[str, Any], place: Place) -> None:
    holder: Any = contract
    for part in place[:-1]:
        holder = holder[part]
    value = holder[place[-1]]
    other = {bool: not value, int: 4711, float: 0.5, str: f"{value}_other"}.get(type(value), "other")
    holder[place[-1]] = other


@CONTRACTS
def test_a_check_that_is_taken_away_leaves_the_contract(file: Path) -> None:
    contract = read(file)
    imported = import_contract(contract, "sales")
    for number, stream in enumerate(declared(imported)):
        for position in range(len(stream.entries)):
            streams = declared(imported)
            entries = [entry for place, entry in enumerate(stream.entries) if place != position]
            streams[number] = ExportedStream(
                stream.name, stream.description, stream.primary_key, stream.not_null, entries,
                [Column("id", "BLOB"), Column("shop", "BLOB")],
            )  # fmt: skip
            again = export_contract("shop", "sales", streams, contract).contract
            before, after = checks_of(imported), checks_of(import_contract(again, "sales"))
            gone = (stream.name, imported.streams[number].checks[position].check)
            if type(gone[1]).__name__ == "Type":
                continue  # what a column's type is, is told of the table as well
            assert gone not in after
            assert {repr(each) for each in after} <= {repr(each) for each in before}
            assert len(after) == len(before) - 1


ENTRIES: list[Mapping[str, Any]] = [
    {"not_null": "a"},
    {"not_null": {"columns": "b", "at_most": "0.5%", "severity": "warn", "description": "Seldom.", "owner": "a@x.org"}},
    {"not_null": ["a", "b"]},
    {"unique": "a"},
    {"unique": {"columns": ["a", "b"], "at_most": 3}},
    {"isin": {"column": "b", "values": ["x", "it's"], "name": "of_two"}},
    {"matches": {"column": "b", "pattern": "a|b(c|d)"}},
    {"in_range": {"column": "a", "min": 0, "max": 10}},
    {"in_range": {"column": "a", "min": 0, "exclusive": True, "name": "above"}},
    {"in_range": {"column": "day", "min": "2020-01-01"}},
    {"length": {"column": "b", "max": 5}},
    {"row_count": 3},
    {"row_count": {"max": 9, "name": "few"}},
    {"foreign_key": {"column": "a", "references": "sales.others.id"}},
    {"foreign_key": {"column": "a", "references": "elsewhere.others.id", "name": "abroad"}},
    {"expression": "a > 0 or b is null"},
    {"functional_dependency": {"columns": "a", "determines": "b", "severity": "warn"}},
    {"schema": {"columns": {"a": "integer"}, "only": True}},
]


def test_checks_go_out_and_come_back() -> None:
    columns = [
        Column("a", "BIGINT"),
        Column("b", "VARCHAR"),
        Column("day", "DATE"),
        Column("extra", "STRUCT(x INTEGER)"),
    ]
    stream = ExportedStream("orders", "One row an order.", ["a"], ["a"], ENTRIES, columns)
    exported = export_contract("shop", "sales", [stream])
    assert exported.contract["schema"][0]["properties"][0] == {
        "name": "a", "physicalType": "BIGINT", "logicalType": "integer", "required": True, "primaryKey": True,
        "primaryKeyPosition": 1, "unique": True, "logicalTypeOptions": {"minimum": 0, "maximum": 10},
        "relationships": [{"type": "foreignKey", "to": "others.id"}],
        "quality": [{"metric": "nullValues", "mustBe": 0}],
    }  # fmt: skip
    # What the standard has no word for, and what it can only say in another way.
    assert [name.removeprefix("orders: ") for name in exported.custom] == [
        "not_null_a", "not_null_b", "above", "abroad", "expression_a_gt_0_or_b_is_null", "functional_dependency_a_b",
        "functional_dependency_a_undecided", "schema",
    ]  # fmt: skip
    (again,) = import_contract(yaml.safe_load(write_contract(exported.contract)), "sales").streams
    assert (again.name, again.description, again.primary_key, again.not_null) == (
        "orders", "One row an order.", ["a"], ["a"],
    )  # fmt: skip
    found = [placed.check for placed in again.checks if type(placed.check).__name__ != "Type"]
    expected = [check_of({kind: _named(kind, value)}) for entry in ENTRIES for kind, value in entry.items()]
    assert sorted(map(repr, map(_unnamed, found))) == sorted(map(repr, map(_unnamed, expected)))


def _named(kind: str, value: Any) -> Any:
    bare = {"not_null": "columns", "unique": "columns", "row_count": "min", "expression": "sql"}
    return value if isinstance(value, Mapping) else {bare[kind]: value}


def _unnamed(check: Check) -> Check:
    """Two checks of one name need another: it is given to them where they come back."""
    return check.model_copy(update={"name": None})


def test_a_contract_as_pandera_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, left_out = as_models(import_contract(read(OWN), "sales"), "orders.odcs.yaml")
    # What Pandera has no field for is named, in the file as well.
    assert left_out[:3] == ["order_rows.multiple_amount", "order_rows.not_null_amount", "order_rows.known_state"]
    assert "order_rows.row_count" in " ".join(text.split())
    (tmp_path / "orders_of_the_contract.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    check = check_of({"pandera": {"schema": "orders_of_the_contract:OrderRows"}})
    types = {"id": "BIGINT", "shop": "VARCHAR", "ordered_at": "TIMESTAMP", "amount": "DOUBLE", "state": "VARCHAR"}
    types |= {"email": "VARCHAR", "customer": "BIGINT"}
    good = (1, "ab", "2020-01-01 00:00:00", 0.5, None, "a@b", 7)
    rows = [good, (0, "abc", "2019-12-31 00:00:00", 0.0, None, "ab", 7)]
    with staged(types, rows) as connection:
        broken = {rule.name: violating(connection, rule) for rule in check.rules(columns_of(types)) if rule.violation}
    assert sorted(name.removeprefix("OrderRows_") for name, numbers in broken.items() if numbers == [1]) == [
        "amount_greater_than", "email_str_matches", "id_greater_than_or_equal_to",
        "ordered_at_greater_than_or_equal_to", "shop_str_length",
    ]  # fmt: skip
    assert {number for numbers in broken.values() for number in numbers} == {1}


@pytest.mark.parametrize("source", ["own", "exported"])
def test_datacontract_cli_takes_what_is_written(source: str, tmp_path: Path) -> None:
    command = shutil.which("datacontract")
    if command is None:
        pytest.skip("needs datacontract (pip install datacontract-cli, in an environment of its own) on PATH")
    stream = ExportedStream("orders", "", ["a"], ["a"], ENTRIES, [Column("a", "BIGINT"), Column("day", "DATE")])
    contract = read(OWN) if source == "own" else export_contract("shop", "sales", [stream]).contract
    file = tmp_path / "x.odcs.yaml"
    file.write_text(write_contract(contract), encoding="utf-8")
    done = subprocess.run([command, "lint", str(file)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_no_contract_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    for text, code in (("a: [", "odcs.unreadable"), ("a: 1", "odcs.kind"), ("kind: DataContract", "odcs.version")):
        file.write_text(text)
        with pytest.raises(ConfigError) as error:
            read_contract(file)
        assert error.value.code == code
