"""``dataflow docs``: write the reference pages, or say which are stale."""

from pathlib import Path

import click

from dataflow_platform.core.paths import project_root


def stale(root: Path, pages: dict[Path, str]) -> list[Path]:
    """The files below ``root`` that differ from what the code says now."""
    return [path for path, text in pages.items() if not _same(root / path, text)]


def _same(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and name what is stale or claimed without evidence.")
@click.pass_context
def docs(context: click.Context, check: bool) -> None:
    """Write docs/*.md and docs/pipeline.schema.json from the plug-ins, the pipeline's model and the commands."""
    from dataflow_platform.cli.reference import ours, pages
    from dataflow_platform.core.evidence import overclaims, proofs

    root = project_root()
    found = pages(context.find_root().command)
    changed = stale(root, found)
    if check:
        for claim in (claims := overclaims(ours("connectors"), proofs())):
            click.echo(f"claims more than ran: {claim}", err=True)
        if claims:
            click.echo("run `make evidence`, or lower `evidence` in the connector's facts", err=True)
            context.exit(1)
        for path in changed:
            click.echo(f"stale: {path}", err=True)
        if changed:
            click.echo("run `make docs` and commit the result", err=True)
            context.exit(1)
        click.echo(f"{len(found)} reference files are up to date")
        return
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(found[path], encoding="utf-8")
        click.echo(f"wrote {path}")
    if not changed:
        click.echo("nothing to write")
