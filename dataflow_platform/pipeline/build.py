"""A pipeline, a job or a set of connections, from its YAML document to Dagster definitions."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from dataflow_platform.automation.schedules import Timetable
from dataflow_platform.automation.sensors import arrival_sensor
from dataflow_platform.core import registry
from dataflow_platform.core.base import Source, Table, Transformation
from dataflow_platform.core.errors import ConfigError, DataflowError, unknown_name
from dataflow_platform.engine import reading_range, step_typing, transform
from dataflow_platform.engine.io_manager import WarehouseIOManager
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.pipeline import patterns, resolve
from dataflow_platform.pipeline.assets import StreamAsset
from dataflow_platform.pipeline.children import with_children
from dataflow_platform.pipeline.document import Document
from dataflow_platform.pipeline.resolve import Connection
from dataflow_platform.pipeline.spec import JobSpec, PipelineSpec, StreamSpec

T = TypeVar("T")
Connections = Mapping[str, Connection]


@dataclass(frozen=True)
class DeclaredStream:
    """A stream and the connections it goes between."""

    asset: StreamAsset
    source: Connection
    target: Connection


@dataclass
class Built:
    """What one document adds to the code location, and what went wrong in it."""

    assets: list[Any] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)
    sensors: list[dg.SensorDefinition] = field(default_factory=list)
    resources: dict[str, Any] = field(default_factory=dict)
    timetable: Timetable = field(default_factory=Timetable)
    targets: dict[str, tuple[Connection, str, list[str]]] = field(default_factory=dict)
    """Pipeline -> its destination, schema and streams."""
    loads: dict[tuple[str, str], Callable[[], StreamLoad]] = field(default_factory=dict)
    """Pipeline and stream -> the stream as the engine takes it."""
    streams: list[DeclaredStream] = field(default_factory=list)
    problems: list[DataflowError] = field(default_factory=list)

    def add(self, other: "Built") -> None:
        """Take over everything of ``other``."""
        self.assets += other.assets
        self.jobs += other.jobs
        self.sensors += other.sensors
        self.resources.update(other.resources)
        self.timetable.add(other.timetable)
        self.targets.update(other.targets)
        self.loads.update(other.loads)
        self.streams += other.streams
        self.problems += other.problems

    def definitions(self) -> dg.Definitions:
        """All of it as Dagster definitions; one schedule for each time of day."""
        return dg.Definitions(
            assets=unique_specs(self.assets),
            jobs=self.jobs,
            sensors=self.sensors,
            schedules=self.timetable.schedules(),
            resources=self.resources,
        )


def unique_specs(assets: Iterable[Any]) -> list[Any]:
    """Assets with the specs of sources that several streams share kept once."""
    kept: list[Any] = []
    seen: set[dg.AssetKey] = set()
    for asset in assets:
        if isinstance(asset, dg.AssetSpec):
            if asset.key in seen:
                continue
            seen.add(asset.key)
        kept.append(asset)
    return kept


def pipeline(document: Document, connections: Connections) -> Built:
    """The assets, checks, schedule and sensors of a Pipeline document.

    A document that does not build becomes failing assets: one mistake never takes the location down.
    """
    try:
        return _pipeline(document, connections)
    except DataflowError as error:
        return broken(document, error)


def _pipeline(document: Document, connections: Connections) -> Built:
    spec = resolve.model(PipelineSpec, document.value.get("attributes"), document, ("attributes",))
    source = _source_connection(spec, document, connections)
    target = _named(spec.destination.connection, connections, document, "destination")
    destination_type = registry.destination(target.type)
    # Both are built once here to find what is wrong with them while somebody looks; runs build their own.
    read_from, load_into = source.source(), target.destination()
    built = Built(resources={source.name: _source_resource(source), _io_key(target): _io_manager(target)})
    # An asset has one pool. That of the destination goes first: a single writer's keeps loads from failing.
    writer = f"{target.type}_{target.name}" if destination_type.facts.single_writer else None
    pool = spec.pool or load_into.pool or writer or read_from.pool
    schema = spec.destination.schema_name or spec.name
    streams = with_children(_as_declared(patterns.streams(spec, document, source), source, document), document)
    built.targets[spec.name] = (target, schema, [stream.name for stream, _ in streams])
    keys = []
    for stream_spec, path in streams:
        make = partial(_stream, spec, stream_spec, document, path, source, read_from, target, schema, pool, connections)
        asset = _at(document, path, make)
        built.assets += [_at(document, path, asset.definition), _origin_spec(asset, source)]
        built.loads[spec.name, stream_spec.name] = partial(_as_load, asset, source, target)
        built.streams.append(DeclaredStream(asset, source, target))
        keys.append(asset.key)

        if spec.sensor:
            built.sensors.append(arrival_sensor(asset.key, asset.stream, source.source, spec.sensor))
    if spec.schedule:
        schedule = spec.schedule
        _at(document, ("attributes", "schedule"), lambda: built.timetable.put(schedule, keys))
    return built


def _as_declared(streams: list[patterns.Placed], source: Connection, document: Document) -> list[patterns.Placed]:
    """The streams with what their connector knows of them; one that is wrong is left for its own asset to tell."""
    kind, found = registry.source(source.type), []
    for stream, path in streams:
        known = stream
        with suppress(DataflowError):
            known = resolve.as_declared(stream, kind, document, path)
        found.append((known, path))
    return found


def _as_load(asset: StreamAsset, source: Connection, target: Connection) -> StreamLoad:
    return asset.as_load(source.source(), target.destination())


def _stream(
    spec: PipelineSpec, stream: StreamSpec, document: Document, path: tuple[str | int, ...],
    source: Connection, read_from: Source, target: Connection, schema: str, pool: str | None, connections: Connections,
) -> StreamAsset:  # fmt: skip
    kind = registry.source(source.type)
    resolved = resolve.stream(stream, kind, document, path)
    strategy_name, strategy = resolve.load_strategy(stream, document, path)
    if strategy.needs_primary_key and not stream.primary_key:
        raise ConfigError(
            "stream.primary_key",
            f"load '{strategy_name}' needs a primary key, stream '{stream.name}' has none",
            where="load",
            fix="declare primary_key: [column, ...] or use load: append",
        )
    try:
        reading_range.refuse_unfit(resolved, strategy, strategy_name)
    except ConfigError as error:
        place = document.locate(*path, str(error.where.path))
        raise ConfigError(error.code, error.what, where=place, fix=error.fix) from None
    step_at = partial(resolve.step_at, stream, document, path)
    steps = _connected(resolve.steps(stream, document, path), connections, step_at)
    transform.refuse_unfit(steps, resolved.cursor, step_at)
    _refuse_own(steps, f"{schema}.{stream.name}", step_at)
    asset = StreamAsset(
        pipeline=spec,
        spec=stream,
        stream=resolved,
        table=Table(schema, stream.name),
        origin=dg.AssetKey([source.name, *map(patterns.key_part, read_from.origin(resolved))]),
        source_key=source.name,
        source_type=source.type,
        io_manager_key=_io_key(target),
        destination_type=target.type,
        pool=pool,
        strategy_name=strategy_name,
        strategy=strategy,
        steps=steps,
        step_at=step_at,
        checks=resolve.checks(stream, document, path),
        contract=resolve.contract(stream, spec, (strategy_name, strategy), document, path),
        check_at=partial(document.locate, *path, "checks"),
    )
    asset.check_names()
    return asset


def _connected(
    steps: Sequence[Transformation], connections: Connections, step_at: step_typing.StepAt
) -> list[Transformation]:
    """The steps with a way to reach the connections they name; ConfigError where one cannot be asked for keys."""
    for position, step in enumerate(steps):
        for name in step.connections():
            try:
                if name not in connections:
                    raise unknown_name(
                        "connection", name, connections, "declare it in a dataflow_platform.Connections file"
                    )
                kind = registry.source(connections[name].type)
                if kind.keyed_client is Source.keyed_client:
                    raise ConfigError(
                        "connector.no_keys", f"{kind.facts.title} cannot be asked for single keys",
                        fix="load the table, and look keys up in it: lookup: {table: schema.name}",
                    )  # fmt: skip
            except DataflowError as error:
                raise error.at(step_at(position)) from None
    # Opened when a load asks the first key: no secret waits in memory.
    return [step.connected(lambda name: connections[name].source().keyed_client()) for step in steps]


def _refuse_own(steps: Sequence[Transformation], table: str, at: step_typing.StepAt) -> None:
    for position, step in enumerate(steps):
        if table in step.upstream():
            raise ConfigError(
                "transform.own_table",
                f"the step reads {table}, the table that its own stream loads",
                where=at(position),
                fix="read another table; what happens to rows that are there already is the load strategy's business",
            )


@contextmanager
def _beta_features() -> Iterator[None]:
    """Ranges in one run and selections by group are beta in Dagster 1.13: users need not hear it each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def _at(document: Document, path: tuple[str | int, ...], make: Callable[[], T]) -> T:
    """What ``make`` returns; its errors placed at ``path``, and Dagster's own told in our words."""
    try:
        with _beta_features():
            return make()
    except DataflowError as error:
        if error.where.line is None:
            raise error.at(document.locate(*path)) from None
        raise
    except (dg.DagsterInvalidDefinitionError, dg.DagsterInvariantViolationError, ValueError) as error:
        raise ConfigError(
            "value.invalid", str(error).splitlines()[0], where=document.locate(*path), fix="correct the value"
        ) from error


def _source_connection(spec: PipelineSpec, document: Document, connections: Connections) -> Connection:
    if isinstance(spec.source, str):
        return _named(spec.source, connections, document, "source")
    return resolve.connection(f"{spec.name}_source", spec.source, document, ("attributes", "source"))


def _named(name: str, connections: Connections, document: Document, key: str) -> Connection:
    if name not in connections:
        raise unknown_name("connection", name, connections, "declare it in a dataflow_platform.Connections file").at(
            document.locate("attributes", key)
        )
    try:
        (registry.source if key == "source" else registry.destination)(connections[name].type)
    except DataflowError as error:
        raise error.at(document.locate("attributes", key)) from None
    return connections[name]


def _io_key(target: Connection) -> str:
    return f"{target.name}_io_manager"


def _source_resource(connection: Connection) -> dg.ResourceDefinition:
    def connect(_: dg.InitResourceContext) -> Iterator[Source]:
        connection.source().run_prepare()
        # Read once more: what was started may have moved (another port), and said so in the environment.
        source = connection.source()
        # Dagster keeps the resource for the run where steps share a process, else for each step.
        with source.consistent():
            yield source

    return dg.ResourceDefinition(resource_fn=connect, description=f"{connection.type} connection '{connection.name}'")


def _io_manager(connection: Connection) -> dg.IOManagerDefinition:
    return dg.IOManagerDefinition(
        resource_fn=lambda _: WarehouseIOManager(destination=connection.destination()),
        description=f"loads into the {connection.type} connection '{connection.name}'",
    )


def _origin_spec(asset: StreamAsset, source: Connection) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset.origin,
        group_name=asset.pipeline.group or asset.pipeline.name,
        kinds={source.type, "source"},
        description=f"What connection '{source.name}' reads for {asset.key.to_user_string()}.",
    )


def job(document: Document) -> Built:
    """The job and schedule of a Job document."""
    try:
        spec = resolve.model(JobSpec, document.value.get("attributes"), document, ("attributes",))
        built = Built()
        selection = _at(document, ("attributes", "select"), lambda: dg.AssetSelection.from_string(spec.select))
        defined = dg.define_asset_job(
            spec.name,
            selection=selection,
            description=spec.description or None,
            tags=spec.tags,
            executor_def=dg.in_process_executor,
        )
        built.jobs.append(defined)
        if spec.schedule:
            schedule = spec.schedule
            _at(document, ("attributes", "schedule"), lambda: built.timetable.put_job(schedule, defined))
        return built
    except DataflowError as error:
        return broken(document, error)


def broken(document: Document | Path, error: DataflowError) -> Built:
    """Failing assets in place of what did not build: same keys where they are known, the error as description."""
    file = document if isinstance(document, Path) else document.file
    keys = _known_keys(document) or [dg.AssetKey(["broken", file.parent.name])]
    group = _known_group(document)
    return Built(assets=[_failing(key, str(error), group) for key in keys], problems=[error])


def _known_keys(document: Document | Path) -> list[dg.AssetKey]:
    attributes = None if isinstance(document, Path) else document.value.get("attributes")
    if not isinstance(attributes, dict) or not isinstance(attributes.get("streams"), list):
        return []
    destination = attributes.get("destination")
    schema = destination.get("schema") if isinstance(destination, dict) else None
    names = [stream.get("name") for stream in attributes["streams"] if isinstance(stream, dict)]
    parts = [
        (str(schema or attributes.get("name") or "broken"), patterns.key_part(str(name))) for name in names if name
    ]
    return [dg.AssetKey(part) for part in dict.fromkeys(parts)]


def _known_group(document: Document | Path) -> str:
    """The group the assets would have had: a job that selects it must fail, not skip what does not build."""
    attributes = None if isinstance(document, Path) else document.value.get("attributes")
    if isinstance(attributes, dict):
        translation = attributes.get("translation")
        nested = translation.get("group_name") if isinstance(translation, dict) else None
        for name in (attributes.get("group"), nested, attributes.get("name")):
            if isinstance(name, str) and name.isidentifier():
                return name
    return "broken"


def _failing(key: dg.AssetKey, text: str, group: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        description=f"This pipeline does not build:\n\n```\n{text}\n```",
        kinds={"broken"},
        group_name=group,
        metadata={"dataflow/error": text},
    )
    def does_not_build() -> None:
        raise dg.Failure(description=text, allow_retries=False)

    return does_not_build
