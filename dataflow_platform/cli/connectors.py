"""``dataflow connectors``: what can be read and loaded, and how each is set up."""

import click

from dataflow_platform.core import registry


@click.group()
def connectors() -> None:
    """List the connectors, or show one with its fields."""


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

    from dataflow_platform.cli.reference import fact_lines, model_section

    console = Console()
    for role, plugin in registry.roles(name).items():
        parts = [f"# {name} as {role}", *(f"- {line}" for line in fact_lines(plugin.facts))]
        parts += ["\n## Connection\n", model_section(plugin, 3)]
        options = getattr(plugin, "StreamOptions", None)
        if options:
            parts += ["\n## Stream (from:)\n", model_section(options, 3)]
        console.print(Markdown("\n".join(parts)))
