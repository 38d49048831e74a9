"""`dataflow profile`: what a table holds, column by column, and what moved since it was last looked at."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dataflow_platform.engine.profile import TableProfile
    from dataflow_platform.engine.profile_drift import Drift


@click.command()
@click.argument("asset")
@click.option("--json", "as_json", is_flag=True, help="Profile and drift as JSON.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page that needs no server.")
def profile(asset: str, as_json: bool, html: Path | None) -> None:
    """Profile ASSET, written as `schema.table`: types, missing and distinct values, ranges, quantiles, top values,
    lengths, patterns, histograms.

    Its rows are read once. Of a large table some figures are estimated from a sample; they are marked. The profile is
    kept in `_dataflow_quality`, and what moved since the last one is told. Masked columns are shown as they are stored.
    """
    from dataflow_platform import definitions
    from dataflow_platform.cli.assets import loaded_asset, opened
    from dataflow_platform.core.sql import qualified
    from dataflow_platform.engine import profile as profiling
    from dataflow_platform.engine import profile_history
    from dataflow_platform.engine.profile_drift import drift

    found = loaded_asset(definitions.load(), asset)
    with opened(found) as connection:
        taken = profiling.taken(connection, qualified(found.table.schema, found.table.name))
    place = (found.destination, found.pipeline, found.stream, found.table)
    before = profile_history.last(*place)
    at = profile_history.kept(*place, taken)
    moved = drift(before[0], taken, f"{before[1]:%Y-%m-%d %H:%M}") if before else None
    if html is not None:
        from dataflow_platform.cli.profile_page import page

        html.write_text(page(taken, moved, f"{at:%Y-%m-%d %H:%M} UTC"), encoding="utf-8")
        click.echo(f"{html}: open it in a browser")
    elif as_json:
        click.echo(json.dumps(as_data(taken, moved), indent=2, ensure_ascii=False))
    else:
        _print(taken, moved)


def as_data(taken: "TableProfile", moved: "Drift | None") -> dict[str, Any]:
    """Profile and drift, for JSON."""
    from dataclasses import asdict

    from dataflow_platform.engine.profile_history import as_data as column_data

    return {
        "table": taken.table,
        "rows": taken.rows,
        "sample_rows": taken.sample_rows,
        "estimated": list(taken.estimated),
        "columns": [column_data(column) for column in taken.columns],
        "drift": {**asdict(moved), "words": moved.words()} if moved is not None else None,
    }


def _print(taken: "TableProfile", moved: "Drift | None") -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(markup=False, highlight=False)
    about = "~" if "distinct" in taken.estimated else ""
    grid = Grid("column", "type", "missing", "distinct", "least", "greatest", "top values", box=None)
    for column in taken.columns:
        top = ", ".join(f"{share.text[:20]} {share.share:.0%}" for share in column.top[:3] if share.share >= 0.01)
        missing = f"{column.nulls / taken.rows:.1%}" if column.nulls else "-"
        ends = [(text or "")[:24] for text in (column.least, column.greatest)]
        grid.add_row(column.name, column.type, missing, f"{about}{column.distinct:,}", *ends, top)
    console.print(f"{taken.table}: {taken.rows:,} rows, {len(taken.columns)} columns")
    console.print(grid)
    if taken.estimated:
        told = ", ".join(taken.estimated)
        console.print(f"estimated (from a sample of {taken.sample_rows:,} rows, distinct also from hashes): {told}")
    if moved is not None:
        words = moved.words()
        console.print(f"\nsince {moved.since} UTC: {'nothing moved' if not words else ''}".rstrip())
        for text in words:
            console.print(f"  {text}")
