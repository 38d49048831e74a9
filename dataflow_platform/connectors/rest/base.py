"""What every connection to an API has, whether its endpoints are written in the pipeline or in a file."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
from pydantic import ConfigDict, Field, field_validator

from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.asking import RestKeyedClient
from dataflow_platform.connectors.rest.client import Client, SkippedError, place
from dataflow_platform.connectors.rest.error_rules import ErrorRule
from dataflow_platform.connectors.rest.rate import Rate
from dataflow_platform.connectors.rest.request import Request
from dataflow_platform.core.base import Source
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.http import RetryPolicy


class RestSource(Source):
    """Base of the sources that are APIs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    timeout_seconds: float = Field(default=30, gt=0, description="Longest time one request may take as a whole.")
    max_retries: int = Field(default=5, ge=0, description="Further tries of one request that failed for a while.")
    page_limit: int = Field(default=100_000, gt=0, description="Guard: more pages of one list are an error.")
    allow_hosts: list[str] = Field(
        default_factory=list,
        description="Addresses and networks that may be asked although they are private or on this machine, such as "
        "`10.0.0.0/8`; the one written as `base_url` may be. Every redirect and every resolved name is held to it.",
    )

    @field_validator("base_url", mode="before", check_fields=False)
    @classmethod
    def _plain_http(cls, url: object) -> object:
        if isinstance(url, dg.EnvVar) or not isinstance(url, str):
            return url  # of a variable only the name is known yet: looked at again once it is resolved
        refuse_unfit(url)
        return url

    @abstractmethod
    def access(self, retry: RetryPolicy, params: Mapping[str, Any] | None = None) -> Access:
        """How the API is reached; ``params`` of a stream are secrets where they are long."""

    def reached(
        self, retry: RetryPolicy, *, base_url: str, headers: Mapping[str, str], auth: Any, rate: Rate,
        secrets: tuple[str, ...], rules: Sequence[ErrorRule] = (),
    ) -> Access:  # fmt: skip
        """The access to an API with what all connections set."""
        return Access(
            base_url=base_url,
            headers=dict(headers),
            auth=auth,
            secrets=secrets,
            timeout_seconds=self.timeout_seconds,
            rate=rate,
            page_limit=self.page_limit,
            retry=retry,
            rules=tuple(rules),
            allow_hosts=tuple(self.allow_hosts),
        )

    def test_connection(self) -> str:
        """Ask once; any answer but a refusal of the credentials or a failure will do."""
        self.run_prepare()
        access = self.access(RetryPolicy(retries=0))
        request = self.test_request(access)
        try:
            status = asyncio.run(_ask_once(access, request, place(request.url, 1, request.method)))
        except ConfigError as error:
            if error.code not in ("rest.not_found", "rest.rejected"):  # few APIs have anything at their root
                raise
            status = 404
        return f"{self.facts.title} at {access.base_url}" + (f", answered {status}" if status < 400 else ", reached")

    def test_request(self, access: Access) -> Request:
        """What a test of the connection asks for: the API's own address."""
        return Request(access.base_url)

    def discover(self) -> list[str]:
        """Nothing: an API does not list its endpoints."""
        return []

    def keyed_client(self) -> RestKeyedClient:
        """A client that asks for single things by GET."""
        self.run_prepare()
        return RestKeyedClient(self.access(RetryPolicy(retries=self.max_retries)))


async def _ask_once(access: Access, request: Request, where: str) -> int:
    client = Client(access)
    try:
        return (await client.get(request, where)).status
    except SkippedError:
        return 200
    finally:
        await client.close()


def refuse_unfit(url: str) -> None:
    """ConfigError where ``url`` is no address an API can have."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for a port that is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            "rest.base_url",
            "base_url is no http or https address",
            where="base_url",
            fix="write it as https://host/path",
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "rest.base_url",
            "base_url holds credentials, a query or a fragment",
            where="base_url",
            fix="put credentials under auth and query parameters under the stream's params",
        )
