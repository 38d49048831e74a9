"""`dataflow plan`: what the next load would do to the tables' schemas."""

import sys
from typing import TYPE_CHECKING

import click

from dataflow_platform.core.errors import DataflowError, unknown_name
from dataflow_platform.core.transformation import EVERYWHERE, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataflow_platform.engine.stream_load import StreamLoad


@click.command()
@click.argument("pipeline", required=False)
@click.argument("stream", required=False)
@click.option(
    "--dialect",
    type=click.Choice(EVERYWHERE),
    help="Print the steps as a query of this dialect instead, over a table called as the stream is.",
)
def plan(pipeline: str | None, stream: str | None, dialect: Dialect | None) -> None:
    """Print what the next load of each stream would do to its table, by the schema contract.

    Reads schemas only (a REST endpoint without declared columns is asked for its first pages), writes nothing.
    Exits with 2 where a load would be refused, or a step does not hold in the dialect.
    """
    from dataflow_platform import definitions

    loads = definitions.load().built.loads
    pipelines = sorted({name for name, _ in loads})
    if pipeline is not None and pipeline not in pipelines:
        raise unknown_name("pipeline", pipeline, pipelines, "dataflow check")
    streams = [each for name, each in loads if name == pipeline]
    if stream is not None and stream not in streams:
        raise unknown_name("stream", stream, streams, f"streams of {pipeline}")
    refused = False
    for (name, each), make in sorted(loads.items(), key=lambda entry: entry[0][0]):
        if pipeline in (None, name) and stream in (None, each):
            refused |= _print(f"{name}/{each}", make, dialect)
    if refused:
        sys.exit(2)


def _print(name: str, make: "Callable[[], StreamLoad]", dialect: Dialect | None) -> bool:
    """Print the plan of one stream's next load; True where it is refused."""
    from dataflow_platform.engine.preview import preview, preview_in

    try:
        load = make()
        click.echo(f"{name} -> {load.target.schema}.{load.target.name} (load: {load.strategy_name})")
        load.source.run_prepare()
        # Made once more: what was started may have moved, and said so in the environment.
        if dialect is not None:
            there = preview_in(make(), dialect)
            click.echo(_indented("".join(f"{each};\n" for each in (*there.settings, there.sql))))
            return False
        found = preview(make())
    except DataflowError as error:
        click.echo(_indented(str(error)))
        return True
    for line in (*found.lines(), *map(str, found.refusals)):
        click.echo(_indented(line))
    return bool(found.refusals)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
