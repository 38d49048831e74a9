"""Lineage that was found before is the same as what is found now; a change is found anew."""

import json
from pathlib import Path

import pytest

from dataflow_platform import definitions
from dataflow_platform.engine import step_typing
from dataflow_platform.engine.lineage import DIRECT, Kind, Origin, Relation
from dataflow_platform.governance.column_graph import ColumnGraph
from dataflow_platform.governance.lineage_cache import LineageCache
from dataflow_platform.governance.project_lineage import project_lineage
from tests.fixtures.lineage_project import FILES

PIPELINES = "defs/shop/defs.yaml"


def graph() -> ColumnGraph:
    return project_lineage(definitions.load(), recorded=lambda _: None)


def test_the_second_time_no_step_is_typed_and_the_graph_is_the_same(
    own_lineage_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = graph()
    monkeypatch.setattr(step_typing, "typed", None)  # would fail where it is called
    second = graph()
    assert {key: vars(asset) for key, asset in second.assets.items()} == {
        key: vars(asset) for key, asset in first.assets.items()
    }


def test_a_changed_step_and_changed_code_are_found_anew(own_lineage_project: Path) -> None:
    graph()
    written = FILES[PIPELINES].replace("net: amount / 1.2", "net: customer / 1.2")
    (own_lineage_project / PIPELINES).write_text(written)
    assert list(graph().assets["raw/orders"].lineage.columns["net"]) == [Origin("customer", "inbox/orders_csv")]
    file = own_lineage_project / ".dataflow" / "lineage.json"
    held = json.loads(file.read_text())
    file.write_text(json.dumps({**held, "code": "another"}))
    assert LineageCache(file).get(next(iter(held["entries"]))) is None
    assert LineageCache(own_lineage_project / "broken.json").get("x") is None


def test_everything_of_a_relation_is_kept(tmp_path: Path) -> None:
    masked = Relation({"a": {Origin("x", "t"): Kind.TRANSFORMATION}}, {Origin("y", "t"): Kind.JOIN}, ("t",), {})
    cache = LineageCache(tmp_path / "of" / "it.json")
    cache.put("k", masked, [("a", "BIGINT")])
    cache.save()
    found = LineageCache(tmp_path / "of" / "it.json").get("k")
    assert found == (masked, [["a", "BIGINT"]])
    assert found[0].columns["a"][Origin("x", "t")] & DIRECT
