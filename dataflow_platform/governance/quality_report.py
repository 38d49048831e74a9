"""The quality of a project's assets: what fails, since when, how many rows, whose it is, what hangs on it, the cure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dataflow_platform.core.errors import ConfigError, DataflowError, did_you_mean
from dataflow_platform.core.paths import project_root
from dataflow_platform.engine.lineage import Origin
from dataflow_platform.governance.column_graph import ColumnGraph
from dataflow_platform.governance.impact import impact_of
from dataflow_platform.governance.project_lineage import dbt_projects, project_lineage
from dataflow_platform.governance.quality_dbt import DbtTest, dbt_tests
from dataflow_platform.governance.quality_verdicts import PipelineVerdicts, Verdict, verdicts_of
from dataflow_platform.pipeline.assets import StreamAsset
from dataflow_platform.pipeline.loader import Loaded


@dataclass(frozen=True)
class CheckState:
    """A check with everything a person wants to know of it.

    ``affected``: the assets made of this one, each with those of its columns that the check's column is used for.
    """

    verdict: Verdict
    owners: tuple[str, ...]
    quarantined: int = 0
    affected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exposures: tuple[str, ...] = ()
    to_do: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """True where the check does not hold, or could not be told."""
        return self.verdict.outcome in ("fail", "broken")

    @property
    def blocks(self) -> bool:
        """True where it fails with severity error."""
        return self.fails and self.verdict.severity == "error"


@dataclass(frozen=True)
class AssetQuality:
    """One asset: its checks, failing ones first, its scores by name, and rows that wait in quarantine."""

    key: str
    kind: str
    owners: tuple[str, ...]
    checks: tuple[CheckState, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    waiting: int = 0

    @property
    def name(self) -> str:
        """The key as people write it."""
        return self.key.replace("/", ".")


@dataclass(frozen=True)
class QualityReport:
    """All assets asked for. ``unread``: what could not be looked at, in words."""

    assets: tuple[AssetQuality, ...]
    unread: tuple[str, ...]

    def counted(self) -> dict[str, int]:
        """How many checks there are by how they came out."""
        states = [check for asset in self.assets for check in asset.checks]
        return {
            "errors": sum(check.blocks for check in states),
            "warnings": sum(check.fails and not check.blocks for check in states),
            "passed": sum(check.verdict.outcome == "pass" for check in states),
            "never run": sum(check.verdict.outcome == "never run" for check in states),
        }


def quality_report(loaded: Loaded, asset: str | None = None) -> QualityReport:
    """The report of all streams and dbt models with checks, or of one ``asset`` (`schema.table`, or its key)."""
    graph = project_lineage(loaded)
    tests: dict[str, list[DbtTest]] = defaultdict(list)
    for test in dbt_tests(dbt_projects(loaded.foreign, project_root())):
        tests[test.asset].append(test)
    streams = {stream.asset.key.to_user_string(): stream.asset for stream in loaded.built.streams}
    keys = [*streams, *(key for key in tests if key not in streams)]
    if asset is not None:
        keys = [_find(asset, keys, graph)]
    pipelines = {streams[key].pipeline.name for key in keys if key in streams}
    known, unread = _read(loaded, pipelines)
    unread += [f"{error.code}: {error.what} ({error.where})" for error in loaded.built.problems]
    found = []
    for key in keys:
        states = [_of_dbt(test, graph) for test in tests.get(key, ())]
        scores: Mapping[str, float] = {}
        waiting = 0
        if key in streams and streams[key].pipeline.name in known:
            stream, verdicts = streams[key], known[streams[key].pipeline.name]
            states += _of_stream(stream, verdicts, graph)
            scores = verdicts.scores.get(stream.spec.name, {})
            waiting = verdicts.waiting.get(stream.spec.name, 0)
        node = graph.assets.get(key)
        kind, owners = (node.kind, node.owners) if node is not None else ("model", ())
        states.sort(key=lambda each: (not each.blocks, not each.fails, each.verdict.name))
        found.append(AssetQuality(key or "(dbt tests of no asset)", kind, owners, tuple(states), scores, waiting))
    return QualityReport(tuple(found), tuple(unread))


def _find(asset: str, keys: Sequence[str], graph: ColumnGraph) -> str:
    wanted = asset.replace(".", "/").lower()
    for key in (*keys, *graph.assets):
        if key.replace(".", "/").lower() == wanted:
            return key
    known = [key.replace("/", ".") for key in keys]
    raise ConfigError(
        "asset.unknown", f"there is no asset '{asset}'", where=asset,
        fix=did_you_mean(asset, known, "write schema.table, such as raw.flights"),
    )  # fmt: skip


def _read(loaded: Loaded, pipelines: set[str]) -> tuple[dict[str, PipelineVerdicts], list[str]]:
    """What is known of each pipeline, and what to tell of those whose destination does not answer."""
    known: dict[str, PipelineVerdicts] = {}
    unread = []
    for name in sorted(pipelines):
        connection, schema, _ = loaded.built.targets[name]
        try:
            connection.destination().run_prepare()
            session = connection.destination().preview()
            try:
                known[name] = verdicts_of(session, schema, name)
            finally:
                session.close()
        except DataflowError as error:
            unread.append(f"pipeline {name}: {error.what}; {error.fix}")
    return known, unread


def _of_stream(stream: StreamAsset, verdicts: PipelineVerdicts, graph: ColumnGraph) -> list[CheckState]:
    """The checks the stream declares now: a rule that was taken away fails no more."""
    name, key = stream.spec.name, stream.key.to_user_string()
    said = verdicts.checks.get(name, {})
    declared = {each: check for check in stream.checks for each in check.names()}
    states = []
    for each in stream.check_names():
        check = declared.get(each)
        absent = Verdict(each, "never run", check.severity if check is not None else "warn")
        verdict = said.get(each, absent)
        if check is None and verdict is absent:
            continue  # key, cursor and contract are judged with the declared checks
        owner = verdict.owner or (check.owner if check is not None else "")
        waiting = verdicts.quarantined.get(name, {}).get(each, 0)
        state = _placed(verdict, key, owner, graph)
        states.append(replace(state, quarantined=waiting, to_do=_to_do(verdict, stream, waiting)))
    return states


def _placed(verdict: Verdict, key: str, owner: str, graph: ColumnGraph) -> CheckState:
    node = graph.assets.get(key)
    owners = (owner,) if owner else node.owners if node is not None else ()
    if verdict.outcome not in ("fail", "broken"):
        return CheckState(verdict, owners)
    columns: Mapping[str, Sequence[str]] = {}
    if verdict.column and node is not None:
        columns = impact_of(graph, Origin(verdict.column, key)).columns
    below = graph.downstream([key])
    # A table that is read from where a stream loaded it is no asset of its own to people.
    made = [each for each, asset in graph.assets.items() if each in below and asset.kind != "source"]
    affected = {each: tuple(columns.get(each, ())) for each in made}
    reached = {key, *below}
    exposures = tuple(each.name for each in graph.exposures if reached.intersection(each.reads))
    return CheckState(verdict, owners, affected=affected, exposures=exposures)


def _of_dbt(test: DbtTest, graph: ColumnGraph) -> CheckState:
    state = _placed(test.verdict, test.asset, test.verdict.owner, graph)
    name = test.verdict.name
    if test.verdict.outcome == "broken":
        return replace(state, to_do=(f"the test itself failed: dbt test --select {name}, in {test.project.name}",))
    steps = (
        f"see the rows: dbt test --select {name} --store-failures, in {test.project.name}",
        f"correct the model, or what it reads; then: dataflow run 'key:\"{test.asset}\"'",
    )
    return replace(state, to_do=steps if state.fails else ())


def _to_do(verdict: Verdict, stream: StreamAsset, waiting: int) -> tuple[str, ...]:
    pipeline, name = stream.pipeline.name, stream.spec.name
    again = f"dataflow run 'key:\"{stream.key.to_user_string()}\"'"
    steps = []
    if verdict.outcome == "broken":
        steps.append(f"the check itself failed: correct it, then: {again}")
    elif verdict.outcome == "fail" and verdict.published is False and verdict.severity == "warn":
        steps.append("the last load was refused by another check: once one is published, these rows go to quarantine")
    elif verdict.outcome == "fail" and verdict.published is False:
        steps.append(
            f"see the rows, where single ones fail: dataflow quarantine show {pipeline} {name} --status refused"
        )
        steps.append(f"nothing of the last load was published: correct the rows at their source, then: {again}")
        steps.append("or let the good rows in: severity: warn sends the bad ones to quarantine, at_most tolerates some")
    elif verdict.outcome == "fail" and not waiting:
        steps.append(f"the last load was published with it: correct the rows at their source, then: {again}")
    if waiting:
        steps += [
            f"see the rows: dataflow quarantine show {pipeline} {name}",
            f"correct them: dataflow quarantine export {pipeline} {name} FILE.csv --rule {verdict.name}, then: "
            f"dataflow quarantine replay {pipeline} {name} --from FILE.csv",
            f"after the rule was corrected: dataflow quarantine replay {pipeline} {name} --rule {verdict.name}",
            f"or give them up: dataflow quarantine discard {pipeline} {name} --rule {verdict.name} --why ...",
        ]
    return tuple(steps)


def as_data(report: QualityReport) -> dict[str, Any]:
    """The report for programs; times are ISO 8601 in UTC."""
    return {
        "checks": report.counted(),
        "unread": list(report.unread),
        "assets": [
            {
                "asset": asset.key,
                "kind": asset.kind,
                "owners": list(asset.owners),
                "scores": dict(asset.scores),
                "quarantined": asset.waiting,
                "checks": [_check_as_data(check) for check in asset.checks],
            }
            for asset in report.assets
        ],
    }


def _check_as_data(check: CheckState) -> dict[str, Any]:
    verdict = check.verdict
    return {
        "name": verdict.name,
        "kind": verdict.kind,
        "column": verdict.column,
        "severity": verdict.severity,
        "outcome": verdict.outcome,
        "failing": verdict.failing,
        "rows": verdict.rows,
        "told": verdict.sentence,
        "description": verdict.description,
        "measured at": verdict.at.isoformat() if verdict.at else None,
        "failing since": verdict.since.isoformat() if verdict.since and check.fails else None,
        "perhaps longer": check.fails and not verdict.known_before,
        "failing loads": verdict.times if check.fails else 0,
        "first failing run": verdict.first_run if check.fails else None,
        "published": verdict.published,
        "quarantined": check.quarantined,
        "owners": list(check.owners),
        "affected": {key: list(columns) for key, columns in check.affected.items()},
        "exposures": list(check.exposures),
        "to do": list(check.to_do),
    }
