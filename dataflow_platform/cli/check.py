"""`dataflow check`: build all definitions and say what is wrong, without running anything."""

import sys

import click


@click.command()
def check() -> None:
    """Build every definition below the defs folder; exits with 1 where one does not build."""
    from dataflow_platform import definitions

    loaded = definitions.load()
    problems = loaded.built.problems
    for problem in problems:
        click.echo(f"{problem}\n", err=True)
    if problems:
        click.echo(f"{len(problems)} of the definitions do not build", err=True)
        sys.exit(1)
    defs = definitions.defs()
    graph = defs.resolve_asset_graph()
    click.echo(
        f"ok: {len(graph.materializable_asset_keys)} assets, {len(graph.asset_check_keys)} checks, "
        f"{len(loaded.connections)} connections"
    )
