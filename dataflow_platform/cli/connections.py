"""`dataflow connections`: the declared connections, whether they work, and what can be read from them."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import click

from dataflow_platform.core.base import Connector, Source, State, Stream
from dataflow_platform.core.errors import ConfigError, DataflowError, unknown_name
from dataflow_platform.core.reach import SERVERS, STEPS

if TYPE_CHECKING:
    from dataflow_platform.core.catalogue import CatalogueTable
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
    for name, connection in sorted(declared_connections().items()):
        file = connection.document.file
        shown = file.relative_to(project_root()) if file.is_relative_to(project_root()) else file
        table.add_row(name, connection.type, ", ".join(registry.roles(connection.type)), str(shown))
    Console().print(table)


@connections.command("test")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--table", help="Also read one row of this table, as streams do: permission and query are tried as well.")
def test(names: tuple[str, ...], table: str | None) -> None:
    """Connect to each NAME (all declared ones without any) and say to what.

    Where one fails, the step is named (SSH tunnel, DNS, TCP, TLS, login, permission, query), with what to do; exits
    with 1 then.
    """
    declared = declared_connections()
    exit_after_testing(names or sorted(declared), declared, table)


def exit_after_testing(names: Iterable[str], declared: "dict[str, Connection]", table: str | None) -> NoReturn:
    """Test the connections ``names`` in each of their roles and print the outcome; exit with 1 where one failed."""
    failed = 0
    for name in names:
        for role, connector in _connectors(_named(name, declared)):
            try:
                connector.run_prepare()
                # Read once more: what was started may have moved, and said so in the environment.
                connector = dict(_connectors(declared[name]))[role]
                click.echo(f"ok      {name} as {role}: {connector.test_connection()}")
                if table and isinstance(connector, Source):
                    click.echo(f"ok      {name}: {_read_one_row(connector, table)}")
            except DataflowError as error:
                failed += 1
                click.echo(f"failed  {name} as {role}{_step(error)}:\n{error}", err=True)
    sys.exit(1 if failed else 0)


def _step(error: DataflowError) -> str:
    """The step of connecting that an error's code stands for, in words; '' for what is no server."""
    area, _, problem = error.code.partition(".")
    if area not in (*SERVERS, "ssh"):
        return ""
    return f", {STEPS['ssh'] if area == 'ssh' else STEPS.get(problem, 'query')} failed"


def _read_one_row(source: Source, table: str) -> str:
    """Open the table as a stream does, and read at most one row."""
    import duckdb

    if "table" not in source.StreamOptions.model_fields:
        raise ConfigError("connection.no_tables", "this source has no tables", where="--table", fix="leave it out")
    stream = Stream(table, source.StreamOptions.model_validate({"table": table}))
    with duckdb.connect() as engine:
        scan = source.scan(engine, stream, State())
        try:
            rows = scan.relation.limit(1).fetchall()
        except duckdb.Error as error:
            if scan.rows_read is not None:
                scan.rows_read()  # raises what the source itself met
            raise source.explain(error) or error from None
        finally:
            scan.close()
    return f"read {table}: {len(scan.relation.columns)} columns, {'at least one row' if rows else 'no row'}"


@connections.command("discover")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print everything the catalogue tells, columns too, as JSON.")
@click.option("--save", is_flag=True, help="Keep the list: what patterns of streams (`include`) choose among.")
@click.option("--to-commit", is_flag=True, help="Keep it beside the YAML file that declares NAME, for the repository.")
def discover(name: str, as_json: bool, save: bool, to_commit: bool) -> None:
    """Print what can be read from connection NAME: tables with kind, key, columns and the rows the server guesses.

    No row is read and none is counted. A source that only knows names prints them, one a line.
    """
    from dataflow_platform.cli.progress import bars
    from dataflow_platform.core.progress import Progress, report
    from dataflow_platform.pipeline import discovered
    from dataflow_platform.pipeline.document import shown

    connection = _named(name, declared_connections())
    with bars(enabled=sys.stderr.isatty()):
        report(Progress(name, "asking the catalogue"))
        connection.source().run_prepare()
        # Built once more: what was started may have moved, and said so in the environment.
        source = connection.source()
        found = source.catalogue()
        report(Progress(name, f"{len(found)} found", fraction=1.0, done=True))
    if as_json:
        click.echo(json.dumps([asdict(table) for table in found], indent=2, ensure_ascii=False))
    else:
        _print(found)
    if save or to_commit:
        file = discovered.save(connection, source, found, to_commit)
        click.echo(f"saved: {shown(file)}", err=True)


def _print(found: "list[CatalogueTable]") -> None:
    """One line a table; columns are cut to the terminal's width where there is one."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if all(table.kind is None and not table.columns for table in found):
        for each in found:
            click.echo(each.name)
        return
    table = Table("name", "kind", box=None, pad_edge=False)
    table.add_column("rows, about", justify="right")
    table.add_column("key")
    table.add_column("columns", overflow="ellipsis", no_wrap=sys.stdout.isatty())
    for each in found:
        rows = "" if each.estimated_rows is None else f"{each.estimated_rows:,}"
        columns = ", ".join(f"{column.name} {column.type}" for column in each.columns)
        cells = (each.name, (each.kind or "").replace("_", " "), rows, ", ".join(each.primary_key), columns)
        table.add_row(*map(escape, cells))
    # Piped, a line is as long as it is: a program reads it.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def declared_connections() -> "dict[str, Connection]":
    from dataflow_platform import definitions

    return definitions.connections()


def _named(name: str, declared: "dict[str, Connection]") -> "Connection":
    if name not in declared:
        raise unknown_name("connection", name, declared, "dataflow connections list")
    return declared[name]


def _connectors(connection: "Connection") -> list[tuple[str, Connector]]:
    from dataflow_platform.core import registry

    makers = {"source": connection.source, "destination": connection.destination}
    return [(role, makers[role]()) for role in registry.roles(connection.type)]
