"""`dataflow contract`: contracts drafted from the data, and exchanged as files of the Open Data Contract Standard."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dataflow_platform.engine.stream_load import StreamLoad
    from dataflow_platform.pipeline.loader import Loaded

_LIMIT = 10_000_000


@click.group()
def contract() -> None:
    """Draft a contract from a stream's rows; read and write data contracts of the Open Data Contract Standard."""


@contract.command()
@click.argument("stream")
@click.option("--format", "as_", type=click.Choice(["pandera", "yaml"]), default="pandera", help="What is written.")
@click.option("--rows", type=click.IntRange(min=1), default=_LIMIT, show_default=True, help="Read no more rows.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file; else printed.")
def infer(stream: str, as_: str, rows: int, out: Path | None) -> None:
    """Draft the contract of STREAM from its source's rows: a Pandera model, or `checks:` for its YAML.

    STREAM is PIPELINE.STREAM, or the table SCHEMA.TABLE that it loads. Its source is read once, from the beginning,
    up to --rows rows, and looked at behind the stream's steps; nothing is loaded. Only what holds for every row read
    is drafted, beside what was seen of the column. A person has to judge which of it is a rule.
    """
    from dataflow_platform import definitions
    from dataflow_platform.governance.column_facts import facts_of
    from dataflow_platform.governance.contract_as_pandera import as_pandera
    from dataflow_platform.governance.contract_as_yaml import as_yaml
    from dataflow_platform.governance.contract_draft import draft

    load = find_load(definitions.load(), stream)
    drafted = draft(facts_of(load, rows))
    text = as_yaml(drafted) if as_ == "yaml" else as_pandera(drafted)
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    read = f"{drafted.facts.rows:,} rows" + ("" if drafted.facts.whole else ", not all there are")
    click.echo(f"{out}: drafted from {read}; read it before use")


@contract.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "as_", type=click.Choice(["yaml", "pandera"]), default="yaml", help="What is written.")
@click.option("--schema", help="Schema of the tables that foreign keys lead to; that of the contract's first server.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file; else printed.")
def import_(file: Path, as_: str, schema: str | None, out: Path | None) -> None:
    """Write the streams of the data contract FILE (*.odcs.yaml, version 3) as YAML of a pipeline, or as Pandera models.

    What a pipeline has no word for (prices, teams, rules of other tools...) is named, and stays in FILE:
    `dataflow contract export --into FILE` changes there what the pipeline declares, and nothing else.
    """
    from dataflow_platform.governance.odcs_as_pandera import as_models
    from dataflow_platform.governance.odcs_as_yaml import as_streams
    from dataflow_platform.governance.odcs_document import read_contract
    from dataflow_platform.governance.odcs_import import import_contract

    described = read_contract(file)
    servers = [each for each in described.get("servers") or [] if each.get("schema")]
    imported = import_contract(described, schema or str(servers[0]["schema"] if servers else "raw"))
    left_out: list[str] = []
    if as_ == "yaml":
        text = as_streams(imported, file.name)
    else:
        text, left_out = as_models(imported, file.name)
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    checks = sum(len(stream.checks) for stream in imported.streams)
    click.echo(f"{out}: {len(imported.streams)} streams, {checks} checks")
    for name in imported.kept:
        click.echo(f"kept in {file.name} only: {name}")
    for name in left_out:
        click.echo(f"in no model, to be written in YAML: {name}")


@contract.command()
@click.argument("stream")
@click.option("--odcs", is_flag=True, required=True, help="As a file of the Open Data Contract Standard 3.1.")
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A data contract: what the pipeline says replaces what it says of the same, the rest of it stays.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file; else printed.")
def export(stream: str, odcs: bool, into: Path | None, out: Path | None) -> None:
    """Write the contract of STREAM (PIPELINE.STREAM), or of all streams of a PIPELINE, as a data contract.

    Columns are asked of the source, rows are not read. A check that the standard has no word for becomes a custom
    rule of this platform, and is named.
    """
    from dataflow_platform import definitions
    from dataflow_platform.governance.odcs_document import read_contract, write_contract
    from dataflow_platform.governance.odcs_export import export_contract
    from dataflow_platform.governance.odcs_streams import declared_streams

    loaded = definitions.load()
    pipeline, schema, streams, unknown = declared_streams(loaded, stream)
    found = export_contract(pipeline, schema, streams, read_contract(into) if into is not None else None)
    text = write_contract(found.contract)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"{out}: {len(streams)} streams")
    for sentence in unknown:
        click.echo(sentence, err=True)
    for name in found.custom:
        click.echo(f"a custom rule, which only this platform runs: {name}", err=True)


def find_load(loaded: "Loaded", name: str) -> "StreamLoad":
    """The stream called ``pipeline.stream``, or by the table ``schema.table`` it loads; ConfigError where none is."""
    from dataflow_platform.core.errors import unknown_name

    wanted = name.replace("/", ".")
    named = {f"{pipeline}.{stream}": make for (pipeline, stream), make in loaded.built.loads.items()}
    for each in loaded.built.streams:
        table, asset = each.asset.table, each.asset
        named.setdefault(f"{table.schema}.{table.name}", loaded.built.loads[asset.pipeline.name, asset.spec.name])
    if wanted not in named:
        raise unknown_name("stream", name, named, "write PIPELINE.STREAM; dataflow check lists them")
    named[wanted]().source.run_prepare()
    # Made once more: what was started may have moved, and said so in the environment.
    return named[wanted]()
