"""One API over HTTP: requests with retries, redirects, a pace, and credentials that stay at home."""

import asyncio
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, TypeVar

from dataflow_platform.connectors.rest import errors
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.addresses import RefusedAddressError
from dataflow_platform.connectors.rest.auth_flows import flow_of
from dataflow_platform.connectors.rest.budget import budget_of
from dataflow_platform.connectors.rest.error_rules import ErrorRule
from dataflow_platform.connectors.rest.outgoing import Outgoing
from dataflow_platform.connectors.rest.reply import Reply
from dataflow_platform.connectors.rest.request import Request
from dataflow_platform.connectors.rest.verdicts import judge
from dataflow_platform.core.errors import DataflowError

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_REDIRECTS = 10

T = TypeVar("T")


class SkippedError(Exception):
    """A rule says that there is nothing to read here."""


@dataclass(frozen=True)
class _Failed:
    """A try that may be followed by another: the error if none is left, and the seconds the API asks to wait."""

    error: DataflowError
    wait: float | None = None
    refused: tuple[Outgoing, Reply] | None = field(default=None, repr=False)
    """Where the API did not believe who asks: what was sent, and what came."""


class Client:
    """Asks with everything a patient and discreet client does. Lives on one event loop."""

    def __init__(self, access: Access) -> None:
        from yarl import URL

        self._access = access
        self._home = URL(access.base_url)
        self._policy = access.policy()
        self._budget = budget_of(self._home.authority, access.auth.secrets(), access.rate)
        self._flow = flow_of(access.auth, access)
        self._session: aiohttp.ClientSession | None = None
        self._stack = AsyncExitStack()

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        self._session = None
        await self._stack.aclose()

    async def get(self, request: Request, where: str, rules: tuple[ErrorRule, ...] = ()) -> Reply:
        """The answer to ``request``, tried as often as the policy says; a DataflowError if it is no success.

        Raises SkippedError where a rule says that there is nothing to read.
        """
        return await self.read(request, where, lambda reply: reply, rules)

    async def read(
        self, request: Request, where: str, decode: Callable[[Reply], T], rules: tuple[ErrorRule, ...] = ()
    ) -> T:
        """What ``decode`` makes of the answer; a ValueError of it is an answer that came broken, asked for again."""
        attempt, renewed = 0, False
        while True:
            failed = await self._once(request, where, rules)
            if isinstance(failed, Reply):
                try:
                    return decode(failed)
                except ValueError:
                    said = errors.redact(failed.body, self._secrets())
                    failed = _Failed(errors.not_json(failed.media_type, said, where))
            if failed.refused:
                if renewed or not await self._flow.renew(self.plain, *failed.refused):
                    raise failed.error
                renewed = True
                continue
            wait = self._access.retry.wait(attempt, failed.wait)
            if wait is None:
                raise failed.error
            await asyncio.sleep(wait)
            attempt += 1

    async def plain(self, outgoing: Outgoing, where: str) -> Reply:
        """The answer to a request of an auth flow: to whatever public host, with the connection's credentials not sent.

        A passing failure is tried again; any answer of the server is handed back as it is.
        """
        attempt = 0
        while True:
            answer = await self._sent(outgoing, where)
            passing = isinstance(answer, _Failed) or answer.status == 429 or answer.status >= 500
            if not passing and isinstance(answer, Reply):
                return answer
            wait = self._access.retry.wait(attempt, None)
            if wait is None:
                if isinstance(answer, _Failed):
                    raise answer.error
                return answer
            await asyncio.sleep(wait)
            attempt += 1

    def _secrets(self) -> tuple[str, ...]:
        return (*self._access.secrets, *self._flow.secrets())

    async def _once(self, request: Request, where: str, rules: tuple[ErrorRule, ...]) -> "Reply | _Failed":
        """One try. Raises what no retry can heal."""
        url, moved_from = _url(request, where), None
        request = request.filled()
        for _ in range(_REDIRECTS):
            at_home = same_host(self._home, url)
            outgoing = replace(_outgoing(request, url, at_home, self._access.headers, where), to_file=request.to_file)
            if at_home:
                outgoing = await self._flow.sign(self.plain, outgoing)
            answer = await self._paced(outgoing, where)
            if isinstance(answer, _Failed):
                return answer
            if answer.status in (301, 302, 303, 307, 308):
                moved_from = moved_from or (self._home.host if at_home else None)
                url = _target(url, answer.headers.get("location"), where)
                if answer.status == 303 and request.method != "GET":
                    request = replace(request, method="GET", body=None)
                continue
            return self._judged(outgoing, answer, where, rules, None if at_home else moved_from)
        raise errors.bad_redirect(f"more than {_REDIRECTS} redirects", where)

    async def _paced(self, outgoing: Outgoing, where: str) -> "Reply | _Failed":
        longest = self._access.retry.longest_wait
        async with self._budget.turn(longest) as too_long:
            if too_long is not None:
                raise errors.budget_spent(too_long, where)
            answer = await self._sent(outgoing, where)
            if isinstance(answer, Reply):
                self._budget.heard(answer.status, answer.headers)
                if self._access.recorder:
                    self._access.recorder.note(outgoing, answer)
            return answer

    def _judged(
        self, outgoing: Outgoing, reply: Reply, where: str, rules: tuple[ErrorRule, ...], moved: str | None
    ) -> "Reply | _Failed":
        said_so = judge(reply, (*rules, *self._access.rules))
        if said_so.action == "ok":
            return reply
        if said_so.action == "skip":
            raise SkippedError
        said = errors.redact((said_so.message or "").encode() or reply.body, self._secrets())
        action = "rejected" if said_so.action == "redirect" else said_so.action
        error = errors.for_status(action, reply.status, where, said, said_so.wait, moved)
        if said_so.fix:
            error.fix = said_so.fix
        if action == "retry":
            if said_so.wait is not None and said_so.wait <= self._access.retry.longest_wait:
                self._budget.block(said_so.wait)
            return _Failed(error, said_so.wait)
        if action == "unauthorized" and not moved:
            return _Failed(error, refused=(outgoing, reply))
        raise error

    async def _sent(self, outgoing: Outgoing, where: str) -> "Reply | _Failed":
        """Send one request; what went wrong on the way is told without a word of the query."""
        import aiohttp

        if not self._policy.permits_host(outgoing.url.host or ""):
            raise errors.private_address(where)
        session = await self._open()
        try:
            async with session.request(
                outgoing.method, outgoing.url, headers=outgoing.sent_headers(), data=outgoing.data(),
                allow_redirects=False, timeout=self._timeout(outgoing.to_file),
            ) as response:  # fmt: skip
                return await _reply(response, outgoing.to_file)
        except aiohttp.ClientConnectorCertificateError:
            raise errors.certificate(where) from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, RefusedAddressError):
                raise errors.private_address(where) from None
            # Of the exception only the system's words are used: its own text and chain may hold the query.
            return _Failed(errors.unreachable(error.os_error.strerror or type(error.os_error).__name__, where))
        except TimeoutError:
            seconds = self._access.timeout_seconds
            return _Failed(errors.unavailable(f"nothing whole within {seconds:g} seconds", where))
        except aiohttp.InvalidURL:
            raise errors.bad_redirect("the address is malformed", where) from None
        except (aiohttp.ClientError, OSError) as error:
            return _Failed(errors.unavailable(f"the connection broke ({type(error).__name__})", where))

    def _timeout(self, to_file: bool) -> "aiohttp.ClientTimeout":
        """A large download may take its time, as long as something comes."""
        import aiohttp

        seconds = self._access.timeout_seconds
        return aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds) if to_file else (
            aiohttp.ClientTimeout(total=seconds)
        )  # fmt: skip

    async def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            session = aiohttp.ClientSession(
                headers={"Accept": "application/json, */*;q=0.5"},
                connector=aiohttp.TCPConnector(resolver=self._policy.resolver(), limit=0),
                # Without a jar no cookie can follow us to another host either.
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._session = await self._stack.enter_async_context(session)
        return self._session


async def _reply(response: "aiohttp.ClientResponse", to_file: bool) -> Reply:
    file = await _downloaded(response) if to_file and response.status == 200 else None
    body = b"" if file else await response.read()
    # Sentry names a next page also behind the last one, and says that nothing is there.
    held = {name: link for name, link in response.links.items() if "url" in link and link.get("results") != "false"}
    links = {name: str(link["url"]) for name, link in held.items()}
    headers = {name.lower(): value for name, value in response.headers.items()}
    cookies = {name: morsel.value for name, morsel in response.cookies.items()}
    return Reply(response.status, headers, body, str(response.url), links, cookies, file)


async def _downloaded(response: "aiohttp.ClientResponse") -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # its reader closes it
    try:
        async for part in response.content.iter_chunked(1 << 20):
            file.write(part)
    except BaseException:
        file.close()
        raise
    return file


def _url(request: Request, where: str) -> "URL":
    from yarl import URL

    filled = request.filled()
    try:
        url = URL(filled.url)
    except ValueError:
        raise errors.bad_redirect("the address is malformed", where) from None
    pairs = [(name, text) for name, value in filled.params.items()
             for text in (value if isinstance(value, list | tuple) else [value])]  # fmt: skip
    names = {name for name, _ in pairs}
    kept = [(name, value) for name, value in url.query.items() if name not in names]
    return url.with_query([*kept, *pairs]) if pairs else url


def _outgoing(request: Request, url: "URL", at_home: bool, headers: Mapping[str, str], where: str) -> Outgoing:
    """``request`` as it is sent to ``url``: nothing but the bare question leaves for another host."""
    if at_home:
        return Outgoing(request.method, url, {**headers, **request.headers}, request.body, request.form)
    if request.body is not None:
        raise errors.bad_redirect("the body of a request would go to another host", where)
    return Outgoing(request.method, url)


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


def place(url: str, number: int, method: str = "GET") -> str:
    """Where an error happened: address and page, never the query, which may hold a key."""
    return f"{method} {re.split('[?#]', url, maxsplit=1)[0]} page {number}"
