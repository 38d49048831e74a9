"""`dataflow quarantine`: rows that broke a rule: looked at, corrected, loaded after all."""

import getpass
import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as Grid


@click.group()
def quarantine() -> None:
    """Look at the rows that were kept out of their table, and replay them once the rule or the row is right."""


@quarantine.command("list")
@click.argument("pipeline")
@click.option(
    "--status", help="Count rows of this status: open (as without it), replayed, superseded, discarded, refused."
)
def list_(pipeline: str, status: str | None) -> None:
    """Count the quarantined rows of PIPELINE by stream and reason; below, the rows by stream and status."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.quarantine import by_reason, by_status

    grid, states = Grid("stream", "rule", "rows", box=None), Grid("stream", "status", "rows", box=None)
    with open_pipeline(pipeline) as (session, schema, _):
        for stream, rule, count in by_reason(session, schema, pipeline, status or "open"):
            grid.add_row(stream, rule, f"{count:,}")
        for stream, each, count in by_status(session, schema, pipeline):
            states.add_row(stream, each, f"{count:,}")
    Console().print(grid)
    Console().print()
    Console().print(states)


@quarantine.command("show")
@click.argument("pipeline")
@click.argument("stream")
@click.option("--limit", default=10, show_default=True, help="Rows to print, newest first.")
@click.option(
    "--status",
    default="open",
    show_default=True,
    help="open, replayed, superseded, discarded or refused (of the last refused load).",
)
def show(pipeline: str, stream: str, limit: int, status: str) -> None:
    """Print quarantined rows of STREAM as JSON lines: values as judged and as the source gave them, reasons,
    place in the source, load and run."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.quarantine import rows_of

    with open_pipeline(pipeline) as (session, schema, streams):
        _known(stream, streams, pipeline)
        for row in rows_of(session, schema, pipeline, stream, limit, status):
            click.echo(json.dumps(row, ensure_ascii=False))


@quarantine.command("export")
@click.argument("pipeline")
@click.argument("stream")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--rule", help="Only rows that broke this rule.")
def export(pipeline: str, stream: str, file: Path, rule: str | None) -> None:
    """Write the open rows of STREAM to FILE (.jsonl, .csv or .parquet).

    `source_values` holds the text of every value as the source gave it: correct it there, and `replay --from FILE`.
    """
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.quarantine import export_rows

    with open_pipeline(pipeline) as (session, schema, streams):
        _known(stream, streams, pipeline)
        count = export_rows(session, schema, pipeline, stream, file, rule)
    click.echo(f"{count:,} rows written to {file}")


@quarantine.command("discard")
@click.argument("pipeline")
@click.argument("stream")
@click.option("--why", required=True, help="The reason, kept with the rows.")
@click.option("--rule", help="Only rows that broke this rule.")
@click.option("--id", "ids", multiple=True, help="Only the row with this id; may be given several times.")
def discard(pipeline: str, stream: str, why: str, rule: str | None, ids: tuple[str, ...]) -> None:
    """Mark open rows of STREAM as never to be loaded. They are kept, with who said so, when and why."""
    from dataflow_platform.cli.warehouse import open_pipeline
    from dataflow_platform.engine.quarantine import discard_rows

    with open_pipeline(pipeline) as (session, schema, streams):
        _known(stream, streams, pipeline)
        count = discard_rows(session, schema, pipeline, stream, _who(), why, rule, ids)
        session.commit()
    click.echo(f"{count:,} rows discarded")


@quarantine.command("replay")
@click.argument("pipeline")
@click.argument("stream")
@click.option("--rule", help="Only rows that broke this rule.")
@click.option("--id", "ids", multiple=True, help="Only the row with this id; may be given several times.")
@click.option(
    "--from",
    "edited",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Only the rows of this export, with the source_values that stand in it now.",
)
def replay(pipeline: str, stream: str, rule: str | None, ids: tuple[str, ...], edited: Path | None) -> None:
    """Send open rows of STREAM through its steps and rules as they are now, and load those that pass.

    The table becomes what it would have been had they passed from the start. Exits with 1 where rows are left.
    Rules about a batch as a whole (`row_count`, `unique`) are not asked again.
    """
    from dataflow_platform import definitions
    from dataflow_platform.core.errors import unknown_name
    from dataflow_platform.engine.replay import Selection
    from dataflow_platform.engine.replay import replay as replay_rows

    loaded = definitions.load()
    if pipeline not in loaded.built.targets:
        raise unknown_name("pipeline", pipeline, loaded.built.targets, "dataflow check")
    _known(stream, loaded.built.targets[pipeline][2], pipeline)
    done = replay_rows(loaded.built.loads[pipeline, stream](), Selection(rule, ids, edited), _who())
    refused = done.refused or {}
    click.echo(
        f"{done.selected:,} open rows: {done.loaded:,} loaded, {done.still_bad:,} still break a rule, "
        f"{done.left_out:,} left out by the steps, {sum(refused.values()):,} cannot be replayed"
    )
    for reason, count in refused.items():
        click.echo(f"  {count:,}: {reason}")
    sys.exit(1 if done.still_bad or refused else 0)


def _known(stream: str, streams: list[str], pipeline: str) -> None:
    from dataflow_platform.core.errors import unknown_name

    if stream not in streams:
        raise unknown_name("stream", stream, streams, f"streams of {pipeline}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
