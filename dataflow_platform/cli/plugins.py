"""`dataflow transformations`, `checks` and `load-strategies`: what a pipeline can be made of."""

import inspect
from typing import Any

import click

from dataflow_platform.core import registry


def _group(kind: registry.Kind, words: str) -> click.Group:
    group = click.Group(kind.replace("_", "-"), help=f"List the {words}, or show one with its fields.")

    @group.command("list", help=f"List the {words}, each with what it does.")
    def list_() -> None:
        from rich.console import Console
        from rich.table import Table

        table = Table("name", "what it does", box=None, pad_edge=False)
        for name in registry.names(kind):
            table.add_row(name, (inspect.getdoc(_plugin(kind, name)) or "").split("\n\n")[0])
        Console().print(table)

    @group.command("show", help="Show what NAME does and the fields it takes.")
    @click.argument("name")
    def show(name: str) -> None:
        from rich.console import Console
        from rich.markdown import Markdown

        from dataflow_platform.cli.reference import model_section

        plugin = _plugin(kind, name)
        parts = [f"# {name}\n", inspect.getdoc(plugin) or "", model_section(plugin, 2)]
        Console().print(Markdown("\n\n".join(parts)))

    return group


def _plugin(kind: registry.Kind, name: str) -> type[Any]:
    find: dict[str, Any] = {
        "transformations": registry.transformation,
        "checks": registry.check,
        "load_strategies": registry.load_strategy,
    }
    found: type[Any] = find[kind](name)
    return found


transformations = _group("transformations", "steps of a stream")
checks = _group("checks", "checks")
load_strategies = _group("load_strategies", "load strategies")
