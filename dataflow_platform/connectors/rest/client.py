"""One API over HTTP: requests with retries, redirects and a rate, and the walk from page to page."""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.rest import errors
from dataflow_platform.connectors.rest.batches import Row, decode
from dataflow_platform.connectors.rest.paging import Answer, Paging, Request, at_path
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.http import RetryPolicy, action, parse_retry_after

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_REDIRECTS = 10


@dataclass(frozen=True)
class Access:
    """How an API is reached. ``headers`` and ``auth_headers`` go to ``base_url``'s own host and no other."""

    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    auth_headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    timeout_seconds: float
    requests_per_second: float | None
    page_limit: int
    retry: RetryPolicy


@dataclass(frozen=True)
class Reply:
    """A successful answer: its body, where it came from, its media type and its ``Link: rel=next``."""

    status: int
    body: bytes
    url: str
    media_type: str
    link: str | None


@dataclass(frozen=True)
class Page:
    """The rows of one page, its number from 1, and the body they were decoded from."""

    number: int
    rows: list[Row]
    body: bytes
    where: str


class Client:
    """GET with everything a patient and discreet client does. Lives on one event loop."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None
        self._stack = AsyncExitStack()
        self._not_before = 0.0

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        self._session = None
        await self._stack.aclose()

    async def get(self, request: Request, where: str) -> Reply:
        """The answer to ``request``, tried as often as the policy says; a DataflowError if it is no success."""
        attempt = 0
        while True:
            answer = await self._once(request, where)
            if isinstance(answer, Reply):
                return answer
            error, retry_after = answer
            wait = self._access.retry.wait(attempt, retry_after)
            if wait is None:
                raise error
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, request: Request, where: str) -> Reply | tuple[DataflowError, float | None]:
        """One try: the answer, or the error to raise if no further try is left. Raises what no retry can heal."""
        import aiohttp

        try:
            return await self._follow(request, where)
        except aiohttp.ClientConnectorCertificateError:
            raise errors.certificate(where) from None
        except aiohttp.ClientConnectorError as error:
            # Of the exception only the system's words are used: its own text and chain may hold the query.
            return errors.unreachable(error.os_error.strerror or type(error.os_error).__name__, where), None
        except TimeoutError:
            seconds = self._access.timeout_seconds
            return errors.unavailable(f"nothing whole within {seconds:g} seconds", where), None
        except aiohttp.InvalidURL:
            raise errors.bad_redirect("the address is malformed", where) from None
        except (aiohttp.ClientError, OSError) as error:
            return errors.unavailable(f"the connection broke ({type(error).__name__})", where), None

    async def _follow(self, request: Request, where: str) -> Reply | tuple[DataflowError, float | None]:
        from yarl import URL

        url = URL(request.url).update_query(request.params)
        home, moved_from = URL(self._access.base_url), None
        session = await self._open()
        for _ in range(_REDIRECTS):
            await self._keep_rate()
            at_home = same_host(home, url)
            sent = {**self._access.headers, **self._access.auth_headers} if at_home else {}
            async with session.get(url, headers=sent, allow_redirects=False) as response:
                verdict = action(response.status)
                if verdict == "redirect":
                    moved_from = moved_from or (home.host if at_home else None)
                    url = _target(url, response.headers.get("Location"), where)
                    continue
                body = await response.read()
                if verdict == "ok":
                    following = response.links.get("next")
                    link = following.get("url") if following else None
                    media = response.headers.get("Content-Type", "")
                    return Reply(response.status, body, str(url), media, str(link) if link else None)
                asked = parse_retry_after(response.headers.get("Retry-After"))
                said = errors.redact(body, self._access.secrets)
                moved = None if at_home else moved_from
                error = errors.for_status(verdict, response.status, where, said, asked, moved)
                if verdict != "retry":
                    raise error
                return error, asked
        raise errors.bad_redirect(f"more than {_REDIRECTS} redirects", where)

    async def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._access.timeout_seconds),
                headers={"Accept": "application/json"},
                # Without a jar no cookie can follow us to another host either.
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._session = await self._stack.enter_async_context(session)
        return self._session

    async def _keep_rate(self) -> None:
        rate = self._access.requests_per_second
        if rate:
            now = time.monotonic()
            turn = max(now, self._not_before)
            self._not_before = turn + 1 / rate
            await asyncio.sleep(turn - now)


def same_host(home: "URL", url: "URL") -> bool:
    """True where ``url`` may see what ``home`` may: same host and port, and never from https down to http."""
    upgrade = home.scheme == "http" and url.scheme == "https" and home.is_default_port() and url.is_default_port()
    return url.host == home.host and (upgrade or (url.scheme == home.scheme and url.port == home.port))


def _target(url: "URL", location: str | None, where: str) -> "URL":
    from yarl import URL

    try:
        target = url.join(URL(location or ""))
    except ValueError:
        raise errors.bad_redirect("the redirect's address is malformed", where) from None
    if not location or target.scheme not in ("http", "https") or not target.host:
        raise errors.bad_redirect("the redirect leads to no http address", where)
    return target


class Walk:
    """The pages of one stream, in order, one request at a time."""

    def __init__(self, access: Access, first: Request, paging: Paging, records: str | None, exact: bool) -> None:
        self._access = access
        self._client = Client(access)
        self._request: Request | None = paging.first(first)
        self._paging = paging
        self._records = records
        self._exact = exact
        self._number = 0
        self._marks: set[bytes] = set()
        self._last_body = b""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def next(self) -> Page | None:
        """The next page, or None after the last one."""
        if self._request is None:
            return None
        self._number += 1
        where = place(self._request.url, self._number)
        if self._number > self._access.page_limit:
            raise errors.too_many_pages(self._access.page_limit, where)
        reply = await self._client.get(self._request, where)
        try:
            body = decode(reply.body, self._exact)
        except ValueError:
            said = errors.redact(reply.body, self._access.secrets)
            raise errors.not_json(reply.media_type, said, where) from None
        rows = records(body, self._records, where)
        request = self._paging.after(self._request, Answer(body, reply.url, reply.link, len(rows)))
        self._guard(request, reply.body, bool(rows), where)
        self._request = request
        return Page(self._number, rows, reply.body, where)

    def _guard(self, request: Request | None, body: bytes, has_rows: bool, where: str) -> None:
        """Refuse to ask for a page twice, or, where pages carry no mark of their own, to get the same one twice."""
        if request is None:
            return
        if request.mark is None:
            digest = _digest(body)
            if has_rows and digest == self._last_body:
                raise errors.loop(where)
            self._last_body = digest
            return
        digest = _digest(request.mark.encode())
        if digest in self._marks:
            raise errors.loop(where)
        self._marks.add(digest)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def place(url: str, number: int) -> str:
    """Where an error happened: address and page, never the query, which may hold a key."""
    return f"GET {re.split('[?#]', url, maxsplit=1)[0]} page {number}"


def records(body: Any, path: str | None, where: str) -> list[Row]:
    """The list of objects at ``path`` of the decoded ``body``; ConfigError ``rest.records`` where there is none."""
    found = at_path(body, path) if path else body
    if isinstance(found, list):
        if all(isinstance(row, dict) for row in found):
            return found
        raise errors.no_records(path, "its items are no objects", (), where)
    parent = body
    for part in (path or "").split(".")[:-1]:
        parent = parent.get(part, parent) if isinstance(parent, dict) else parent
    keys = parent if isinstance(parent, dict) else ()
    if found is None:
        raise errors.no_records(path, "there is nothing", keys, where)
    kind = "an object" if isinstance(found, dict) else "a plain value"
    raise errors.no_records(path, f"there is {kind}", keys, where)
