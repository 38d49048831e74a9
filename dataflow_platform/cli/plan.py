"""`dataflow plan`: what the next load would do to the tables' schemas."""

import sys
from typing import TYPE_CHECKING

import click

from dataflow_platform.core.errors import DataflowError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataflow_platform.engine.stream_load import StreamLoad


@click.command()
@click.argument("pipeline", required=False)
@click.argument("stream", required=False)
def plan(pipeline: str | None, stream: str | None) -> None:
    """Print what the next load of each stream would do to its table, by the schema contract.

    Reads schemas only (a REST endpoint without declared columns is asked for its first pages), writes nothing.
    Exits with 2 where a load would be refused.
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
            refused |= _print(f"{name}/{each}", make)
    if refused:
        sys.exit(2)


def _print(name: str, make: "Callable[[], StreamLoad]") -> bool:
    """Print the plan of one stream's next load; True where it is refused."""
    from dataflow_platform.engine.preview import preview

    try:
        load = make()
        click.echo(f"{name} -> {load.target.schema}.{load.target.name} (load: {load.strategy_name})")
        load.source.run_prepare()
        # Made once more: what was started may have moved, and said so in the environment.
        found = preview(make())
    except DataflowError as error:
        click.echo(_indented(str(error)))
        return True
    for line in (*found.lines(), *map(str, found.refusals)):
        click.echo(_indented(line))
    return bool(found.refusals)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
