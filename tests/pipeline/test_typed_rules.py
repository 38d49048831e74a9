"""The form {type, field, condition, severity}: every rule in it is the check it stands for, and errors name the key."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.core import registry
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.pipeline.loader import load_folder
from dataflow_platform.pipeline.typed_rule import READINGS, as_check, is_typed

CASES: list[tuple[str, str | list[str] | None, Any, dict[str, Any]]] = [
    ("schema", None, {"id": "integer"}, {"schema": {"columns": {"id": "integer"}}}),
    ("schema", None, ["id", "v"], {"schema": {"columns": ["id", "v"]}}),
    ("type", "v", "integer", {"type": {"column": "v", "is": "integer"}}),
    ("type", "v", "reads as date", {"type": {"column": "v", "reads_as": "date"}}),
    ("null", "v", None, {"not_null": {"columns": "v"}}),
    ("null", "v", "<= 5%", {"null_share": {"column": "v", "max": "5%"}}),
    ("duplicate", ["a", "b"], None, {"unique": {"columns": ["a", "b"]}}),
    ("format", "v", "email", {"format": {"as": "email", "column": "v"}}),
    ("iban", "v", None, {"format": {"as": "iban", "column": "v"}}),
    ("date", "v", "%d.%m.%Y", {"format": {"as": "date", "column": "v", "formats": ["%d.%m.%Y"]}}),
    ("range", "age", "0..120", {"in_range": {"column": "age", "min": 0, "max": 120}}),
    ("range", "age", "..1.5", {"in_range": {"column": "age", "max": 1.5}}),
    ("range", "age", "-5..", {"in_range": {"column": "age", "min": -5}}),
    ("range", "day", "between 2024-01-01 and 2024-12-31",
     {"in_range": {"column": "day", "min": date(2024, 1, 1), "max": date(2024, 12, 31)}}),
    ("range", "age", "> 0", {"in_range": {"column": "age", "min": 0, "exclusive": True}}),
    ("range", "age", {"min": 3}, {"in_range": {"column": "age", "min": 3}}),
    ("in_range", "age", "<= 7", {"in_range": {"column": "age", "max": 7}}),
    ("length", "v", "2", {"length": {"column": "v", "exact": 2}}),
    ("length", "v", 2, {"length": {"column": "v", "exact": 2}}),
    ("length", "v", "1..40", {"length": {"column": "v", "min": 1, "max": 40}}),
    ("set", "v", ["a", "b"], {"isin": {"column": "v", "values": ["a", "b"]}}),
    ("set", "v", "in (a, 'b c', 3)", {"isin": {"column": "v", "values": ["a", "b c", 3]}}),
    ("not_in_set", "v", "a, b", {"notin": {"column": "v", "values": ["a", "b"]}}),
    ("pattern", "v", "[A-Z]{3}", {"matches": {"column": "v", "pattern": "[A-Z]{3}"}}),
    ("cross_column", "a", "!= b", {"compare": {"column": "a", "is": "<>", "to": "b"}}),
    ("conditional", None, "when a > 1 then b is not null", {"conditional": {"when": "a > 1", "then": "b is not null"}}),
    ("monotonic", "a", "strictly falling by b per c",
     {"monotonic": {"column": "a", "by": "b", "per": "c", "strictly": True, "falls": True}}),
    ("mean", "a", "1..2", {"statistic": {"of": "mean", "column": "a", "min": 1, "max": 2}}),
    ("distinct", "a", "..50", {"distinct_count": {"columns": "a", "max": 50}}),
    ("row_count", None, "1..9", {"row_count": {"min": 1, "max": 9}}),
    ("row_count_change", None, "-20%..50%", {"row_count": {"max_decrease": "20%", "max_increase": "50%"}}),
    ("row_count_change", None, "..+50%", {"row_count": {"max_increase": "50%"}}),
    ("freshness", "at", "<= 24h", {"freshness": {"column": "at", "max_age": "24h"}}),
    ("reference", "faa", "raw.airports.faa", {"foreign_key": {"column": "faa", "references": "raw.airports.faa"}}),
    ("drift", "a", "ks <= 0.1", {"drift": {"column": "a", "method": "ks", "max": 0.1}}),
    ("drift", "a", None, {"drift": {"column": "a"}}),
    ("anomaly", None, None, {"anomaly": {}}),
    ("anomaly", None, "z_score", {"anomaly": {"detector": "z_score"}}),
    ("expression", None, "a > 0", {"expression": {"sql": "a > 0"}}),
    ("sql", None, "select * from staged", {"custom_sql": {"rows": "select * from staged"}}),
    ("python", None, "os:getcwd", {"custom_python": {"function": "os:getcwd"}}),
    ("functional_dependency", None, {"determines": "x"}, {"functional_dependency": {"determines": "x"}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field", "condition", "expected"), CASES)
def test_a_rule_is_the_check_it_stands_for(
    kind: str, field: str | list[str] | None, condition: Any, expected: dict[str, Any]
) -> None:
    if kind == "functional_dependency":
        field = "y"
        name = "columns" if "columns" in getattr(registry.check(kind), "model_fields", {}) else "column"
        expected[kind].setdefault(name, "y")
    entry = {"type": kind, "field": field, "condition": condition}
    assert is_typed(entry)
    assert as_check({key: value for key, value in entry.items() if value is not None}) == expected
    common = {"severity": "warn", "threshold": "1%", "name": "n", "owner": "team:a", "description": "d", "scope": "set"}
    ((name, fields),) = as_check({**{k: v for k, v in entry.items() if v is not None}, **common}).items()
    told = {"severity": "warn", "at_most": "1%", "name": "n", "owner": "team:a", "description": "d", "scope": "set"}
    assert fields == expected[name] | told


def test_every_word_of_the_table_is_tried_above_and_every_check_can_be_written() -> None:
    tried = {kind for kind, *_ in CASES}
    untried = {name for name, reading in READINGS.items() if name not in tried and not reading.fixed}
    assert untried == set()
    assert {"format", "statistic"} == {READINGS[name].check for name in READINGS if name not in tried}
    for name in registry.names("checks"):
        ((check, _),) = as_check(
            {"type": name, "field": "x", "condition": {}} if name not in _WITHOUT else {"type": name, "condition": {}}
        ).items()
        assert check == name


_WITHOUT = {"row_count", "conditional", "expression", "custom_sql", "custom_python", "pandera", "schema"}


@pytest.mark.parametrize(
    ("entry", "code", "where"),
    [
        ({"type": "rnage", "field": "a", "condition": "1..2"}, "rule.type", "type"),
        ({"type": "range", "condition": "1..2"}, "rule.field", "field"),
        ({"type": "range", "field": "a", "condition": "one to two"}, "rule.condition", "condition"),
        ({"type": "range", "field": "a"}, "rule.condition", "condition"),
        ({"type": "range", "field": "a", "condition": ".."}, "rule.condition", "condition"),
        ({"type": "length", "field": "a", "condition": "> 3"}, "rule.condition", "condition"),
        ({"type": "duplicate", "field": "a", "condition": "never"}, "rule.condition", "condition"),
        ({"type": "row_count", "field": "a", "condition": "1.."}, "rule.field", "field"),
        ({"type": "conditional", "condition": "if a then b"}, "rule.condition", "condition"),
        ({"type": "monotonic", "field": "a", "condition": "upwards"}, "rule.condition", "condition"),
        ({"type": 3, "field": "a"}, "rule.type", "type"),
    ],
)
def test_what_cannot_be_read_is_named(entry: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        as_check(entry)
    assert (caught.value.code, caught.value.where.path) == (code, where)
    assert caught.value.fix


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
      from: {path: "*.csv"}
      load: append
      checks:
        - {type: null, field: id}
        - {type: range, field: age, condition: "0..120", severity: warn}
        - type: {column: id, is: integer}
        - type: pattern
          field: code
          condition: "[A-Z]{3}"
          name: three_letters
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    folder = tmp_path / "defs" / "shop"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(text)
    loaded = load_folder(tmp_path / "defs")
    return [str(each) for each in loaded.built.problems]


def test_rules_of_both_forms_stand_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "defs" / "shop"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(YAML)
    loaded = load_folder(tmp_path / "defs")
    assert loaded.built.problems == []
    keys = {key.name for key in loaded.built.definitions().resolve_asset_graph().asset_check_keys}
    assert keys >= {"not_null_id", "in_range_age", "type_id", "three_letters"}


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ('"0..120"', '"0 to 120"', 17, "the condition '0 to 120' cannot be read"),
        ("type: range", "type: rnage", 17, "there is no rule of type 'rnage'"),
        ('"0..120"', '"120..0"', 17, "min 120 is above max 0"),
        ("severity: warn", "severty: warn", 17, "unknown key 'severty'"),
        ('condition: "[A-Z]{3}"', 'condition: "("', 19, "the pattern '(' cannot be used"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, old: str, new: str, line: int, text: str) -> None:
    assert old in YAML
    (problem,) = problems(tmp_path, YAML.replace(old, new))
    assert text in problem
    assert f"defs.yaml:{line} " in problem
    assert "fix: " in problem
