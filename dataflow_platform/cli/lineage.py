"""`dataflow lineage`: where a column comes from and what is made of it, without running anything."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dataflow_platform.engine.lineage import Origin
    from dataflow_platform.governance.column_graph import ColumnGraph, Edge


@click.command()
@click.argument("column")
@click.option("--up", is_flag=True, help="Only what the column is made of.")
@click.option("--down", is_flag=True, help="Only what is made of the column.")
@click.option("--json", "as_json", is_flag=True, help="Edges and assets as JSON.")
@click.option("--mermaid", is_flag=True, help="A Mermaid flowchart.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page that needs no server.")
def lineage(column: str, up: bool, down: bool, as_json: bool, mermaid: bool, html: Path | None) -> None:
    """Show the lineage of COLUMN, written as `schema.table.column`, from source to dbt model.

    Nothing is run and no source is asked: what is told comes from the pipelines' YAML, the parsed dbt projects and
    what earlier loads recorded. Where columns of an asset are not known, it says so.
    """
    from dataflow_platform import definitions
    from dataflow_platform.governance.project_lineage import not_parsed, project_lineage

    loaded = definitions.load()
    for sentence in not_parsed(loaded):
        click.echo(sentence, err=True)
    graph = project_lineage(loaded)
    start = graph.find(column)
    edges = [*(graph.up(start) if up or not down else []), *(graph.down(start) if down or not up else [])]
    if html is not None:
        from dataflow_platform.cli.lineage_page import page

        html.write_text(page(graph, start), encoding="utf-8")
        click.echo(f"{html}: open it in a browser")
    elif as_json:
        click.echo(json.dumps(as_data(graph, start, edges), indent=2))
    elif mermaid:
        click.echo("\n".join(_flowchart(start, edges)))
    else:
        click.echo("\n".join(_text(graph, start, up or not down, down or not up)))


def as_data(graph: "ColumnGraph", start: "Origin", edges: "list[Edge]") -> dict[str, Any]:
    """The edges and the assets they touch, for JSON; the rows of an asset are a column ``null``."""
    from dataflow_platform.engine.lineage import DIRECT, INDIRECT, is_masked, words
    from dataflow_platform.governance.column_graph import told

    keys = dict.fromkeys([start.table, *(end.table for edge in edges for end in edge[:2])])
    return {
        "column": told(start),
        "edges": [
            {
                "from": {"asset": edge.origin.table, "column": edge.origin.column},
                "to": {"asset": edge.target.table, "column": edge.target.column or None},
                "direct": list(words(edge.kinds & DIRECT)),
                "indirect": list(words(edge.kinds & INDIRECT)),
                "masked": is_masked(edge.kinds),
            }
            for edge in edges
        ],
        "assets": [
            {"asset": key, "kind": asset.kind, "owners": list(asset.owners), "unknown": asset.unknown or None}
            for key in keys
            if (asset := graph.assets.get(key)) is not None
        ],
    }


def _text(graph: "ColumnGraph", start: "Origin", up: bool, down: bool) -> list[str]:
    from dataflow_platform.governance.column_graph import told

    lines = [told(start)]
    if up:
        lines += ["", "made of", *_branches(graph.up(start), start, lambda edge: (edge.target, edge.origin))]
        rows = graph.rows_of(start.table)
        if rows:
            lines += ["", f"the rows of {start.table.replace('/', '.')} depend on"]
            lines += [f"  {told(edge.origin)}  [{edge.told()}]" for edge in rows]
    if down:
        lines += ["", "used for", *_branches(graph.down(start), start, lambda edge: (edge.origin, edge.target))]
    edges = [*(graph.up(start) if up else []), *(graph.down(start) if down else [])]
    keys = dict.fromkeys([start.table, *(end.table for edge in edges for end in edge[:2])])
    unknown = [(key, graph.assets[key].unknown) for key in keys if key in graph.assets and graph.assets[key].unknown]
    if unknown:
        lines += ["", "not all columns are known of", *(f"  {key.replace('/', '.')}: {why}" for key, why in unknown)]
    return lines


def _branches(edges: "list[Edge]", start: "Origin", ends: Any) -> list[str]:
    """The edges as a tree; what was shown once is not opened again."""
    from dataflow_platform.governance.column_graph import ROWS, told

    by_near: dict[Any, list[tuple[Any, str]]] = {}
    for edge in edges:
        near, far = ends(edge)
        by_near.setdefault(near, []).append((far, edge.told()))
    lines: list[str] = []
    seen = {start}
    todo = [(far, how, 1) for far, how in reversed(by_near.get(start, []))]
    while todo:
        column, how, depth = todo.pop()
        name = f"rows of {told(column)}" if column.column == ROWS else told(column)
        again = column in seen and column in by_near
        lines.append(f"{'  ' * depth}{name}  [{how}]{'  (see above)' if again else ''}")
        if column not in seen:
            seen.add(column)
            todo += [(far, way, depth + 1) for far, way in reversed(by_near.get(column, []))]
    return lines or ["  nothing that is known"]


def _flowchart(start: "Origin", edges: "list[Edge]") -> list[str]:
    from dataflow_platform.engine.lineage import DIRECT

    ends = dict.fromkeys([start, *(end for edge in edges for end in edge[:2])])
    names = {end: f"c{place}" for place, end in enumerate(ends)}
    lines = ["flowchart LR"]
    for number, key in enumerate(dict.fromkeys(end.table for end in ends)):
        lines.append(f'  subgraph a{number}["{_quoted(key)}"]')
        lines += [f'    {names[end]}["{_quoted(end.column or "(rows)")}"]' for end in ends if end.table == key]
        lines.append("  end")
    for edge in dict.fromkeys(edges):
        arrow = "-->" if edge.kinds & DIRECT else "-.->"
        lines.append(f'  {names[edge.origin]} {arrow}|"{edge.told()}"| {names[edge.target]}')
    return [*lines, f"  style {names[start]} stroke-width:3px"]


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")
