"""REST: any HTTP API that answers lists of JSON objects."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import dagster as dg
import duckdb
from pydantic import ConfigDict, Field, field_validator

from dataflow_platform.connectors.rest import batches
from dataflow_platform.connectors.rest.asking import RestKeyedClient
from dataflow_platform.connectors.rest.auth import Basic, Bearer, HeaderKey, NoAuth, as_selector
from dataflow_platform.connectors.rest.client import Access, Client, Page, Walk, place
from dataflow_platform.connectors.rest.paging import NoPaging, Paging, Request
from dataflow_platform.connectors.rest.stream import PAGE, PageStream, Prefetch
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.http import RetryPolicy

_SAMPLE_ROWS = 1000
_SAMPLE_PAGES = 10


class Rate(dg.Config):
    """How fast the API may be asked."""

    requests_per_second: float | None = Field(
        default=None, gt=0, description="Requests a second at most, retries included; no limit when absent."
    )


class WindowParams(Spec):
    """The query parameters that take a partition's range."""

    start: str = Field(description="Query parameter that takes the range's start, as ISO text.")
    end: str | None = Field(default=None, description="Query parameter that takes the range's end, as ISO text.")


class RestStream(Spec):
    """One endpoint of a REST API."""

    shorthand: ClassVar[str | None] = "path"

    path: str = Field(description="Path below `base_url`, such as `v1/orders`.")
    params: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Query parameters of every request (of the first only, with `next_link`)."
    )
    records: str | None = Field(
        default=None, description="Dotted path of the list in the body, such as `data.items`; absent: the body itself."
    )
    paging: Paging = Field(default=NoPaging(), description="How one page leads to the next.")
    cursor_param: str | None = Field(
        default=None,
        description="Query parameter that takes the text of the greatest cursor loaded so far. The API must "
        "include rows equal to it; rows it sends twice are recognised.",
    )
    window_params: WindowParams | None = Field(
        default=None, description="Query parameters that take a partition's range."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Types of columns: VARCHAR, BOOLEAN, SMALLINT, INTEGER, BIGINT, DOUBLE, DECIMAL(p,s), DATE, "
        "TIMESTAMP, TIMESTAMPTZ, or JSON (the value's JSON text). The other columns take theirs from the first pages.",
    )
    infer: bool = Field(
        default=True,
        description="`false`: `columns` names every column, nothing is read before the load itself runs, and "
        "any other field is an error.",
    )

    @field_validator("columns")
    @classmethod
    def _known_types(cls, columns: dict[str, str]) -> dict[str, str]:
        return {name: batches.parse_kind(name, kind) for name, kind in columns.items()}

    def query(self, state: State) -> dict[str, str]:
        """The query parameters of the first request after ``state``."""
        params = {name: _text(value) for name, value in self.params.items()}
        if state.window:
            if self.window_params:
                params[self.window_params.start] = _iso(state.window.start)
                if self.window_params.end:
                    params[self.window_params.end] = _iso(state.window.end)
        elif self.cursor_param and state.cursor is not None:
            params[self.cursor_param] = state.cursor
        return params


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment.tzinfo else moment.isoformat()


class Rest(Source):
    """A REST API that answers lists of JSON objects."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="REST API",
        family="saas",
        evidence="own_stub",
        evidence_note="loopback servers of our own: every kind of paging, auth, throttling and failure",
        extra="rest",
    )
    secret_fields: ClassVar[frozenset[str]] = frozenset({"auth.token", "auth.key", "auth.password"})
    StreamOptions: ClassVar[type[Spec]] = RestStream

    base_url: str = Field(description="Where the API begins, such as `https://api.example.com/v1`; http or https.")
    auth: NoAuth | Bearer | HeaderKey | Basic = Field(
        default=NoAuth(), discriminator="type", description="How the API is told who asks; sent to its own host only."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Further request headers; sent to the API's own host only."
    )
    timeout_seconds: float = Field(default=30, gt=0, description="Longest time one request may take as a whole.")
    max_retries: int = Field(default=5, ge=0, description="Further tries of one request that failed for a while.")
    page_limit: int = Field(default=100_000, gt=0, description="Guard: more pages of one stream are an error.")
    rate: Rate = Field(default=Rate(), description="How fast the API may be asked.")

    def __init__(self, **values: Any) -> None:
        if "auth" in values:
            values["auth"] = as_selector(values["auth"])
        super().__init__(**values)

    @field_validator("base_url", mode="before")
    @classmethod
    def _plain_http(cls, url: object) -> object:
        if isinstance(url, dg.EnvVar) or not isinstance(url, str):
            return url  # of a variable only the name is known yet: looked at again once it is resolved
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
        return url

    def test_connection(self) -> str:
        """Ask once for ``base_url``; any answer but a refusal of the credentials or a failure will do."""
        self.run_prepare()
        where = place(self.base_url, 1)
        request = Request(self.base_url, {})
        try:
            status = asyncio.run(self._ask_once(request, where))
        except ConfigError as error:
            if error.code not in ("rest.not_found", "rest.rejected"):  # few APIs have anything at their root
                raise
            status = 404
        return f"REST API at {self.base_url}" + (f", answered {status}" if status < 400 else ", reached")

    async def _ask_once(self, request: Request, where: str) -> int:
        client = Client(self._access(RetryPolicy(retries=0)))
        try:
            return (await client.get(request, where)).status
        finally:
            await client.close()

    def discover(self) -> list[str]:
        """Nothing: an API does not list its endpoints."""
        return []

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The parts of the endpoint's path."""
        return tuple(part for part in _options(stream).path.split("?")[0].split("/") if part) or (stream.name,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The endpoint's rows, read page by page while DuckDB runs the relation.

        DuckDB has to know the columns first. Where they are not all declared (``infer``), the first
        pages are read here, up to 1,000 rows or 10 pages; they are kept and not asked for again.
        ``rows_read`` of the scan raises the DataflowError that ended the reading, if one did: DuckDB
        itself hands on no more than its text.
        """
        self.run_prepare()
        options = _options(stream)
        access = self._access(RetryPolicy(retries=self.max_retries), options.params.values())
        first = Request(f"{self.base_url.rstrip('/')}/{options.path.lstrip('/')}", options.query(state))
        # Fractions of a column declared DECIMAL must not pass through a double.
        exact = any(kind.startswith("DECIMAL") for kind in options.columns.values())

        def start() -> Prefetch:
            return Prefetch(Walk(access, first, options.paging, options.records, exact))

        sampled, pages = (None, []) if not options.infer else _sample(start())
        try:
            rows = [row for page in pages for row in page.rows]
            fields = batches.settle(
                rows, options.columns, dict(state.position.get("columns", {})), options.infer, place(first.url, 1)
            )
        except DataflowError:
            if sampled:
                sampled.close()
            raise
        rows_of = PageStream(start, options.records, fields, sampled, pages)
        located = connection.from_arrow(rows_of)
        return Scan(
            relation=located.select(*(duckdb.ColumnExpression(field.name) for field in fields)),
            located=located,
            places={PAGE: "page"},
            # Remembered, so that a run without rows has columns and a type does not change from run to run.
            position={"columns": {field.name: field.kind for field in fields if not field.declared}},
            rows_read=rows_of.rows_read,
            bytes_read=lambda: rows_of.bytes,
            close=rows_of.close,
        )

    def keyed_client(self) -> RestKeyedClient:
        """A client that asks for single things by GET."""
        self.run_prepare()
        return RestKeyedClient(self._access(RetryPolicy(retries=self.max_retries)))

    def _access(self, retry: RetryPolicy, params: Iterable[object] = ()) -> Access:
        # Some APIs take their key as a header or a parameter like any other: nothing that long is shown.
        long = (value for value in (*self.headers.values(), *map(str, params)) if len(value) >= 8)
        hidden = (*self.auth.secrets(), *long)
        return Access(
            base_url=self.base_url,
            headers=self.headers,
            auth_headers=self.auth.headers(),
            secrets=hidden,
            timeout_seconds=self.timeout_seconds,
            requests_per_second=self.rate.requests_per_second,
            page_limit=self.page_limit,
            retry=retry,
        )


def _options(stream: Stream) -> RestStream:
    if not isinstance(stream.options, RestStream):
        raise ConfigError(
            "rest.options", f"stream '{stream.name}' carries no REST options", fix="build them with Rest.StreamOptions"
        )
    return stream.options


def _sample(walk: Prefetch) -> tuple[Prefetch, list[Page]]:
    """The first pages, enough of them to tell the columns' types; the walk goes on after them."""
    pages: list[Page] = []
    try:
        while len(pages) < _SAMPLE_PAGES and sum(len(page.rows) for page in pages) < _SAMPLE_ROWS:
            page = walk.take()
            if page is None:
                break
            pages.append(page)
    except BaseException:
        walk.close()
        raise
    return walk, pages
