"""REST: any HTTP API, its endpoints written in the pipeline."""

from collections.abc import Mapping
from typing import Any, ClassVar

import duckdb
from pydantic import Field

from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.auth import AnyAuth, NoAuth
from dataflow_platform.connectors.rest.auth_selector import KINDS, as_selector
from dataflow_platform.connectors.rest.base import RestSource
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.rate import Rate
from dataflow_platform.connectors.rest.reading import Plan
from dataflow_platform.connectors.rest.scanning import scan
from dataflow_platform.core.base import ConnectorFacts, Scan, Spec, State, Stream
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.http import RetryPolicy


class Rest(RestSource):
    """A REST API, its endpoints written in the pipeline. A connector of the catalogue is the same in a file."""

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="REST API",
        family="saas",
        evidence="own_stub",
        evidence_note="loopback servers of our own: every kind of paging, auth, throttling and failure",
        extra="rest",
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset(
        f"auth.{name}" for kind in KINDS.values() for name, field in kind.model_fields.items() if field.repr is False
    ) - {"auth.params", "auth.body", "auth.username"}
    StreamOptions: ClassVar[type[Spec]] = Endpoint

    base_url: str = Field(description="Where the API begins, such as `https://api.example.com/v1`; http or https.")
    auth: AnyAuth = Field(
        default=NoAuth(), discriminator="type", description="How the API is told who asks; sent to its own host only."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Further request headers; sent to the API's own host only."
    )
    rate: Rate = Field(default=Rate(), description="How fast the API may be asked.")

    def __init__(self, **values: Any) -> None:
        if "auth" in values:
            values["auth"] = as_selector(values["auth"])
        super().__init__(**values)

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The parts of the endpoint's path."""
        path = _endpoint(stream).path.split("?")[0]
        return tuple(part for part in path.split("/") if part) or (stream.name,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        self.run_prepare()
        endpoint = _endpoint(stream)
        # Some APIs take their key as a parameter like any other.
        access = self.access(RetryPolicy(retries=self.max_retries), endpoint.params)
        return scan(connection, Plan(access, endpoint, state=state), stream.cursor)

    def access(self, retry: RetryPolicy, params: Mapping[str, Any] | None = None) -> Access:
        texts = [*self.headers.values(), *map(str, (params or {}).values())]
        return self.reached(
            retry, base_url=self.base_url, headers=self.headers, auth=self.auth, rate=self.rate,
            # Nothing that long is shown.
            secrets=(*self.auth.secrets(), *(text for text in texts if len(text) >= 8)),
        )  # fmt: skip


def _endpoint(stream: Stream) -> Endpoint:
    if not isinstance(stream.options, Endpoint):
        raise ConfigError(
            "rest.options", f"stream '{stream.name}' carries no REST options", fix="build them with Rest.StreamOptions"
        )
    return stream.options
