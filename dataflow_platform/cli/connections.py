"""`dataflow connections`: the declared connections, whether they work, and what can be read from them."""

import sys
from typing import TYPE_CHECKING

import click

from dataflow_platform.core.base import Connector
from dataflow_platform.core.errors import DataflowError, unknown_name

if TYPE_CHECKING:
    from dataflow_platform.pipeline.resolve import Connection


@click.group()
def connections() -> None:
    """List the declared connections, test them, or show what a source offers."""


@connections.command("list")
def list_() -> None:
    """List every declared connection: connector, roles and the file that declares it."""
    from rich.console import Console
    from rich.table import Table

    from dataflow_platform.core import registry
    from dataflow_platform.core.paths import project_root

    table = Table("name", "connector", "roles", box=None, pad_edge=False)
    table.add_column("declared in", overflow="fold")
    for name, connection in sorted(_declared().items()):
        file = connection.document.file
        shown = file.relative_to(project_root()) if file.is_relative_to(project_root()) else file
        table.add_row(name, connection.type, ", ".join(registry.roles(connection.type)), str(shown))
    Console().print(table)


@connections.command("test")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def test(names: tuple[str, ...]) -> None:
    """Connect to each NAME (all declared ones without any) and say to what; exits with 1 where one fails."""
    declared = _declared()
    failed = 0
    for name in names or sorted(declared):
        for role, connector in _connectors(_named(name, declared)):
            try:
                connector.run_prepare()
                # Read once more: what was started may have moved, and said so in the environment.
                connector = dict(_connectors(declared[name]))[role]
                click.echo(f"ok      {name} as {role}: {connector.test_connection()}")
            except DataflowError as error:
                failed += 1
                click.echo(f"failed  {name} as {role}:\n{error}", err=True)
    sys.exit(1 if failed else 0)


@connections.command("discover")
@click.argument("name")
def discover(name: str) -> None:
    """Print what can be read from connection NAME, one stream a line."""
    connection = _named(name, _declared())
    connection.source().run_prepare()
    for stream in connection.source().discover():
        click.echo(stream)


def _declared() -> "dict[str, Connection]":
    from dataflow_platform import definitions

    return definitions.load().connections


def _named(name: str, declared: "dict[str, Connection]") -> "Connection":
    if name not in declared:
        raise unknown_name("connection", name, declared, "dataflow connections list")
    return declared[name]


def _connectors(connection: "Connection") -> list[tuple[str, Connector]]:
    from dataflow_platform.core import registry

    makers = {"source": connection.source, "destination": connection.destination}
    return [(role, makers[role]()) for role in registry.roles(connection.type)]
