"""``dataflow connectors verify`` and ``draft``: connectors and the vendors' own descriptions of their APIs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataflow_platform.core import registry
from dataflow_platform.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.spec import ConnectorSpec

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPENAPI = click.option(
    "--openapi", "description", type=_FILE, required=True,
    help="The vendor's description: OpenAPI 2 or 3, a Google discovery document or a GraphQL schema; JSON, YAML or "
    "SDL, also as .gz, .bz2 or .xz.",
)  # fmt: skip


def _spec(spec: str) -> "ConnectorSpec":
    from dataflow_platform.connectors.rest.declared import read_spec

    files = registry.connector_files()
    if spec in files:
        return read_spec(files[spec])
    if not Path(spec).is_file():
        fix = did_you_mean(spec, files, "name a connector, or the YAML file of one")
        raise ConfigError("connector.unknown", f"there is no connector and no file '{spec}'", fix=fix)
    return read_spec(Path(spec))


@click.command()
@click.argument("spec")
@_OPENAPI
@click.option("--unsaid", is_flag=True, help="Also name each fact that the description says nothing about.")
@click.pass_context
def verify(context: click.Context, spec: str, description: Path, unsaid: bool) -> None:
    """Hold connector SPEC (a name, or a YAML file) against its vendor's description; no server is asked.

    Exits with 1 where the description contradicts it. What the description does not say is counted, not judged.
    """
    from dataflow_platform.connectors.rest import openapi
    from dataflow_platform.connectors.rest.openapi_check import verify as hold

    report = hold(_spec(spec), openapi.read(description))
    for finding in report.findings:
        click.echo(str(finding), err=True)
    if unsaid:
        for fact in report.unsaid:
            click.echo(f"not in the description: {fact}")
    click.echo(f"{report.held} facts hold, {len(report.findings)} are wrong, {len(report.unsaid)} are not described")
    if report.findings:
        context.exit(1)


@click.command()
@_OPENAPI
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write; printed when absent. Never overwritten."
)
def draft(description: Path, output: Path | None) -> None:
    """Write a draft of a connector: every list that the description has, with keys, cursors and paging by their names.

    The draft holds against the same description. Read it before it is used: what a name means is guessed.
    """
    import yaml

    from dataflow_platform.connectors.rest import openapi
    from dataflow_platform.connectors.rest.openapi_draft import draft as write

    read = openapi.read(description)
    if not isinstance(read, openapi.Description):
        raise ConfigError(
            "openapi.no_lists", "a GraphQL schema does not say which of its queries are lists worth reading",
            where=str(description), fix="write the queries by hand, then run dataflow connectors verify",
        )  # fmt: skip
    text = yaml.safe_dump(write(read, datetime.now(UTC).date()), sort_keys=False, allow_unicode=True, width=120)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            "connector.exists", f"'{output}' is there already", fix="name another file, or remove that one"
        ) from None
    click.echo(f"wrote {output}")
