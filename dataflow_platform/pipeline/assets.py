"""One stream of a pipeline as a software-defined asset with its checks."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from dataflow_platform.core import injection
from dataflow_platform.core.base import (
    Check,
    Destination,
    LoadStrategy,
    Source,
    Stream,
    Table,
    Transformation,
    Window,
)  # fmt: skip
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.engine import metadata, quality_history
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.contract.rules import rule_names
from dataflow_platform.engine.failures import as_failure, boundary
from dataflow_platform.engine.load import blocked
from dataflow_platform.engine.planning import CURSOR_RULE, KEY_RULE
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.step_typing import StepAt
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad
from dataflow_platform.governance import openlineage_events
from dataflow_platform.pipeline.spec import ChildStreamSpec, Freshness, Partition, PipelineSpec, StreamSpec

_LOADS = uuid.UUID("6f0f6f0a-52b8-4c0d-9d0c-3a5a0c1c7f11")  # names load ids; never change it
_LONGEST = timedelta(days=31)  # of any partition
_RESUMED, _ROOT = "dagster/is_resume_retry", "dagster/root_run_id"


@dataclass(frozen=True)
class StreamAsset:
    """A stream with everything resolved that is known before data is."""

    pipeline: PipelineSpec
    spec: StreamSpec
    stream: Stream
    table: Table
    origin: dg.AssetKey
    source_key: str
    source_type: str
    io_manager_key: str
    destination_type: str
    pool: str | None
    strategy_name: str
    strategy: LoadStrategy
    steps: Sequence[Transformation]
    step_at: StepAt
    checks: Sequence[Check]
    contract: Contract
    check_at: Callable[[int], Location] = lambda position: Location(path=f"checks[{position}]")
    """Where the check of a position stands."""

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key: schema and table."""
        return dg.AssetKey([self.table.schema, self.table.name])

    def definition(self) -> dg.AssetsDefinition:
        """The asset; materializing it moves what is new, a partition run moves its range."""
        spec, pipeline = self.spec, self.pipeline
        freshness = spec.freshness or pipeline.freshness
        partitions = _partitions(spec.partition) if spec.partition else None

        @dg.asset(
            key=self.key,
            deps=[self.origin, *sorted(self._upstream())],
            description=spec.description or None,
            group_name=pipeline.group or pipeline.name,
            kinds={self.source_type, self.destination_type},
            owners=spec.owners if spec.owners is not None else pipeline.owners,
            tags={**pipeline.tags, **spec.tags},
            metadata={"dagster/relation_identifier": f"{self.table.schema}.{self.table.name}"},
            io_manager_key=self.io_manager_key,
            required_resource_keys={self.source_key, self.io_manager_key},
            check_specs=self._check_specs(),
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
            freshness_policy=_freshness(freshness) if freshness else None,
            pool=self.pool,
        )
        def load_stream(context: dg.AssetExecutionContext) -> Iterator[Any]:
            yield from self._run(context, partitions)

        return load_stream

    def _upstream(self) -> set[dg.AssetKey]:
        """The tables that steps and checks read."""
        readers: list[Transformation | Check] = [*self.steps, *self.checks]
        return {dg.AssetKey(name.split(".")) for reader in readers for name in reader.upstream()}

    def check_names(self) -> list[str]:
        """The names of the asset's checks; ConfigError where two are the same."""
        names = list(self._own_rules())
        for position, check in enumerate(self.checks):
            for name in check.names():
                if name in names:
                    raise ConfigError(
                        "check.duplicate",
                        f"two checks are named '{name}'",
                        where=f"checks[{position}]",
                        fix="give one of them a name of its own: name: ...",
                    )
                names.append(name)
        return names

    def _own_rules(self) -> dict[str, str]:
        """The checks that load strategy, steps and contract bring: name and description."""
        rules = {KEY_RULE: "Every row has its whole primary key."} if self.strategy.needs_primary_key else {}
        if self.strategy.needs_cursor_values and self.stream.cursor:
            rules[CURSOR_RULE] = "Every row has a cursor value: its place in the history."
        for step in self.steps:
            rules |= step.rules()
        return rules | rule_names(self.contract)

    def _check_specs(self) -> list[dg.AssetCheckSpec]:
        self.check_names()
        described = [
            (name, check.severity == "error", check.description) for check in self.checks for name in check.names()
        ]
        described[:0] = [(name, False, text) for name, text in self._own_rules().items()]
        return [
            dg.AssetCheckSpec(name, asset=self.key, blocking=blocking, description=text or None)
            for name, blocking, text in described
        ]

    def _run(self, context: dg.AssetExecutionContext, partitions: dg.PartitionsDefinition | None) -> Iterator[Any]:
        retries = self.pipeline.retries
        with boundary(retries.max, retries.delay_seconds, context.retry_number):
            load = self._load(context)
        events = self._events(context, load)
        with openlineage_events.told(events):
            yield from self._steps(context, load, partitions, events)

    def _steps(
        self,
        context: dg.AssetExecutionContext,
        load: StreamLoad,
        partitions: dg.PartitionsDefinition | None,
        events: openlineage_events.LoadEvents | None,
    ) -> Iterator[Any]:
        retries = self.pipeline.retries
        with boundary(retries.max, retries.delay_seconds, context.retry_number):
            staged = stage(load)
        try:
            if events is not None:
                events.staged(staged)
            touched = _touched(self, staged, partitions)
            refusal = blocked(staged)
            if refusal is not None:
                # Kept, and released, before Dagster hears of it: a blocking result ends this step where it is yielded.
                quality_history.save_refused(staged)
            for outcome in self._results(staged, refusal is not None):
                yield outcome
                injection.reach("check_reported")
            if refusal is not None:
                raise as_failure(refusal) from refusal
            shown = metadata.of_staged(staged, self.origin)
            yield dg.MaterializeResult(value=staged, metadata=shown)
            injection.reach("materialized")
            if staged.record is not None:
                # Dagster's pages show the latest event: each of a partition says what the load's own says.
                shown |= metadata.of_record(staged, staged.record)
            for partition in touched:
                context.log_event(dg.AssetMaterialization(self.key, partition=partition, metadata=shown))
        finally:
            staged.close()

    def _events(self, context: dg.AssetExecutionContext, load: StreamLoad) -> openlineage_events.LoadEvents | None:
        if not openlineage_events.configured():
            return None
        return openlineage_events.LoadEvents(
            load, self.source_key, context.retry_number, context.job_name, context.log.warning
        )

    def _load(self, context: dg.AssetExecutionContext) -> StreamLoad:
        window, label = None, None
        if self.spec.partition and (context.has_partition_key or context.has_partition_key_range):
            span = context.partition_time_window
            window = Window(self.spec.partition.by, span.start, span.end)
            keys = context.partition_key_range
            label = keys.start if keys.start == keys.end else f"{keys.start}...{keys.end}"
        # A resumed run continues the loads of the run it resumes: what that one committed is not moved again.
        tags = context.run.tags
        run = tags.get(_ROOT, context.run.run_id) if tags.get(_RESUMED) == "true" else context.run.run_id
        base = self.as_load(
            getattr(context.resources, self.source_key), getattr(context.resources, self.io_manager_key).destination
        )
        return replace(
            base,
            load_id=str(uuid.uuid5(_LOADS, f"{run}/{self.key.to_user_string()}/{label or ''}")),
            run_id=context.run.run_id,
            partition_key=label,
            window=window,
        )

    def as_load(self, source: Source, destination: Destination) -> StreamLoad:
        """The stream as the engine takes it, outside of a run and without a load id."""
        return StreamLoad(
            pipeline=self.pipeline.name,
            stream=self.stream,
            source=source,
            destination=destination,
            target=self.table,
            strategy=self.strategy,
            strategy_name=self.strategy_name,
            load_id="",
            steps=self.steps,
            conceals=isinstance(self.spec, ChildStreamSpec) and self.spec.conceals,
            step_at=self.step_at,
            checks=self.checks,
            contract=self.contract,
            reconcile=self.spec.reconcile or self.pipeline.reconcile,
        )

    def _results(self, staged: StagedLoad, refused: bool) -> Iterator[dg.AssetCheckResult]:
        if staged.already is not None:
            checks = [record for record in json.loads(staged.already.checks) if record.get("asset_check", True)]
            for record in checks:
                yield _result(record["name"], record["passed"], record["severity"], {"verdict": record["sentence"]})
            return
        for verdict in staged.verdicts:
            shown = metadata.of_verdict(staged, verdict, refused)
            yield _result(verdict.rule.name, verdict.passed, verdict.rule.severity, shown)


def _result(name: str, passed: bool, severity: str, shown: dict[str, Any]) -> dg.AssetCheckResult:
    level = dg.AssetCheckSeverity.ERROR if severity == "error" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=level, metadata=shown)


def _touched(asset: StreamAsset, staged: StagedLoad, partitions: dg.PartitionsDefinition | None) -> list[str]:
    """The partitions an incremental run of a partitioned asset moved rows of: Dagster shows them as filled."""
    if asset.spec.partition is None or staged.load.window is not None or staged.already is not None:
        return []
    span = staged.span_of(asset.spec.partition.by)
    if span is None or not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return []
    zone = ZoneInfo(asset.spec.partition.timezone)
    first, last = (_moment(edge, zone) for edge in span)
    if first is None or last is None:
        return []
    # Dagster lists partitions that start inside a window; the first one we touched started before.
    window = dg.TimeWindow(first - _LONGEST, last + timedelta(microseconds=1))
    near = partitions.get_partition_keys_in_time_window(window)
    return [key for key in near if partitions.time_window_for_partition_key(key).end > first]


def _moment(value: object, zone: ZoneInfo) -> datetime | None:
    """A date or time of the partition's column as a moment; without a zone it is wall time of ``zone``."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    return datetime.combine(value, time(), tzinfo=zone) if isinstance(value, date) else None


def _freshness(spec: Freshness) -> dg.FreshnessPolicy:
    warn = timedelta(hours=spec.warn_hours) if spec.warn_hours else None
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=spec.fail_hours), warn_window=warn)


def _partitions(spec: Partition) -> dg.TimeWindowPartitionsDefinition:
    kinds: dict[str, Callable[..., dg.TimeWindowPartitionsDefinition]] = {
        "hour": dg.HourlyPartitionsDefinition,
        "day": dg.DailyPartitionsDefinition,
        "week": dg.WeeklyPartitionsDefinition,
        "month": dg.MonthlyPartitionsDefinition,
    }
    midnight = "-00:00" if spec.every == "hour" else ""  # hourly keys carry the time of day
    return kinds[spec.every](
        start_date=spec.start.isoformat() + midnight,
        end_date=spec.end.isoformat() + midnight if spec.end else None,
        timezone=spec.timezone,
        end_offset=spec.end_offset,
    )
