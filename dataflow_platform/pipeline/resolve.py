"""From what a YAML file says to the objects it means; every error carries file, line and fix."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dataflow_platform.core import condition, cursor_range, registry
from dataflow_platform.core.base import (
    Check,
    Connector,
    Declared,
    Destination,
    LoadStrategy,
    Source,
    Stream,
    Transformation,
)  # fmt: skip
from dataflow_platform.core.claim import refuse_contradictions
from dataflow_platform.core.errors import ConfigError, DataflowError, Location, did_you_mean, unknown_name
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.contract.policy import check
from dataflow_platform.pipeline import typed_rule
from dataflow_platform.pipeline.document import Document, Path_, dotted, render
from dataflow_platform.pipeline.spec import STREAM_TAGS, ChildStreamSpec, ConnectionsSpec, PipelineSpec, StreamSpec

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True)
class Connection:
    """A named connection as written: rendered and built only where it is needed, so no secret waits in memory."""

    name: str
    type: str
    fields: Mapping[str, Any]
    document: Document
    path: Path_

    def source(self) -> Source:
        """The source, its variables filled in."""
        return _connector(self, registry.source)

    def destination(self) -> Destination:
        """The destination, its variables filled in."""
        return _connector(self, registry.destination)


C = TypeVar("C", bound=Connector)


def _connector(connection: Connection, find: Callable[[str], type[C]]) -> C:
    document, path = connection.document, connection.path
    try:
        found = find(connection.type)
    except DataflowError as error:
        raise error.at(document.locate(*path, "type")) from None
    _refuse_literal_secrets(found.secret_fields, connection.fields, document, path)
    return model(found, render(document, dict(connection.fields), path), document, path)


def _refuse_literal_secrets(names: Iterable[str], fields: Any, document: Document, path: Path_) -> None:
    for secret in sorted(names):
        value = fields
        for part in secret.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        texts = value.values() if isinstance(value, Mapping) else [value]
        # Invariant 5, no secret printed: a literal secret would end in version control and in every excerpt.
        if any(isinstance(text, str) and "{{" not in text for text in texts):
            raise ConfigError(
                "secret.literal",
                f"'{secret}' holds a secret in clear text",
                where=_without_excerpt(document, *path, *secret.split(".")),
                fix=f'put it in the environment: {secret.rsplit(".")[-1]}: "{{{{ env.NAME }}}}"',
            )


def _without_excerpt(document: Document, *path: str | int) -> Any:
    place = document.locate(*path)
    return type(place)(place.file, place.line, place.path)


def model(kind: type[M], value: Any, document: Document, path: Path_ = ()) -> M:
    """``value`` as a ``kind``; the first thing wrong with it as a ConfigError, never showing the value."""
    try:
        # A Dagster resource has to go through its own constructor.
        return kind(**value) if issubclass(kind, Connector) else kind.model_validate(value)
    except ValidationError as error:
        raise _first(error, kind, document, path) from None
    except DataflowError as error:
        raise error.at(document.locate(*path)) from None


def _first(error: ValidationError, kind: type[BaseModel], document: Document, path: Path_) -> ConfigError:
    problems = error.errors(include_url=False, include_input=False)
    # A misspelt key is also a missing one: what is there and wrong explains more than what is not.
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    typed = tuple(part for part in problem["loc"] if isinstance(part, int) or not part.startswith("function-"))
    inner = tuple(part for part in typed if part not in STREAM_TAGS | condition.TAGS)
    where = document.locate(*path, *inner)
    name = str(inner[-1]) if inner else ""
    if problem["type"] == "extra_forbidden":
        known = _fields(kind, typed[:-1])
        return ConfigError(
            "key.unknown", f"unknown key '{name}'", where=where, fix=did_you_mean(name, known, "see docs/pipeline.md")
        )
    if problem["type"] == "missing":
        return ConfigError(
            "key.missing", f"'{name}' is missing", where=where, fix=f"add it: {name}: ...   (see docs/pipeline.md)"
        )
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _untold(problem["ctx"], dotted(inner), where)
    return ConfigError(
        "value.type",
        f"'{dotted(inner) or 'value'}': {problem['msg'][0].lower()}{problem['msg'][1:]}",
        where=where,
        fix="correct the value; docs/pipeline.md names each field's type",
    )


def _untold(told: Mapping[str, Any], place: str, where: Location) -> ConfigError:
    """A value that may be of several kinds, and does not say of which."""
    key = str(told["discriminator"]).rpartition(" ")[2].strip("'")
    known = [word.strip("' ") for word in str(told.get("expected_tags", "")).split(",") if word]
    if "tag" not in told:
        return ConfigError("key.missing", f"'{place}' does not say `{key}`", where=where, fix=f"add {key}: ...")
    return ConfigError(
        "value.type", f"'{place}': there is no {key}: {told['tag']}", where=where,
        fix=did_you_mean(str(told["tag"]), known, f"use one of: {', '.join(known)}"),
    )  # fmt: skip


def _fields(kind: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that are valid at ``path`` inside ``kind``."""
    root = kind.model_fields.get("root")
    candidates = [kind] if root is None else [kind, *_models(root.annotation)]
    for part in path:
        named = next((each for each in candidates if each.__name__ == part), None)
        if named is not None:  # of several models the one the value was taken for
            kind, candidates = named, [named]
            continue
        inner = next((field for name, field in kind.model_fields.items() if part in (name, field.alias)), None)
        if inner is not None:
            candidates = list(_models(inner.annotation))
            kind = next(iter(candidates), kind)
    return [field.alias or name for name, field in kind.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models a field may hold, however deep in lists and unions."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def connections(document: Document) -> dict[str, Connection]:
    """The connections a Connections document declares."""
    declared = model(ConnectionsSpec, document.value.get("attributes"), document, ("attributes",))
    return {
        name: connection(name, fields, document, ("attributes", "connections", name))
        for name, fields in declared.connections.items()
    }


def connection(name: str, fields: Mapping[str, Any], document: Document, path: Path_) -> Connection:
    """One connection as written; ConfigError where its ``type`` is absent or unknown."""
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise ConfigError(
            "key.missing",
            "'type' is missing",
            where=document.locate(*path),
            fix=f"add the connector's name: type: ...   known: {', '.join(registry.names('connectors'))}",
        )
    if not registry.is_known("connectors", kind):
        raise unknown_name("connector", kind, registry.names("connectors"), "dataflow connectors list").at(
            document.locate(*path, "type")
        )
    return Connection(name, kind, {key: value for key, value in fields.items() if key != "type"}, document, path)


def plugin(kind: registry.Kind, entry: Mapping[str, Any], document: Document, path: Path_) -> Any:
    """The plug-in of a one-key mapping: ``{filter: ...}`` as a Filter."""
    if len(entry) != 1:
        raise ConfigError(
            "step.one_key",
            f"a step has one key, this one has {len(entry)}: {', '.join(map(str, entry)) or 'none'}",
            where=document.locate(*path),
            fix="start each step with its own dash",
        )
    ((name, value),) = entry.items()
    find: Mapping[registry.Kind, Callable[[str], type[Any]]] = {
        "transformations": registry.transformation, "checks": registry.check, "load_strategies": registry.load_strategy,
    }  # fmt: skip
    try:
        found = find[kind](name)
    except DataflowError as error:
        raise error.at(document.locate(*path, name)) from None
    if issubclass(found, Transformation):
        _refuse_literal_secrets(found.secret_fields, value, document, (*path, name))
    return model(found, render(document, value, (*path, name)), document, (*path, name))


def steps(spec: StreamSpec, document: Document, path: Path_) -> list[Transformation]:
    """The stream's transformations, in order."""
    splits = spec.splits if isinstance(spec, ChildStreamSpec) else ()
    return [plugin("transformations", entry, document, path) for entry in splits] + [
        plugin("transformations", entry, document, (*path, "transform", position))
        for position, entry in enumerate(spec.transform)
    ]


def step_at(spec: StreamSpec, document: Document, path: Path_, position: int) -> Location:
    """Where the step of a position stands."""
    splits = len(spec.splits) if isinstance(spec, ChildStreamSpec) else 0
    return document.locate(*path, *(("transform", position - splits) if position >= splits else ()))


def checks(spec: StreamSpec, document: Document, path: Path_) -> list[Check]:
    """The stream's checks, in order."""
    found = []
    for position, entry in enumerate(spec.checks):
        place = (*path, "checks", position)
        if typed_rule.is_typed(entry):
            try:
                entry = typed_rule.as_check(entry)
            except ConfigError as error:
                where = document.locate(*place, str(error.where.path))
                raise ConfigError(error.code, error.what, where=where, fix=error.fix) from None
        found.append(plugin("checks", entry, document, place))
    # What may fail for some rows contradicts nothing.
    claims = [check.claims() if check.tolerance()[0] == 0 else () for check in found]
    refuse_contradictions(claims, lambda position: document.locate(*path, "checks", position))
    return found


def load_strategy(spec: StreamSpec, document: Document, path: Path_) -> tuple[str, LoadStrategy]:
    """The stream's load strategy and its name."""
    entry = {spec.load: {}} if isinstance(spec.load, str) else spec.load
    if isinstance(spec.load, str) and not registry.is_known("load_strategies", spec.load):
        known = registry.names("load_strategies")
        raise unknown_name("load strategy", spec.load, known, "see docs/load_strategies.md").at(
            document.locate(*path, "load")
        )
    strategy: LoadStrategy = plugin("load_strategies", entry, document, (*path, "load"))
    return next(iter(entry)), strategy


def contract(
    spec: StreamSpec, pipeline: PipelineSpec, strategy: tuple[str, LoadStrategy], document: Document, path: Path_
) -> Contract:
    """The stream's schema contract over the pipeline's; ConfigError where it makes no sense with the load strategy."""
    own = spec.contract or Contract()
    merged = own.within(pipeline.contract)
    name, loads = strategy
    try:
        check(merged, loads, name)
    except ConfigError as error:
        setting = str(error.where.path).rpartition(".")[2]
        place = (*path, "contract", setting) if setting in own.model_fields_set else ("attributes", "contract", setting)
        raise ConfigError(error.code, error.what, where=document.locate(*place), fix=error.fix) from None
    return merged


def stream(spec: StreamSpec, source: type[Source], document: Document, path: Path_) -> Stream:
    """The stream, its options typed by the source's connector."""
    options, _ = _declared(spec, source, document, path)
    lookback = _parsed(cursor_range.lookback, spec.lookback, document, (*path, "lookback"))
    upper_bound = _parsed(cursor_range.upper_bound, spec.upper_bound, document, (*path, "upper_bound"))
    return Stream(spec.name, options, spec.cursor, tuple(spec.primary_key), lookback, upper_bound)


def _declared(spec: StreamSpec, source: type[Source], document: Document, path: Path_) -> tuple[Any, Declared]:
    """The stream's options, and what its connector knows of it."""
    written = source.stream_options(spec.name, render(document, spec.from_, (*path, "from")))
    options = model(source.StreamOptions, written, document, (*path, "from"))
    try:
        return options, source.declares(options)
    except DataflowError as error:
        raise error.at(document.locate(*path, "from")) from None


def as_declared(spec: StreamSpec, source: type[Source], document: Document, path: Path_) -> StreamSpec:
    """The stream with the key, cursor and description that its connector knows, where it says nothing of them."""
    _, declared = _declared(spec, source, document, path)
    found: dict[str, Any] = {}
    if declared.cursor and "cursor" not in spec.model_fields_set:
        found["cursor"] = declared.cursor
    if declared.primary_key and not spec.primary_key:
        found["primary_key"] = list(declared.primary_key)
    if declared.description and not spec.description:
        found["description"] = declared.description
    return spec.model_copy(update=found) if found else spec


def _parsed(parse: Callable[[Any], T], written: object, document: Document, path: Path_) -> T | None:
    try:
        return None if written is None else parse(written)
    except ConfigError as error:
        raise error.at(document.locate(*path)) from None
