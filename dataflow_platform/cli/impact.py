"""`dataflow impact`: what the change of a column, or of the project since a revision, breaks."""

import json
import sys

import click


@click.command()
@click.option("--column", help="The column that is to change or to go, as `schema.table.column`.")
@click.option("--base", metavar="REV", help="Compare the YAML and dbt files with those of this git revision.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def impact(column: str | None, base: str | None, as_json: bool) -> None:
    """List what a change breaks: assets, checks, dbt tests, exposures, and their owners.

    Exits with 1 where something breaks, for use in CI. Nothing is run; with --base, dbt projects whose files differ
    are parsed.
    """
    if (column is None) == (base is None):
        raise click.UsageError("say one of --column and --base")
    sys.exit(1 if (_of_column(column, as_json) if column else _of_revision(str(base), as_json)) else 0)


def _of_column(column: str, as_json: bool) -> bool:
    from dataflow_platform import definitions
    from dataflow_platform.governance.column_graph import told
    from dataflow_platform.governance.impact import impact_of
    from dataflow_platform.governance.project_lineage import not_parsed, project_lineage

    loaded = definitions.load()
    for sentence in not_parsed(loaded):
        click.echo(sentence, err=True)
    graph = project_lineage(loaded)
    start = graph.find(column)
    found = impact_of(graph, start)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    elif found.breaks():
        click.echo("\n".join([f"{told(start)} is used by", *(f"  {line}" for line in found.lines())]))
    else:
        click.echo("\n".join([f"nothing that is known uses {told(start)}", *(f"  {line}" for line in found.lines())]))
    return found.breaks()


def _of_revision(revision: str, as_json: bool) -> bool:
    from dataflow_platform import definitions
    from dataflow_platform.governance.project_lineage import recorded_in_dagster
    from dataflow_platform.governance.project_revision import graphs
    from dataflow_platform.governance.revision_impact import compare

    loaded = definitions.load()
    recorded = recorded_in_dagster([stream.asset.key for stream in loaded.built.streams])
    base, now, broken = graphs(loaded, definitions.defs_folder(), revision, recorded)
    found = compare(base, now)
    breaks = [*(f"pipeline {text}" for text in broken), *found.breaks]
    if as_json:
        told = {"base": revision, "changes": found.changes, "breaks": breaks, "owners": found.owners}
        click.echo(json.dumps(told, indent=2))
        return bool(breaks)
    for title, lines in (("changes", found.changes), ("breaks", breaks), ("owners", found.owners)):
        if lines:
            click.echo("\n".join([title, *(f"  {line}" for line in lines)]))
    if not found.changes and not breaks:
        click.echo(f"no difference to {revision}")
    return bool(breaks)
