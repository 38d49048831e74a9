"""`dataflow check`: build all definitions and say what is wrong, without running anything."""

import sys

import click
import dagster as dg


@click.command()
def check() -> None:
    """Build every definition below the defs folder; exits with 1 where one does not build."""
    from dataflow_platform import definitions
    from dataflow_platform.governance.check_columns import unknown_columns

    loaded = definitions.load()
    defs = definitions.build(loaded)
    found = [*loaded.built.problems, *unknown_columns(loaded)]
    problems = list(dict.fromkeys([*map(str, found), *_broken_components(defs)]))
    for problem in problems:
        click.echo(f"{problem}\n", err=True)
    if problems:
        click.echo(f"{len(problems)} of the definitions do not build", err=True)
        sys.exit(1)
    graph = defs.resolve_asset_graph()
    click.echo(
        f"ok: {len(graph.materializable_asset_keys)} assets, {len(graph.asset_check_keys)} checks, "
        f"{len(loaded.connections)} connections"
    )


def _broken_components(defs: dg.Definitions) -> list[str]:
    """What components of other packages said when they did not build."""
    return [
        spec.metadata["dataflow/error"] for spec in defs.resolve_all_asset_specs() if "dataflow/error" in spec.metadata
    ]
