"""`dataflow quarantine`: rows that broke a rule, with their reasons."""

import json

import click
from rich.console import Console
from rich.table import Table as Grid


@click.group()
def quarantine() -> None:
    """Look at the rows that were kept out of their table."""


@quarantine.command("list")
@click.argument("pipeline")
def list_(pipeline: str) -> None:
    """Count the quarantined rows of PIPELINE by stream and reason."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.quarantine import by_reason

    grid = Grid("stream", "rule", "rows", box=None)
    with open_pipeline(pipeline) as (session, schema, _):
        for stream, rule, count in by_reason(session, schema, pipeline):
            grid.add_row(stream, rule, f"{count:,}")
    Console().print(grid)


@quarantine.command("show")
@click.argument("pipeline")
@click.argument("stream")
@click.option("--limit", default=10, show_default=True, help="Rows to print, newest first.")
def show(pipeline: str, stream: str, limit: int) -> None:
    """Print quarantined rows of STREAM as JSON lines: values, reasons, load."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.quarantine import rows_of

    with open_pipeline(pipeline) as (session, schema, _):
        for row in rows_of(session, schema, pipeline, stream, limit):
            click.echo(json.dumps(row, ensure_ascii=False))
