"""Singer: any tap, run as a program of its own, one stream a load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import duckdb
import orjson
from pydantic import Field, field_validator

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.handing_over import HandedOver, with_secrets
from dataflow_platform.connectors._protocol.kinds import DECLARED, parse_kind
from dataflow_platform.connectors._protocol.program import Call, Program, words_of
from dataflow_platform.connectors._protocol.source import ProgramSource, scan
from dataflow_platform.connectors.singer.catalog import names_in, selecting, streams_of, table_of
from dataflow_platform.connectors.singer.messages import TapRun
from dataflow_platform.core.base import ConnectorFacts, Scan, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.core.paths import resolve


class SingerStream(Spec):
    """One stream of a tap."""

    shorthand: ClassVar[str | None] = "stream"

    stream: str = Field(description="The stream's `tap_stream_id`, as `dataflow connections discover` lists it.")
    replication_method: Literal["FULL_TABLE", "INCREMENTAL", "LOG_BASED"] | None = Field(
        default=None, description="What the tap is told in the catalog; absent: what its own catalog says."
    )
    replication_key: str | None = Field(
        default=None, description="The column the tap keeps its bookmark of, where it can be chosen."
    )
    columns: dict[str, str] = Field(default_factory=dict, description=DECLARED)

    @field_validator("columns")
    @classmethod
    def _known_types(cls, columns: dict[str, str]) -> dict[str, str]:
        return {name: parse_kind(name, kind) for name, kind in columns.items()}


class Singer(ProgramSource):
    """A Singer tap: a program that writes records as JSON lines, installed apart from this one."""

    bridge: ClassVar[str] = "singer"
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Singer tap",
        family="saas",
        evidence="own_stub",
        evidence_note="taps of our own for every fault of the protocol, and tap-rest-api-msdk of PyPI against a "
        "loopback server; any other tap is as good as its makers made it",
        extra="singer",
    )
    StreamOptions: ClassVar[type[Spec]] = SingerStream

    command: str = Field(
        description="The tap's program with its arguments, such as `.taps/bin/tap-github`. Install each tap into an "
        "environment of its own: taps pin what they need. It gets PATH, HOME, locale and proxies of our environment "
        "and nothing else."
    )
    catalog: str | None = Field(
        default=None, description="Path of a catalog file; absent: the tap is asked with `--discover` before each load."
    )
    selection: Literal["catalog", "properties", "none"] = Field(
        default="catalog",
        description="How the tap is told which stream is wanted: `--catalog`, `--properties` as older taps, or not "
        "at all (`none`: it always sends everything; combine with `unselected: skip`).",
    )
    unselected: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="What happens to a record of another stream: the load fails, or it is skipped and counted.",
    )

    def test_connection(self) -> str:
        """Ask the tap what it offers; where it cannot be asked, see that it is there."""
        self.run_prepare()
        call = self.call()
        if self.selection == "none" and self.catalog is None:
            return f"Singer tap {call.name}, not asked"
        return f"Singer tap {call.name}, {len(self._streams())} streams"

    def discover(self) -> list[str]:
        """The ids of the tap's streams; none where the tap cannot be asked."""
        return [table.name for table in self.catalogue()]

    def catalogue(self) -> list[CatalogueTable]:
        """The tap's streams with columns and keys, by `--discover` or the catalog file."""
        self.run_prepare()
        if self.selection == "none" and self.catalog is None:
            words_of("singer", self.command)
            return []
        return [table_of(name, entry) for name, entry in sorted(self._streams().items())]

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The stream's id."""
        return (_options(stream).stream,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The stream's records, read from a run of the tap while DuckDB runs the relation.

        The run begins here, up to the stream's SCHEMA message. It starts from the STATE that was stored with the
        rows of the last load; a partition run starts from none and stores none.
        """
        self.run_prepare()
        options = _options(stream)
        call, catalog, called = self.call(), None, options.stream
        if self.selection != "none":
            whole = self._catalog()
            known = streams_of(whole, call.name)
            if options.stream not in known:
                raise faults.unknown_stream("singer", options.stream, known)
            called = names_in(known[options.stream])
            chosen = {"replication-method": options.replication_method, "replication-key": options.replication_key}
            catalog = selecting(whole, options.stream, {name: value for name, value in chosen.items() if value})

        def start(bookmark: str | None, remembered: Mapping[str, str]) -> TapRun:
            return self._run(call, catalog, bookmark, called)

        return scan("singer", connection, stream, state, options.columns, start)

    def _run(self, call: Call, catalog: Mapping[str, Any] | None, bookmark: str | None, stream: str) -> TapRun:
        handed = HandedOver()
        try:
            arguments = ["--config", handed.secret("config", with_secrets(self.config, self.secrets))]
            if catalog is not None:
                arguments += [f"--{self.selection}", handed.plain("catalog", catalog)]
            if bookmark is not None:
                arguments += ["--state", handed.plain("state", bookmark)]
            return TapRun(Program(call, arguments, handed.descriptors), handed, stream, self.unselected)
        except BaseException:
            handed.close()
            raise

    def _streams(self) -> dict[str, Mapping[str, Any]]:
        return streams_of(self._catalog(), self.call().name)

    def _catalog(self) -> Mapping[str, Any]:
        if self.catalog is not None:
            return _catalog_file(resolve(self.catalog))
        call, handed = self.call(), HandedOver()
        try:
            config = handed.secret("config", with_secrets(self.config, self.secrets))
            program = Program(call, ["--config", config, "--discover"], handed.descriptors)
            try:
                text = b"".join(program)
                program.finish()
            finally:
                program.close()
        finally:
            handed.close()
        return _catalog_of(text, call.name)


def _options(stream: Stream) -> SingerStream:
    if isinstance(stream.options, SingerStream):
        return stream.options
    raise TypeError(f"stream '{stream.name}' has the options of another source: {type(stream.options).__name__}")


def _catalog_file(path: Path) -> Mapping[str, Any]:
    try:
        return _catalog_of(path.read_bytes(), path.name)
    except OSError as error:
        raise ConfigError(
            "singer.catalog", f"the catalog cannot be read: {error.strerror}", where=str(path), fix="correct `catalog`"
        ) from None


def _catalog_of(text: bytes, program: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise DataError(
            "singer.catalog", f"what '{program}' gave is no catalog: it is no JSON object", where="catalog",
            fix="the tap must print the catalog and nothing else; or write a catalog file: catalog: PATH",
        )  # fmt: skip
    return found
