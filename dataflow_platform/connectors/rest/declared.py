"""A connector's YAML file as a source: its variables are the connection's fields, its streams what can be read."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import yaml
from pydantic import Field, ValidationError, create_model, model_validator

from dataflow_platform.connectors.rest import bounds, template
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.base import RestSource, refuse_unfit
from dataflow_platform.connectors.rest.endpoint import Value
from dataflow_platform.connectors.rest.rate import Rate
from dataflow_platform.connectors.rest.reading import Plan, request_of
from dataflow_platform.connectors.rest.request import Request
from dataflow_platform.connectors.rest.scanning import scan
from dataflow_platform.connectors.rest.spec import ConnectorSpec, ConnectorStream, Variable
from dataflow_platform.core.base import ConnectorFacts, Declared, Scan, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import ConfigError, Location, unknown_name
from dataflow_platform.core.http import RetryPolicy

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TYPES: dict[str, Any] = {"text": str, "integer": int, "boolean": bool, "list": list[str]}


class CatalogueStream(Spec):
    """A stream of a connector by its name; the pipeline's stream name where none is given."""

    shorthand: ClassVar[str | None] = "stream"

    stream: str = Field(description="Name of the stream (`dataflow connectors show NAME` lists them).")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="Values of the stream's own variables."
    )
    params: dict[str, Value | list[Value]] = Field(
        default_factory=dict, description="Further query parameters, or others in place of the connector's."
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="Types of columns, beside and before those that the connector declares."
    )
    start: str | None = Field(default=None, description="Where the first load begins, such as 2020-01-01.")
    overflow: str | None = Field(
        default=None, description="JSON column that takes what does not fit, in place of an error."
    )


class DeclaredApi(RestSource):
    """Base of the connectors that are YAML files."""

    StreamOptions: ClassVar[type[Spec]] = CatalogueStream
    spec: ClassVar[ConnectorSpec]
    file: ClassVar[Path]

    base_url: str | None = Field(
        default=None, description="The API's address, where it is another than the vendor's, such as a test server."
    )
    rate: Rate = Field(
        default=Rate(),
        description="How fast the API may be asked, where it is not as fast as the connector's file says.",
    )

    @model_validator(mode="after")
    def _values_fit(self) -> "DeclaredApi":
        for name, variable in self.spec.variables.items():
            refuse_unfit_value(name, variable, getattr(self, name))
        return self

    def values(self) -> dict[str, Any]:
        """The connection's values for names in braces."""
        return {name: getattr(self, name) for name in self.spec.variables}

    def access(self, retry: RetryPolicy, params: Mapping[str, Any] | None = None) -> Access:
        spec, values = self.spec, self.values()
        hidden = [str(values[name]) for name, each in spec.variables.items() if each.secret and values[name]]
        auth = self._auth(values)
        address = self.base_url or template.fill(spec.base_url, values)
        refuse_unfit(address)
        return self.reached(
            retry, base_url=address, headers=template.fill_all(spec.headers, values), auth=auth,
            rate=spec.rate if self.rate == Rate() else self.rate, secrets=(*hidden, *auth.secrets()), rules=spec.errors,
        )  # fmt: skip

    def _auth(self, values: Mapping[str, Any]) -> Any:
        """The first way to log in of which all variables are set; the only one with those that are."""
        ways = self.spec.auths
        lacking: list[str] = []
        for way in ways:
            written = way.model_dump(exclude_unset=True)
            missing = sorted(name for name in set(template.names(written)) if values.get(name) in (None, ""))
            needed = [name for name in missing if len(ways) > 1 or self.spec.variables[name].must_be_set]
            if not needed:
                known = {name: value for name, value in values.items() if value not in (None, "")}
                return type(way)(**template.fill_all(written, known))
            lacking.append(f"{way.type}: {', '.join(needed)}")
        raise ConfigError(
            "rest.auth", f"the connection has no whole way to log in to {self.spec.title}", where="auth",
            fix=f"set what one of them needs ({'; '.join(lacking)})",
        )  # fmt: skip

    def test_request(self, access: Access) -> Request:
        """The path that the file names, else the first page of the first stream that needs nothing else."""
        if self.spec.test_path is not None:
            return Request(access.address(template.fill_path(self.spec.test_path, self.values())))
        values = self.values()
        for stream in self.spec.streams.values():
            unknown = any(values.get(name) is None for name in stream.names())
            if not (stream.parent or stream.job or unknown):
                first = request_of(access, stream, values, bounds.spans(stream, State())[0])
                return stream.paging.first(first)
        return super().test_request(access)

    def discover(self) -> list[str]:
        """The connector's streams."""
        return sorted(self.spec.streams)

    def catalogue(self) -> list[CatalogueTable]:
        """The connector's streams with their keys, for patterns to choose from."""
        streams = sorted(self.spec.streams.items())
        return [CatalogueTable(name, table=name, primary_key=tuple(each.primary_key)) for name, each in streams]

    @classmethod
    def stream_options(cls, name: str, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """The stream of the pipeline's stream name where ``from`` names none."""
        return written if "stream" in written else {"stream": name, **written}

    @classmethod
    def declares(cls, options: Spec) -> Declared:
        """Key and cursor, as the file says."""
        stream = cls._stream_of(options)
        own = (stream.parent and stream.parent.cursor_each) or stream.delta is not None
        cursor = stream.cursor.field if stream.cursor and not own else None
        return Declared(cursor, tuple(stream.primary_key), stream.description)

    @classmethod
    def _stream_of(cls, options: Spec) -> ConnectorStream:
        assert isinstance(options, CatalogueStream)
        if options.stream not in cls.spec.streams:
            raise unknown_name("stream", options.stream, cls.spec.streams, f"dataflow connectors show {cls.file.stem}")
        return cls.spec.streams[options.stream]

    def endpoint(self, options: CatalogueStream) -> ConnectorStream:
        """The stream's endpoint, with what the pipeline says of it."""
        stream = self._stream_of(options)
        cursor = stream.cursor
        if options.start and cursor:
            cursor = cursor.model_copy(update={"start": options.start})
        written = {
            "params": {**stream.params, **options.params},
            "columns": {**stream.columns, **ConnectorStream(columns=options.columns).columns},
            "cursor": cursor,
            "overflow": options.overflow or stream.overflow,
        }
        return stream.model_copy(update=written)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The stream's name in the connector."""
        return (stream.options.stream,) if isinstance(stream.options, CatalogueStream) else (stream.name,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        self.run_prepare()
        return scan(connection, self.plan(stream, state), stream.cursor)

    def plan(self, stream: Stream, state: State) -> Plan:
        """What reading the stream means."""
        options = stream.options
        assert isinstance(options, CatalogueStream)
        endpoint = self.endpoint(options)
        values = {**self.values(), **_stream_values(endpoint, options)}
        missing = sorted(name for name in endpoint.names() if values.get(name) is None)
        required = {**self.spec.variables, **endpoint.variables}
        for name in missing:
            if required[name].must_be_set or f"{{{name}}}" in endpoint.path:
                raise ConfigError(
                    "rest.variable", f"stream '{options.stream}' needs '{name}': {required[name].description}",
                    where="from.with" if name in endpoint.variables else name, fix=f"set {name}",
                )  # fmt: skip
        access = self.access(RetryPolicy(retries=self.max_retries))
        return Plan(access, endpoint, self.spec.streams, values, state)


def _stream_values(endpoint: ConnectorStream, options: CatalogueStream) -> dict[str, Any]:
    for name in options.with_:
        if name not in endpoint.variables:
            raise unknown_name("variable", name, endpoint.variables, "the stream's own variables").at_path("from.with")
    values = {name: options.with_.get(name, variable.default) for name, variable in endpoint.variables.items()}
    for name, variable in endpoint.variables.items():
        refuse_unfit_value(name, variable, values[name])
    return values


def refuse_unfit_value(name: str, variable: Variable, value: Any) -> None:
    """ConfigError where a variable's value is none it may have; the value is not shown."""
    if value is None or isinstance(value, dg.EnvVar):
        return
    texts = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    for text in texts:
        if variable.one_of and text not in variable.one_of:
            raise ConfigError(
                "rest.variable", f"'{name}' is none of its values", where=name, fix=f"use {', '.join(variable.one_of)}"
            )
        if variable.pattern and not re.fullmatch(variable.pattern, text):
            raise ConfigError(
                "rest.variable", f"'{name}' is not written as it should be", where=name,
                fix=f"{variable.description}" + (f", such as {variable.example}" if variable.example else ""),
            )  # fmt: skip
        # A PEM key and a key file have lines; nothing that goes into a header may.
        lines = not text.isprintable() and "-----" not in text and not text.lstrip().startswith("{")
        if lines or (variable.must_be_set and not text.strip()):
            raise ConfigError(
                "rest.variable", f"'{name}' is empty or holds a line break", where=name,
                fix="look at the environment variable it is read from: unset, or with a newline at its end?",
            )  # fmt: skip


def read_spec(file: Path) -> ConnectorSpec:
    """The connector that ``file`` describes; ConfigError with the place of the first thing wrong."""
    try:
        written = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            "connector.yaml", f"the connector's file cannot be read: {getattr(error, 'problem', None) or error}",
            where=Location(str(file), mark.line + 1 if mark else None), fix="correct the YAML",
        ) from None  # fmt: skip
    if not isinstance(written, Mapping):
        raise ConfigError(
            "connector.yaml", "the connector's file is empty", where=Location(str(file)), fix="describe it"
        )
    try:
        return ConnectorSpec.model_validate(written)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(
            "connector.spec", str(first["msg"]), where=Location(str(file), path=".".join(map(str, first["loc"]))),
            fix="docs/rest_connectors.md names every field; dataflow connectors schema completes them in an editor",
        ) from None  # fmt: skip
    except ConfigError as error:
        raise error.at(Location(str(file))) from None


@cache
def _connector(name: str, file: Path, changed: int) -> type[DeclaredApi]:
    spec = read_spec(file)
    fields: dict[str, Any] = {}
    for variable, said in spec.variables.items():
        kind = _TYPES[said.type]
        default = ... if said.must_be_set else said.default
        text = said.description + (f" One of: {', '.join(said.one_of)}." if said.one_of else "")
        if default is None:
            kind = kind | None
        fields[variable] = (kind, Field(default=default, repr=not said.secret, description=text))
    title = "".join(part.capitalize() for part in name.split("_"))
    made: Any = create_model(title, __base__=DeclaredApi, __module__=__name__, **fields)
    made.__doc__ = spec.description or f"{spec.title}, by its REST API."
    made.spec, made.file = spec, file
    made.secret_fields = frozenset(variable for variable, said in spec.variables.items() if said.secret)
    made.facts = ConnectorFacts(
        title=spec.title,
        family=spec.family,
        evidence=spec.source.label,
        evidence_note=f"{spec.source.source}, {spec.source.checked.isoformat()}",
        extra="rest",
        grants=spec.scopes,
    )
    found: type[DeclaredApi] = made
    return found


def connector(name: str, file: Path) -> type[DeclaredApi]:
    """The source class of the connector ``name`` that ``file`` describes; read once, and again when it changes."""
    return _connector(name, file, file.stat().st_mtime_ns)
