"""dlt: any of its sources or resources, read in this process, landing by our own line instead of dlt's."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import duckdb
from pydantic import ConfigDict, Field, field_validator

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.handing_over import hidden_texts, with_secrets
from dataflow_platform.connectors._protocol.kinds import DECLARED, parse_kind
from dataflow_platform.connectors._protocol.source import scan
from dataflow_platform.connectors.dlt.run import DltRun
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.extra import require


class DltStream(Spec):
    """One resource of a dlt source."""

    shorthand: ClassVar[str | None] = "resource"

    resource: str = Field(description="The resource's name, as `dataflow connections discover` lists it.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description=f"{DECLARED} The others take theirs from dlt's hints, from earlier loads and from the first 1,000 "
        "records; a field that first comes later is an error.",
    )

    @field_validator("columns")
    @classmethod
    def _known_types(cls, columns: dict[str, str]) -> dict[str, str]:
        return {name: parse_kind(name, kind) for name, kind in columns.items()}


class Dlt(Source):
    """A dlt source: a function of Python decorated with `dlt.source` or `dlt.resource`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="dlt source",
        family="saas",
        evidence="own_stub",
        evidence_note="dlt's own rest_api source against a loopback server, and resources of our own; any other is as "
        "good as its makers made it. Column names stay as the resource gives them: dlt's naming is not applied",
        extra="dlt",
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"secrets"})
    StreamOptions: ClassVar[type[Spec]] = DltStream

    source: str = Field(
        description="Dotted path of the source or resource function: `dlt.sources.rest_api:rest_api_source`. It runs "
        "in this process: only what you trust."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Its arguments by name, but secrets."
    )
    secrets: dict[str, str] = Field(
        default_factory=dict, repr=False,
        description='Arguments that are secret, each from the environment: `api_key: "{{ env.NAME }}"`. A dotted name '
        "goes into an inner object of `arguments`. Shown nowhere, also where an error quotes them.",
    )  # fmt: skip

    def test_connection(self) -> str:
        """Make the source; nothing of it is read."""
        from importlib.metadata import version

        return f"dlt {version('dlt')}, {len(self.discover())} resources"

    def discover(self) -> list[str]:
        """The names of the source's resources."""
        self.run_prepare()
        return sorted(self._made("").resources)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The resource's name."""
        return (_options(stream).resource,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The resource's records, read in a thread of its own while DuckDB runs the relation.

        The reading begins here, up to the first 1,000 records: DuckDB has to know the columns first. It starts from
        the dlt state that was stored with the rows of the last load; a partition run starts from none.
        """
        self.run_prepare()
        name, options = _options(stream).resource, _options(stream)
        known = self._made(name).resources
        if name not in known:
            raise faults.unknown_stream("dlt", name, known)

        def start(bookmark: str | None, remembered: Mapping[str, str]) -> DltRun:
            return DltRun(lambda: self._made(name), name, bookmark, {**remembered, **options.columns}, self._shown)

        return scan("dlt", connection, stream, state, options.columns, start)

    def _made(self, resource: str) -> Any:
        """A dlt source, a resource alone as the source of one; ConfigError where it cannot be made."""
        require("dlt", "dlt", "a dlt source")
        # dlt imports pandas while it reads, DuckDB may at the same time: in two threads one sees half of it.
        import dlt.common.libs.pandas  # noqa: F401
        from dlt.extract import DltResource, DltSource

        found = load_object(self.source)
        arguments = with_secrets(self.arguments, self.secrets)
        try:
            made = found if isinstance(found, DltResource | DltSource) and not arguments else found(**arguments)
        except DataflowError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever the function raises
            text = self._shown(f"{type(error).__name__}: {error}")[:400]
            raise ConfigError(
                "dlt.config", f"'{self.source}' cannot be made: {text}", where="arguments",
                fix="give what it needs under arguments and secrets",
            ) from None  # fmt: skip
        if isinstance(made, DltSource):
            return made
        if isinstance(made, DltResource):
            return _alone(made)
        raise ConfigError(
            "dlt.source", f"'{self.source}' gave a {type(made).__name__}, not a dlt source", where="source",
            fix="name a function decorated with dlt.source or dlt.resource",
        )  # fmt: skip

    @property
    def _shown(self) -> Callable[[str], str]:
        hidden = sorted(hidden_texts(self.arguments, self.secrets), key=len, reverse=True)

        def shown(text: str) -> str:
            for secret in hidden:
                text = text.replace(secret, "***")
            return text

        return shown


def _alone(resource: Any) -> Any:
    """The source of one resource."""
    from dlt.common.schema import Schema
    from dlt.extract import DltSource

    return DltSource(Schema(resource.name), resource.section, [resource])


def _options(stream: Stream) -> DltStream:
    if isinstance(stream.options, DltStream):
        return stream.options
    raise TypeError(f"stream '{stream.name}' has the options of another source: {type(stream.options).__name__}")
