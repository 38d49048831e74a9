"""The table at the end of a run: what each asset moved and what its checks said."""

from collections import defaultdict
from typing import Any

import dagster as dg
from rich.console import Console
from rich.table import Table

_COLUMNS = ("rows read", "rows loaded", "rows quarantined")


def show(result: dg.ExecuteInProcessResult) -> None:
    """Print a line for each asset: rows read, loaded, quarantined, checks, seconds."""
    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    table.add_column("asset")
    for name in ("read", "loaded", "quarantined", "rows", "checks", "seconds"):
        table.add_column(name, justify="right")
    checks = _checks(result)
    for key, metadata in _materialized(result).items():
        moved = [_number(metadata.get(name)) for name in _COLUMNS]
        rows = _number(metadata.get("dagster/row_count"))
        seconds = metadata.get("seconds") or metadata.get("Execution Duration")
        took = f"{float(_value(seconds)):.1f}" if seconds is not None else ""
        table.add_row(key, *moved, rows, checks.get(key, ""), took)
    Console(width=max(Console().width, 100)).print(table)


def failures(result: dg.ExecuteInProcessResult) -> None:
    """Print what failed, in the words of the error that caused it."""
    console = Console(stderr=True)
    for event in result.get_step_failure_events():
        failure = event.step_failure_data
        told = failure.user_failure_data.description if failure.user_failure_data else None
        cause = failure.error
        while told is None and cause is not None and cause.cause is not None:
            cause = cause.cause
        console.print(f"\n{event.step_key}", style="bold red", markup=False)
        console.print(told or (cause.message if cause else "failed"), markup=False, highlight=False)


def _materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key is not None:
            found[event.asset_key.to_user_string()] = dict(event.materialization.metadata)
    return found


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    passed: dict[str, int] = defaultdict(int)
    warned: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for evaluation in result.get_asset_check_evaluations():
        key = evaluation.asset_key.to_user_string()
        counts = passed if evaluation.passed else failed if evaluation.severity.value == "ERROR" else warned
        counts[key] += 1
    texts = {}
    for key in {*passed, *warned, *failed}:
        words = [f"{passed[key]} ok", f"{warned[key]} warn", f"{failed[key]} failed"]
        counts_of = (passed[key], warned[key], failed[key])
        texts[key] = ", ".join(word for word, count in zip(words, counts_of, strict=True) if count)
    return texts


def _value(entry: Any) -> Any:
    return getattr(entry, "value", entry)


def _number(entry: Any) -> str:
    value = _value(entry)
    return f"{value:,}" if isinstance(value, int) else ""
