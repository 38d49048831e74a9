"""`dataflow quality`: what fails, since when, how many rows, whose it is, what hangs on it, and what to do."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dataflow_platform.governance.quality_report import AssetQuality, CheckState, QualityReport


@click.command()
@click.argument("asset", required=False)
@click.option("--all", "every", is_flag=True, help="Every asset, with the checks that hold.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page that needs no server.")
def quality(asset: str | None, every: bool, as_json: bool, html: Path | None) -> None:
    """Tell how the checks of ASSET, or of all assets, came out last: those of pipelines and the tests of dbt.

    Nothing is run: it is read from the warehouses, from what dbt left and from Dagster's records. Without --all, and
    for more than one asset, only checks that fail are listed. Exits with 1 where one of severity error fails, with 2
    where something could not be looked at.
    """
    from dataflow_platform import definitions
    from dataflow_platform.governance.project_lineage import not_parsed
    from dataflow_platform.governance.quality_report import as_data, quality_report

    if asset is not None and every:
        raise click.UsageError("say one of ASSET and --all")
    loaded = definitions.load()
    for sentence in not_parsed(loaded):
        click.echo(sentence, err=True)
    report = quality_report(loaded, asset)
    if html is not None:
        from dataflow_platform.cli.quality_page import page

        html.write_text(page(report), encoding="utf-8")
        click.echo(f"{html}: open it in a browser")
    elif as_json:
        click.echo(json.dumps(as_data(report), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(report, every or asset is not None)))
    if report.counted()["errors"]:
        sys.exit(1)
    if report.unread:
        sys.exit(2)


def _lines(report: "QualityReport", every: bool) -> Iterator[str]:
    for asset in report.assets:
        yield from _of_asset(asset, every)
    yield from (f"could not be looked at: {sentence}" for sentence in report.unread)
    yield ", ".join(f"{word}: {number:,}" for word, number in report.counted().items())


def _of_asset(asset: "AssetQuality", every: bool) -> Iterator[str]:
    failing = [check for check in asset.checks if check.fails]
    shown = asset.checks if every else failing
    if not shown and not every and not asset.waiting:
        return
    told = [f"{len(failing)} of {len(asset.checks)} checks fail" if asset.checks else "no checks"]
    told += [f"{name} {value:.1f}" for name, value in asset.scores.items()]
    if asset.waiting:
        told.append(f"{asset.waiting:,} row{'s' * (asset.waiting != 1)} in quarantine")
    if asset.owners:
        told.append(f"owned by {', '.join(asset.owners)}")
    yield f"{asset.name}: {'; '.join(told)}"
    for check in shown:
        yield from _of_check(check)
    yield ""


def _of_check(check: "CheckState") -> Iterator[str]:
    verdict = check.verdict
    kind = "" if verdict.kind == "check" else f"  ({verdict.kind})"
    if not check.fails:
        yield f"  {verdict.outcome:<7} {verdict.name}{kind}"
        return
    word = "broken" if verdict.outcome == "broken" else "FAILS" if check.blocks else "warns"
    yield f"  {word:<7} {verdict.name}{kind}"
    lines = [
        ("", verdict.description),
        ("found", verdict.sentence),
        ("rows", _rows(check)),
        ("since", since(check)),
        ("owner", ", ".join(check.owners)),
        ("affects", "; ".join(_affected(check))),
    ]
    yield from (f"          {label:<8} {text}" for label, text in lines if text)
    for number, step in enumerate(check.to_do):
        yield f"          {'' if number else 'do':<8} {step}"


def _rows(check: "CheckState") -> str:
    verdict = check.verdict
    told = [] if verdict.failing is None else [f"{verdict.failing:,}"]
    if told and verdict.rows:
        told.append(f"of {verdict.rows:,} ({verdict.failing / verdict.rows if verdict.failing else 0:.2%})")
    if check.quarantined:
        told.append(f"; {check.quarantined:,} in quarantine" if told else f"{check.quarantined:,} in quarantine")
    return " ".join(told).replace(" ;", ";")


def since(check: "CheckState") -> str:
    """Since when the check fails, in UTC, and how many loads or runs of it."""
    verdict = check.verdict
    if verdict.since is None:
        return ""
    from datetime import UTC

    times = f"{verdict.times} {'load' if verdict.kind == 'check' else 'run'}{'s' * (verdict.times != 1)}"
    at = f"{verdict.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {times}"
    return at if verdict.known_before else f"{at} (what was before is not known)"


def _affected(check: "CheckState") -> Iterator[str]:
    for key, columns in check.affected.items():
        yield key.replace("/", ".") + (f" ({', '.join(columns)})" if columns else "")
    yield from (f"exposure {name}" for name in check.exposures)
