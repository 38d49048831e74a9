"""The `dataflow` command. One file a verb, imported when it is called."""

import gc
import importlib
import os
import sys

import click

from dataflow_platform.core.errors import DataflowError

VERBS = {
    "anomalies": "dataflow_platform.cli.anomalies:anomalies",
    "check": "dataflow_platform.cli.check:check",
    "checks": "dataflow_platform.cli.plugins:checks",
    "connections": "dataflow_platform.cli.connections:connections",
    "connectors": "dataflow_platform.cli.connectors:connectors",
    "contract": "dataflow_platform.cli.contract:contract",
    "demo": "dataflow_platform.cli.demo:demo",
    "docs": "dataflow_platform.cli.docs:docs",
    "impact": "dataflow_platform.cli.impact:impact",
    "lineage": "dataflow_platform.cli.lineage:lineage",
    "load-strategies": "dataflow_platform.cli.plugins:load_strategies",
    "plan": "dataflow_platform.cli.plan:plan",
    "profile": "dataflow_platform.cli.profile:profile",
    "quarantine": "dataflow_platform.cli.quarantine:quarantine",
    "quality": "dataflow_platform.cli.quality:quality",
    "run": "dataflow_platform.cli.run:run",
    "setup": "dataflow_platform.cli.setup:setup",
    "state": "dataflow_platform.cli.state:state",
    "target": "dataflow_platform.cli.target:target",
    "transformations": "dataflow_platform.cli.plugins:transformations",
    "unmask": "dataflow_platform.cli.unmask:unmask",
}


class Verbs(click.Group):
    """Commands by name, each imported on use: `dataflow --help` imports no engine."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, sorted."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, None where there is none."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.command(cls=Verbs)
@click.version_option(package_name="dataflow-platform")
def group() -> None:
    """Data integration as Dagster assets: pipelines in YAML, loaded exactly once."""


def main() -> None:
    """Run the command line; errors of the platform are printed as they are, without a traceback."""
    from dataflow_platform.core.paths import project_root

    # What was imported lives until the process ends. Going through it again and again, and at exit, is left away:
    # of a run of 10 rows it took a quarter of the CPU.
    gc.freeze()
    # Said once: tools that run in this process (dbt among them) may change the working directory.
    os.environ.setdefault("DATAFLOW_HOME", str(project_root()))
    # Dagster keeps its history beside dagster.yaml unless told otherwise.
    if "DAGSTER_HOME" not in os.environ and (project_root() / "dagster.yaml").is_file():
        os.environ["DAGSTER_HOME"] = str(project_root())
    try:
        group()
    except DataflowError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    finally:
        gc.freeze()
