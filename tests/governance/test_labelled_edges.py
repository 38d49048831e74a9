"""Precision and recall of column lineage against edges that were labelled by hand."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
import yaml

from dataflow_platform.core.base import Column
from dataflow_platform.engine import step_functions, step_typing
from dataflow_platform.engine.lineage import DIRECT, INDIRECT, Kind, Relation, of_table, words
from dataflow_platform.engine.query_lineage import lineage_of
from dataflow_platform.governance.dbt_lineage import DbtLineage
from dataflow_platform.governance.dbt_rendering import Manifest
from dataflow_platform.governance.lineage_cache import LineageCache
from tests.governance import labelled_demo, labelled_steps, labelled_tpch
from tests.transformations.stepping import step

ROOT = Path(__file__).parents[2]
LETTERS = {
    "I": Kind.IDENTITY, "T": Kind.TRANSFORMATION, "A": Kind.AGGREGATION, "J": Kind.JOIN, "G": Kind.GROUP_BY,
    "F": Kind.FILTER, "S": Kind.SORT, "W": Kind.WINDOW, "C": Kind.CONDITIONAL,
}  # fmt: skip
Edge = tuple[str, str, str]
"""What it is part of, source, target."""
Edges = dict[Edge, Kind]


def labelled(name: str, text: str) -> Edges:
    found: Edges = {}
    for line in re.split(r"\n(?=\s*[\w*]+:)", text.strip()):
        target, _, rest = line.partition(":")
        for told in rest.split(","):
            letters, source = told.split()
            kinds = Kind(0)
            for letter in letters:
                kinds |= LETTERS[letter]
            found[name, source, target.strip()] = kinds
    return found


def told(name: str, relation: Relation) -> Edges:
    found: Edges = {}
    for target, sources in (*relation.columns.items(), ("*", relation.rows)):
        for origin, kinds in sources.items():
            table = origin.table.replace("/", ".")
            source = f"{table}.{origin.column}" if table else origin.column
            found[name, source, target] = kinds & (DIRECT | INDIRECT)
    return found


def of_tpch() -> Iterator[tuple[Edges, Edges]]:
    tables = {name: of_table(columns.split(), name) for name, columns in labelled_tpch.TABLES.items()}
    for query in labelled_tpch.QUERIES:
        tree = sqlglot.parse_one(query.sql, read="duckdb")
        yield labelled(query.name, query.edges), told(query.name, lineage_of(tree, tables))


def demo_manifest() -> Manifest:
    """What dbt would leave of the demo's models and macros, as far as lineage needs it."""
    project = ROOT / "dbt_project"
    settings = yaml.safe_load((project / "dbt_project.yml").read_text())
    nodes: dict[str, Any] = {}
    for file in (project / "models").rglob("*.sql"):
        schema, code = ("staging" if file.parent.name == "staging" else "mart"), file.read_text()
        above = [f"model.{name}" for name in re.findall(r"ref\('(\w+)'\)", code)]
        nodes[f"model.{file.stem}"] = {
            "name": file.stem, "unique_id": f"model.{file.stem}", "resource_type": "model", "package_name": "flights",
            "schema": schema, "alias": file.stem, "config": {"schema": schema}, "raw_code": code,
            "depends_on": {"nodes": above},
        }  # fmt: skip
    sources = {
        f"source.{table}": {
            "name": table, "unique_id": f"source.{table}", "resource_type": "source", "source_name": "raw",
            "schema": "raw", "identifier": table,
        }
        for table in ("flights", "planes", "weather", "airlines", "airports")
    }  # fmt: skip
    macros = {}
    for text in re.findall(r"{%-? macro .*?endmacro -?%}", (project / "macros/delay_measures.sql").read_text(), re.S):
        name = re.findall(r"macro (\w+)", text)[0]
        macros[name] = {"name": name, "unique_id": name, "package_name": "flights", "macro_sql": text}
    metadata = {"project_name": "flights", "adapter_type": "duckdb"}
    return Manifest({"metadata": metadata, "nodes": nodes, "sources": sources, "macros": macros}, settings["vars"])


def of_demo() -> Iterator[tuple[Edges, Edges]]:
    with tempfile.TemporaryDirectory() as empty:
        lineage = DbtLineage(demo_manifest(), {}, LineageCache(Path(empty) / "lineage.json"))
    assets = {asset.key.split("/")[-1]: asset for asset in lineage.assets()}
    for name, text in labelled_demo.EDGES.items():
        assert assets[name].definition, assets[name].unknown
        yield labelled(name, text), told(name, assets[name].lineage)


def of_steps() -> Iterator[tuple[Edges, Edges]]:
    with duckdb.connect(":memory:") as connection, step_functions.opened(connection) as functions:
        own = {"id": "BIGINT", "k": "BIGINT", "a": "BIGINT", "b": "BIGINT", "s": "VARCHAR", "l": "BIGINT[]"}
        columns = [Column(name, kind) for name, kind in own.items()]
        tables = {"raw.other": [Column("k", "BIGINT"), Column("x", "BIGINT"), Column("y", "VARCHAR")]}
        for pipeline in labelled_steps.PIPELINES:
            steps = [step(name, value) for name, value in pipeline.steps]
            found = step_typing.typed(columns, steps, tables, step_typing.by_position, functions)
            yield labelled(pipeline.name, pipeline.edges), told(pipeline.name, found.lineage)


def differences(labels: Edges, found: Edges) -> list[str]:
    wrong = [f"missed {edge}" for edge in labels.keys() - found.keys()]
    wrong += [f"too many {edge} {', '.join(words(kinds))}" for edge, kinds in found.items() if edge not in labels]
    both = labels.keys() & found.keys()
    wrong += [f"{edge} is {labels[edge]!r}, not {found[edge]!r}" for edge in both if labels[edge] != found[edge]]
    return sorted(wrong)


def measured(of: Iterator[tuple[Edges, Edges]]) -> tuple[int, int, int, int, list[str]]:
    """Labelled and told edges, those in both, those in both with the same kinds, and what differs."""
    labels: Edges = {}
    found: Edges = {}
    for one, other in of:
        labels |= one
        found |= other
    both = labels.keys() & found.keys()
    return len(labels), len(found), len(both), sum(labels[e] == found[e] for e in both), differences(labels, found)


FIGURES: dict[str, tuple[int, int, int]] = {}
# The fields of a structure that is made and opened in one step are not told apart: `name` of an unpivot is one of the
# columns' names, and gets edges from their values.
KNOWN = {"steps": [f"too many ('opened and turned', '{source}', 'name') TRANSFORMATION" for source in "ab"]}


@pytest.mark.parametrize("what", ["tpch", "demo", "steps"])
def test_every_labelled_edge_is_found_and_no_other(what: str) -> None:
    of = {"tpch": of_tpch, "demo": of_demo, "steps": of_steps}[what]
    labels, found, both, same, wrong = measured(of())
    FIGURES[what] = (labels, found, both)
    rates = f"precision {both / found:.3f}, recall {both / labels:.3f}"
    print(f"{what}: {labels} edges labelled, {found} told, {rates}, {same} of the same kind")
    assert wrong == KNOWN.get(what, [])


def test_there_are_enough_labels_and_the_page_tells_their_figures() -> None:
    if len(FIGURES) < 3:
        pytest.skip("needs the figures of the three tests above")
    labels, found, both = (sum(each) for each in zip(*FIGURES.values(), strict=True))
    assert labels >= 150
    page = (ROOT / "docs" / "lineage.md").read_text()
    rates = f"precision {both / found:.3f}, recall {both / labels:.3f}"
    assert f"{labels} edges labelled by hand, {found} told: {rates}" in page
