"""The page of `dataflow lineage --html`: one file with its data, style and script in it."""

import json
from importlib import resources
from typing import Any

from dataflow_platform.engine.lineage import DIRECT, Origin, words
from dataflow_platform.governance.column_graph import ROWS, ColumnGraph


def page(graph: ColumnGraph, start: Origin) -> str:
    """HTML that shows every asset above and below that of ``start``, with the lineage of ``start`` lit."""
    template = resources.files("dataflow_platform.cli").joinpath("lineage_page.html").read_text(encoding="utf-8")
    # `</` would end the script the data stands in.
    data = json.dumps(_data(graph, start), ensure_ascii=False).replace("</", "<\\/")
    return template.replace("/*DATA*/null", data)


def _data(graph: ColumnGraph, start: Origin) -> dict[str, Any]:
    keys = _around(graph, start.table)
    assets = [graph.assets[key] for key in graph.assets if key in keys]
    return {
        "start": [start.table, start.column],
        "assets": [
            {
                "key": asset.key,
                "kind": asset.kind,
                "columns": list(asset.lineage.columns),
                "unknown": asset.unknown,
                "owners": list(asset.owners),
                "reads": [each for each in asset.reads if each in keys],
                "guards": [guard.name for guard in asset.guards],
            }
            for asset in assets
        ],
        "edges": [
            [*edge.origin[::-1], edge.target.table, edge.target.column or ROWS, edge.told(), bool(edge.kinds & DIRECT)]
            for edge in graph.edges()
            if edge.origin.table in keys and edge.target.table in keys and words(edge.kinds)
        ],
    }


def _around(graph: ColumnGraph, key: str) -> set[str]:
    """The assets above and below one, and itself."""
    found, todo = {key}, [key]
    while todo:
        asset = graph.assets.get(todo.pop())
        for each in asset.reads if asset is not None else ():
            if each not in found and each in graph.assets:
                found.add(each)
                todo.append(each)
    return found | graph.downstream([key])
