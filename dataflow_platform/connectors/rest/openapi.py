"""A vendor's description of its API, read: OpenAPI 2 and 3, a Google discovery document, or a GraphQL schema."""

import bz2
import gzip
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dataflow_platform.connectors.rest.openapi_shape import Shape
from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.openapi_graphql import GraphqlDescription

LIMIT_BYTES = 64 * 1024 * 1024
"""Longer documents are refused: what is read is held in memory as a whole."""

In = Literal["query", "path", "header", "body", "cookie"]
SchemeKind = Literal["bearer", "basic", "digest", "api_key", "oauth2", "other"]


@dataclass(frozen=True)
class Parameter:
    """One parameter an operation declares."""

    name: str
    location: In
    required: bool
    shape: Shape


@dataclass(frozen=True)
class Scheme:
    """One way of proving who asks. ``location`` and ``param`` are those of an API key."""

    name: str
    kind: SchemeKind
    location: str = ""
    param: str = ""
    scopes: frozenset[str] = frozenset()
    token_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    ``answer`` is the body of a good answer, None where the document shows none; ``by_example`` where an example
    alone tells it. ``answer_headers`` are in lower case. ``schemes`` are the ways of proving who asks that
    the operation takes, None where the document does not say.
    """

    method: str
    path: str
    servers: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Shape | None = None
    answer: Shape | None = None
    by_example: bool = False
    schemes: tuple[str, ...] | None = None
    scopes: frozenset[str] = frozenset()
    examples: tuple[Any, ...] = ()
    answer_headers: frozenset[str] = frozenset()
    deprecated: bool = False

    def parameter(self, name: str, *locations: In) -> Parameter | None:
        """The declared parameter ``name`` at one of ``locations``; any where none is given. Headers fold case."""
        for each in self.parameters:
            same = each.name == name or (each.location == "header" and each.name.lower() == name.lower())
            if same and (not locations or each.location in locations):
                return each
        return None

    def names(self, *locations: In) -> list[str]:
        """The names of the parameters at ``locations``, for a suggestion."""
        return [each.name for each in self.parameters if each.location in locations]


class Reader(Protocol):
    """What each format brings: the paths it has, and one operation when it is asked for."""

    title: str
    version: str

    @property
    def schemes(self) -> Mapping[str, Scheme]:
        """The ways of proving who asks, by the document's name for each."""

    def keys(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Method (upper case), path and servers of every operation."""

    def operation(self, method: str, path: str) -> Operation:
        """One operation of `keys`."""


@dataclass(frozen=True)
class Description:
    """A vendor's description of an API of paths. Operations are read when they are asked for."""

    reader: Reader
    name: str = ""
    _known: dict[tuple[str, str], Operation] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The title the document gives itself."""
        return self.reader.title

    @property
    def version(self) -> str:
        """The version the document gives itself."""
        return self.reader.version

    @property
    def schemes(self) -> Mapping[str, Scheme]:
        """The ways of proving who asks, by the document's name for each."""
        return self.reader.schemes

    @cached_property
    def keys(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Method, path and servers of every operation."""
        return tuple(self.reader.keys())

    def operation(self, method: str, path: str) -> Operation:
        """One operation of `keys`; read once."""
        if (method, path) not in self._known:
            self._known[method, path] = self.reader.operation(method, path)
        return self._known[method, path]


def read(file: str | Path) -> "Description | GraphqlDescription":
    """The description in ``file``: JSON, YAML or GraphQL SDL, plain or compressed (.gz, .bz2, .xz).

    ConfigError ``openapi.unreadable`` where it is none, ``openapi.long`` above 64 MB.
    """
    from dataflow_platform.connectors.rest import openapi_graphql

    path = Path(file)
    text = text_of(path)
    if any(suffix in (".graphql", ".gql", ".graphqls", ".sdl") for suffix in path.suffixes):
        return openapi_graphql.of_text(text.decode(), path.name)
    parsed = parse(text, path.name)
    if isinstance(parsed, Mapping) and "__schema" in (parsed.get("data") or parsed):
        return openapi_graphql.of_introspection(parsed, path.name)
    return Description(reader_of(parsed, path.name), path.name)


def text_of(path: Path) -> bytes:
    """The bytes of ``path``, taken out of its compression; ConfigError above 64 MB."""
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    opener = openers.get(path.suffix, lambda each: each.open("rb"))
    try:
        with opener(path) as stream:
            text: bytes = stream.read(LIMIT_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _unreadable(path.name, str(error)) from error
    if len(text) > LIMIT_BYTES:
        raise ConfigError(
            "openapi.long",
            f"'{path.name}' is longer than {LIMIT_BYTES // 1024 // 1024} MB",
            fix="give the vendor's document with references, not the dereferenced one, or only a part of it",
        )
    return text


def parse(text: bytes, name: str) -> Any:
    """JSON or YAML."""
    import orjson
    import yaml

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise _unreadable(name, f"neither JSON nor YAML ({str(error).splitlines()[0]})") from error


def reader_of(document: Any, name: str) -> Reader:
    """The reader of the format ``document`` is in."""
    from dataflow_platform.connectors.rest.openapi_discovery import Discovery
    from dataflow_platform.connectors.rest.openapi_operations import OpenApi

    if isinstance(document, Mapping) and isinstance(document.get("paths"), Mapping):
        return OpenApi(document)
    if isinstance(document, Mapping) and str(document.get("kind", "")).startswith("discovery#"):
        return Discovery(document)
    raise _unreadable(name, "neither `paths` (OpenAPI) nor `kind: discovery#...` (Google) is in it")


def _unreadable(name: str, why: str) -> ConfigError:
    return ConfigError(
        "openapi.unreadable",
        f"'{name}' is no API description: {why}",
        fix="give an OpenAPI 2 or 3 document, a Google discovery document or a GraphQL schema",
    )
