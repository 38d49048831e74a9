"""`dataflow state`: how far each stream has been read."""

import click
from rich.console import Console
from rich.table import Table as Grid


@click.group()
def state() -> None:
    """Show or reset the cursors kept in the warehouse."""


@state.command("show")
@click.argument("pipeline")
def show(pipeline: str) -> None:
    """Print the state of every stream of PIPELINE."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.state import load_state

    grid = Grid("stream", "cursor", "type", "position", box=None)
    with open_pipeline(pipeline) as (session, schema, streams):
        for name in streams:
            found = load_state(session, schema, pipeline, name)
            grid.add_row(name, found.cursor or "-", found.cursor_type or "-", str(dict(found.position)) or "-")
    Console().print(grid)


@state.command("reset")
@click.argument("pipeline")
@click.argument("stream")
def reset(pipeline: str, stream: str) -> None:
    """Forget how far STREAM of PIPELINE was read: the next run reads it from the beginning."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.core.errors import unknown_name
    from dataflow_platform.engine.state import reset_state

    with open_pipeline(pipeline) as (session, schema, streams):
        if stream not in streams:
            raise unknown_name("stream", stream, streams, f"streams of {pipeline}")
        reset_state(session, schema, pipeline, stream)
        session.commit()
    click.echo(f"{pipeline}/{stream}: state forgotten")
