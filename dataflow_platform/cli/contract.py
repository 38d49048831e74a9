"""`dataflow contract`: contracts drafted from the data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dataflow_platform.engine.stream_load import StreamLoad
    from dataflow_platform.pipeline.loader import Loaded

_LIMIT = 10_000_000


@click.group()
def contract() -> None:
    """Draft a contract from a stream's rows."""


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
