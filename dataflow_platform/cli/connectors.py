"""``dataflow connectors``: what can be read and loaded, and how each is set up."""

import click

from dataflow_platform.cli.api_descriptions import draft, verify
from dataflow_platform.cli.connector_record import record
from dataflow_platform.core import registry
from dataflow_platform.core.errors import ConfigError


@click.group()
def connectors() -> None:
    """List the connectors, show one with its fields, or test the connections made with it."""


connectors.add_command(draft)
connectors.add_command(verify)


connectors.add_command(record)


@connectors.command("list")
def list_() -> None:
    """List every connector: roles, family, evidence, extra to install."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "title", "roles", "family", "evidence", "extra", box=None, pad_edge=False)
    for name in registry.names("connectors"):
        roles = registry.roles(name)
        facts = next(iter(roles.values())).facts
        table.add_row(name, facts.title, ", ".join(roles), facts.family, facts.evidence, facts.extra or "")
    Console().print(table)


@connectors.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the facts of connector NAME, the fields of its connection and the options of its streams."""
    from rich.console import Console
    from rich.markdown import Markdown

    from dataflow_platform.cli.reference import fact_lines, model_section, proof_lines

    console = Console()
    if name in registry.connector_files():
        from dataflow_platform.cli.catalogue_page import connector_sections

        console.print(Markdown("\n".join(connector_sections(name, registry.source(name)))))
        return
    for role, plugin in registry.roles(name).items():
        parts = [f"# {name} as {role}", *(f"- {line}" for line in fact_lines(plugin.facts))]
        parts += [f"- {line}" for line in proof_lines(name, role)]
        parts += ["\n## Connection\n", model_section(plugin, 3)]
        options = getattr(plugin, "StreamOptions", None)
        if options:
            parts += ["\n## Stream (from:)\n", model_section(options, 3)]
        console.print(Markdown("\n".join(parts)))


@connectors.command("test")
@click.argument("name")
@click.option("--table", help="Also read one row of this table, as streams do: permission and query are tried as well.")
def test(name: str, table: str | None) -> None:
    """Test every declared connection of connector NAME: `dataflow connections test`, chosen by type.

    Exits with 1 where one fails. Where none is declared, that is an error.
    """
    from dataflow_platform.cli.connections import declared_connections, exit_after_testing

    registry.roles(name)  # an unknown connector is told with the nearest name
    declared = declared_connections()
    chosen = sorted(each for each, connection in declared.items() if connection.type == name)
    if not chosen:
        raise ConfigError(
            "connection.none",
            f"no declared connection is of type '{name}'",
            fix="declare one under `connections:` in a defs.yaml (dataflow connectors show " + name + ")",
        )
    exit_after_testing(chosen, declared, table)
