"""`dataflow target`: a Singer target. Also installed as `target-dataflow`, as targets are called."""

import gc
import sys
from pathlib import Path

import click

from dataflow_platform.core.errors import DataflowError


@click.command()
@click.version_option(package_name="dataflow-platform")
@click.option(
    "--config", "config_file", required=True, type=click.Path(path_type=Path), help="The config file: docs/bridges.md."
)
def target(config_file: Path) -> None:
    """Load the Singer messages on standard input; echo each STATE once the rows before it are committed.

    `tap-x --config tap.json | dataflow target --config target.json >> state.jsonl`
    """
    from dataflow_platform.cli.singer_target.config import read
    from dataflow_platform.cli.singer_target.landing import land
    from dataflow_platform.connectors._protocol.program import LONGEST

    def echo(state: str) -> None:
        sys.stdout.write(state + "\n")
        sys.stdout.flush()

    lines = iter(lambda: sys.stdin.buffer.readline(LONGEST + 1), b"")
    land(read(config_file), lines, echo)


def main() -> None:
    """The program `target-dataflow`."""
    gc.freeze()
    try:
        target()
    except DataflowError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
