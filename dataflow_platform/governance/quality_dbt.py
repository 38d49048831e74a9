"""How the tests of dbt projects came out last: from the files dbt leaves, and from Dagster's records."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from dataflow_platform.core.errors import DataflowError
from dataflow_platform.governance.dbt_lineage import asset_key, read_manifest
from dataflow_platform.governance.dbt_rendering import Manifest, Node
from dataflow_platform.governance.quality_verdicts import Outcome, Verdict

_OUTCOMES: Mapping[str, Outcome] = {
    "pass": "pass",
    "success": "pass",
    "fail": "fail",
    "warn": "fail",
    "error": "broken",
    "runtime error": "broken",
}


@dataclass(frozen=True)
class DbtTest:
    """A test of a dbt project, the asset it looks at, and how it came out."""

    asset: str
    project: Path
    verdict: Verdict


def dbt_tests(projects: Sequence[Path]) -> list[DbtTest]:
    """Every test of the parsed projects. A project that was never parsed has none."""
    found: list[DbtTest] = []
    for project in projects:
        try:
            manifest = read_manifest(project)
        except DataflowError:
            continue
        results = _results(project / "target")
        found += [_test(manifest, node, project, results.get(str(node["unique_id"]), [])) for node in _tests(manifest)]
    return _with_records(found)


def _tests(manifest: Manifest) -> Iterator[Node]:
    for node in manifest.content.get("nodes", {}).values():
        if node["resource_type"] == "test":
            yield node
    yield from manifest.content.get("unit_tests", {}).values()


@dataclass(frozen=True)
class _Result:
    outcome: Outcome
    status: str
    at: datetime
    failures: int | None
    message: str


def _results(target: Path) -> dict[str, list[_Result]]:
    """By unique id, oldest first. dbt keeps its last run in ``target``, Dagster each of its own in a folder below."""
    found: dict[str, list[_Result]] = {}
    for file in (*target.glob("run_results.json"), *target.glob("*/run_results.json")):
        try:
            content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # being written, or none of dbt's
            continue
        for each in content.get("results", ()):
            outcome = _OUTCOMES.get(str(each.get("status")))
            if outcome is None:  # skipped: nothing is known
                continue
            at = _finished(each, content)
            result = _Result(outcome, str(each["status"]), at, each.get("failures"), str(each.get("message") or ""))
            found.setdefault(str(each.get("unique_id")), []).append(result)
    return {name: sorted(results, key=lambda result: result.at) for name, results in found.items()}


def _finished(result: Mapping[str, Any], content: Mapping[str, Any]) -> datetime:
    times = [str(each["completed_at"]) for each in result.get("timing") or () if each.get("completed_at")]
    text = max(times, default=str(content["metadata"]["generated_at"]))
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _test(manifest: Manifest, node: Node, project: Path, results: Sequence[_Result]) -> DbtTest:
    above = [str(each) for each in node.get("depends_on", {}).get("nodes", ())]
    tested = manifest.nodes.get(str(node.get("attached_node") or next(iter(above), "")))
    config = node.get("config") or {}
    meta = config.get("meta") or node.get("meta") or {}
    verdict = Verdict(
        name=str(node["name"]),
        outcome="never run",
        severity=str(config.get("severity") or "error").lower(),
        description=str(node.get("description") or ""),
        column=node.get("column_name"),
        owner=str(meta.get("owner") or ""),
        kind="dbt test",
    )
    key = asset_key(tested) if tested is not None else ""
    return DbtTest(key, project, _came_out(verdict, results) if results else verdict)


def _came_out(verdict: Verdict, results: Sequence[_Result]) -> Verdict:
    last = results[-1]
    passed = [place for place, each in enumerate(results) if each.outcome == "pass"]
    failing = results[passed[-1] + 1 :] if passed else results
    return replace(
        verdict,
        outcome=last.outcome,
        # Thresholds (warn_if, error_if) decide by the number of rows what a failure is.
        severity={"fail": "error", "warn": "warn"}.get(last.status, verdict.severity),
        failing=last.failures if last.outcome != "broken" else None,
        sentence=last.message,
        at=last.at,
        since=failing[0].at if failing else None,
        times=len(failing),
        known_before=bool(passed),
    )


def _with_records(tests: Sequence[DbtTest]) -> list[DbtTest]:
    """The tests with what Dagster recorded, where that is newer: the run may have been on another machine."""
    try:
        with dg.DagsterInstance.get() as instance:
            return [_newer(test, instance) for test in tests]
    except (dg.DagsterError, OSError):
        return list(tests)


def _newer(test: DbtTest, instance: dg.DagsterInstance) -> DbtTest:
    if not test.asset:
        return test
    key = dg.AssetCheckKey(dg.AssetKey(test.asset.split("/")), test.verdict.name)
    record = instance.get_latest_asset_check_evaluation_record(key)
    event = record.event if record is not None else None
    told = event.asset_check_evaluation if event is not None else None
    if record is None or told is None:
        return test
    at = datetime.fromtimestamp(record.create_timestamp, UTC)
    # Dagster records a result a moment after dbt had it: the same one is not taken for a second.
    if test.verdict.at is not None and (at - test.verdict.at).total_seconds() < 60:
        return test
    failed = told.metadata.get("dagster_dbt/failed_row_count")
    rows = failed.value if failed is not None and isinstance(failed.value, int) else None
    verdict = replace(
        test.verdict,
        outcome="pass" if told.passed else "fail",
        severity="warn" if told.severity == dg.AssetCheckSeverity.WARN else "error",
        failing=0 if told.passed else rows,
        sentence=told.description or "",
        at=at,
        since=None if told.passed else at,
        times=0 if told.passed else 1,
        known_before=False,
    )
    return replace(test, verdict=verdict)
