"""`dataflow plan`: what the next load would do to the tables' schemas."""

import sys
from typing import TYPE_CHECKING

import click

from dataflow_platform.core.errors import DataflowError, unknown_name

if TYPE_CHECKING:
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

    built = definitions.load().built
    if pipeline is not None and pipeline not in built.streams:
        raise unknown_name("pipeline", pipeline, built.streams, "dataflow check")
    refused = False
    for name in [pipeline] if pipeline else sorted(built.streams):
        streams, destination = built.streams[name], built.targets[name][0]
        if stream is not None and stream not in streams:
            raise unknown_name("stream", stream, streams, f"streams of {name}")
        for each in [stream] if stream else streams:
            asset, source = streams[each]
            click.echo(f"{name}/{each} -> {asset.table.schema}.{asset.table.name} (load: {asset.strategy_name})")
            try:
                source.source().run_prepare()
                load = asset.load(source.source(), destination.destination(), load_id="plan")
                refused |= _print(load)
            except DataflowError as error:
                refused = True
                click.echo(_indented(str(error)))
    if refused:
        sys.exit(2)


def _print(load: "StreamLoad") -> bool:
    """Print the plan of one load; True where it is refused."""
    from dataflow_platform.engine.preview import preview

    found = preview(load)
    for line in found.lines():
        click.echo(_indented(line))
    for refusal in found.refusals:
        click.echo(_indented(str(refusal)))
    return bool(found.refusals)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
