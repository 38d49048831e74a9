"""Airbyte: a declarative manifest run by airbyte-cdk, or any other of its sources, as a program of its own."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import duckdb
import orjson
from pydantic import Field, field_validator

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.handing_over import HandedOver, with_secrets
from dataflow_platform.connectors._protocol.kinds import DECLARED, kind_of, parse_kind
from dataflow_platform.connectors._protocol.program import Call, Program
from dataflow_platform.connectors._protocol.source import ProgramSource, scan
from dataflow_platform.connectors.airbyte.messages import AirbyteRun, Messages
from dataflow_platform.core.base import ConnectorFacts, Scan, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.core.paths import resolve


class AirbyteStream(Spec):
    """One stream of an Airbyte source."""

    shorthand: ClassVar[str | None] = "stream"

    stream: str = Field(description="The stream's name, as `dataflow connections discover` lists it.")
    sync_mode: Literal["full_refresh", "incremental"] | None = Field(
        default=None, description="Absent: incremental where the source offers it."
    )
    cursor_field: str | None = Field(
        default=None, description="The column the source keeps its state of, where it can be chosen."
    )
    columns: dict[str, str] = Field(default_factory=dict, description=DECLARED)

    @field_validator("columns")
    @classmethod
    def _known_types(cls, columns: dict[str, str]) -> dict[str, str]:
        return {name: parse_kind(name, kind) for name, kind in columns.items()}


class Airbyte(ProgramSource):
    """An Airbyte source: a declarative manifest run by airbyte-cdk, or a connector of Python installed apart."""

    bridge: ClassVar[str] = "airbyte"
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Airbyte source",
        family="saas",
        evidence="own_stub",
        evidence_note="a manifest of our own run by airbyte-cdk of PyPI against a loopback server, and a program of "
        "ours for faults of the protocol; any other connector is as good as its makers made it",
        extra="airbyte",
    )
    StreamOptions: ClassVar[type[Spec]] = AirbyteStream

    command: str = Field(
        description="The program with its arguments: `.bridges/cdk/bin/source-declarative-manifest` of airbyte-cdk, "
        "or a connector's own. Install it into an environment of its own. It gets PATH, HOME, locale and proxies of "
        "our environment and nothing else."
    )
    manifest: str | None = Field(
        default=None, description="Path of the manifest YAML, where the program is `source-declarative-manifest`."
    )
    catalog: str | None = Field(
        default=None, description="Path of a file with what `discover` prints; absent: it is asked before each load."
    )

    def test_connection(self) -> str:
        """Let the source check its settings, as its makers defined that."""
        self.run_prepare()
        for message in self._asked("check"):
            if message.get("type") == "CONNECTION_STATUS":
                status = message.get("connectionStatus") or {}
                if status.get("status") == "SUCCEEDED":
                    return f"Airbyte source {self.call().name}, checked"
                text = str(status.get("message") or "no reason told")
                for secret in self.call().hidden:
                    text = text.replace(secret, "***")
                raise ConfigError(
                    "airbyte.check", f"the check failed: {text[:400]}", where="config",
                    fix="correct config and secrets as the connector's documentation says",
                )  # fmt: skip
        raise DataError(
            "airbyte.check", "the check gave no CONNECTION_STATUS", where="command",
            fix="check that `command` is an Airbyte source",
        )  # fmt: skip

    def discover(self) -> list[str]:
        """The names of the source's streams."""
        return [table.name for table in self.catalogue()]

    def catalogue(self) -> list[CatalogueTable]:
        """The source's streams with columns and keys, by `discover` or the catalog file."""
        self.run_prepare()
        return [_table(name, entry) for name, entry in sorted(self._streams().items())]

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The stream's name."""
        return (_options(stream).stream,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The stream's records, read from a run of the program while DuckDB runs the relation.

        It starts from the state that was stored with the rows of the last load; a partition run starts from none.
        """
        self.run_prepare()
        options, call = _options(stream), self.call()
        offered = self._streams()
        if options.stream not in offered:
            raise faults.unknown_stream("airbyte", options.stream, offered)
        entry = offered[options.stream]
        configured = _configured(entry, options)
        schema = entry.get("json_schema") or {}

        def start(bookmark: str | None, remembered: Mapping[str, str]) -> AirbyteRun:
            handed = HandedOver()
            try:
                further = ["--catalog", handed.plain("catalog", {"streams": [configured]})]
                if bookmark is not None:
                    further += ["--state", handed.plain("state", bookmark)]
                return AirbyteRun(self._program(call, "read", handed, further), handed, options.stream, schema)
            except BaseException:
                handed.close()
                raise

        return scan("airbyte", connection, stream, state, options.columns, start)

    def _program(self, call: Call, verb: str, handed: HandedOver, further: list[str]) -> Program:
        arguments = [verb, "--config", handed.secret("config", with_secrets(self.config, self.secrets))]
        if self.manifest is not None:
            path = resolve(self.manifest)
            if not path.is_file():
                raise ConfigError(
                    "airbyte.manifest", "there is no such manifest", where=str(path), fix="correct `manifest`"
                )
            arguments += ["--manifest-path", str(path)]
        return Program(call, [*arguments, *further], handed.descriptors)

    def _asked(self, verb: str) -> list[Mapping[str, Any]]:
        """The messages of a short question."""
        handed = HandedOver()
        try:
            program = self._program(self.call(), verb, handed, [])
            try:
                return list(Messages(program))
            finally:
                program.close()
        finally:
            handed.close()

    def _streams(self) -> dict[str, Mapping[str, Any]]:
        messages = self._asked("discover") if self.catalog is None else _told(resolve(self.catalog))
        for message in messages:
            listed = (message.get("catalog") or {}).get("streams")
            if message.get("type") == "CATALOG" and isinstance(listed, list):
                return {str(each.get("name")): each for each in listed if isinstance(each, Mapping)}
        raise DataError(
            "airbyte.catalog", "discovery gave no CATALOG", where="catalog",
            fix="check that `command` is an Airbyte source, or write a catalog file: catalog: PATH",
        )  # fmt: skip


def _told(path: Any) -> list[Mapping[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
        return [orjson.loads(line) for line in lines if line.strip()]
    except OSError as error:
        raise ConfigError(
            "airbyte.catalog", f"the catalog cannot be read: {error.strerror}", where=str(path), fix="correct `catalog`"
        ) from None
    except orjson.JSONDecodeError:
        raise ConfigError(
            "airbyte.catalog", "the catalog is no JSON", where=str(path), fix="keep what `discover` prints in it"
        ) from None


def _configured(entry: Mapping[str, Any], options: AirbyteStream) -> dict[str, Any]:
    """The stream as a configured catalog has it."""
    modes = entry.get("supported_sync_modes") or ["full_refresh"]
    mode = options.sync_mode or ("incremental" if "incremental" in modes else "full_refresh")
    if mode not in modes:
        raise ConfigError(
            "airbyte.sync_mode", f"stream '{options.stream}' cannot be read as {mode}", where="sync_mode",
            fix=f"use one of: {', '.join(modes)}",
        )  # fmt: skip
    told: dict[str, Any] = {"stream": entry, "sync_mode": mode, "destination_sync_mode": "append"}
    return told if options.cursor_field is None else {**told, "cursor_field": [options.cursor_field]}


def _table(name: str, entry: Mapping[str, Any]) -> CatalogueTable:
    schema = entry.get("json_schema") or {}
    columns = tuple(
        CatalogueColumn(column, kind_of(of, schema)) for column, of in (schema.get("properties") or {}).items()
    )
    key = tuple(".".join(path) for path in entry.get("source_defined_primary_key") or ())
    return CatalogueTable(name, None, name, columns=columns, primary_key=key)


def _options(stream: Stream) -> AirbyteStream:
    if isinstance(stream.options, AirbyteStream):
        return stream.options
    raise TypeError(f"stream '{stream.name}' has the options of another source: {type(stream.options).__name__}")
