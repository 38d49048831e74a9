"""What is done to every request so that the API knows who asks, and after it did not believe it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.rest import auth, errors
from dataflow_platform.connectors.rest.outgoing import Outgoing
from dataflow_platform.connectors.rest.reply import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dataflow_platform.connectors.rest.access import Access

Send = Callable[[Outgoing, str], Awaitable[Reply]]
"""Sends a request of a flow, with no credentials but those in it; the text says what for, in an error."""

_EARLY = 30.0
"""Seconds before its end from which a token is not used any more."""


class Flow:
    """Adds what proves who asks. Static kinds need no more than headers."""

    def __init__(self, written: Any) -> None:
        self.written = written

    async def sign(self, send: Send, outgoing: Outgoing) -> Outgoing:
        """``outgoing`` with the proof in it."""
        return outgoing.with_headers(self.written.headers())

    async def renew(self, send: Send, asked: Outgoing, refused: Reply) -> bool:
        """After a 401 to ``asked``: True where another try has a chance, with a new proof."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """Texts got on the way that no error may show."""
        return ()


class QueryFlow(Flow):
    """A key in the query, added after everything that may be shown was noted."""

    async def sign(self, send: Send, outgoing: Outgoing) -> Outgoing:
        return replace(outgoing, url=outgoing.url.update_query({self.written.name: self.written.key}))


class BodyFlow(Flow):
    """Keys in a JSON or form body; a request without one gets them as its body."""

    async def sign(self, send: Send, outgoing: Outgoing) -> Outgoing:
        body = outgoing.body if isinstance(outgoing.body, dict) else {}
        return replace(outgoing, body={**body, **self.written.credentials})


@dataclass
class TokenBox:
    """The process's one token for some credentials. Whoever holds ``lock`` fetches it for all."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str | None = None
    ends: float = 0.0

    def usable(self) -> str | None:
        """The token, where it lasts for another request."""
        return self.token if self.token and time.monotonic() < self.ends else None


_boxes: dict[str, TokenBox] = {}
_boxes_lock = threading.Lock()


def box_of(written: Any, base_url: str) -> TokenBox:
    """The box of these very credentials at this address."""
    key = sha256(f"{base_url}\0{written.model_dump_json()}".encode()).hexdigest()
    with _boxes_lock:
        return _boxes.setdefault(key, TokenBox())


@asynccontextmanager
async def _held(lock: threading.Lock) -> "AsyncIterator[None]":
    # Event loops of several threads wait for one another here: a blocking wait would stop a loop, and a wait in a
    # thread could not be cancelled without losing the lock.
    while not lock.acquire(blocking=False):
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        lock.release()


class TokenFlow(Flow):
    """A token fetched once, shared by all streams, and fetched anew when it ends or is refused."""

    def __init__(self, written: Any, access: "Access") -> None:
        super().__init__(written)
        self._access = access
        self._box = box_of(written, access.base_url)

    async def sign(self, send: Send, outgoing: Outgoing) -> Outgoing:
        token = self._box.usable() or await self._fetched(send, None)
        return outgoing.with_headers({self.written.header: f"{self.written.prefix}{token}"})

    async def renew(self, send: Send, asked: Outgoing, refused: Reply) -> bool:
        # What was refused is what that request carried: another stream may have fetched a new token meanwhile.
        sent = asked.headers.get(self.written.header, "")
        await self._fetched(send, sent.removeprefix(self.written.prefix))
        return True

    async def _fetched(self, send: Send, refused: str | None) -> str:
        async with _held(self._box.lock):
            token = self._box.usable()
            if token and token != refused:  # another stream fetched it meanwhile
                return token
            token, lifetime = await self.fetch(send)
            early = min(_EARLY, lifetime / 2)
            self._box.token, self._box.ends = token, time.monotonic() + lifetime - early
            return token

    async def fetch(self, send: Send) -> tuple[str, float]:
        """A new token and how many seconds it lasts."""
        raise NotImplementedError

    def secrets(self) -> tuple[str, ...]:
        return (self._box.token,) if self._box.token else ()


def flow_of(written: Any, access: "Access") -> Flow:
    """What does what is written."""
    from dataflow_platform.connectors.rest import auth_oauth, auth_session, auth_signed

    if isinstance(written, auth.QueryKey):
        return QueryFlow(written)
    if isinstance(written, auth.BodyKeys):
        return BodyFlow(written)
    if isinstance(written, auth.ClientCredentials):
        return auth_oauth.ClientCredentialsFlow(written, access)
    if isinstance(written, auth.RefreshToken):
        return auth_oauth.RefreshTokenFlow(written, access)
    if isinstance(written, auth.JwtAssertion):
        return auth_oauth.AssertionFlow(written, access)
    if isinstance(written, auth.SessionLogin):
        return auth_session.SessionFlow(written, access)
    if isinstance(written, auth.Digest):
        return auth_signed.DigestFlow(written)
    if isinstance(written, auth.AwsSigV4):
        return auth_signed.SigV4Flow(written)
    return Flow(written)


def token_in(reply: Reply, path: str, where: str, secrets: tuple[str, ...]) -> str:
    """The token that a login's answer holds; ConfigError where it holds none."""
    if path.startswith("header:"):
        token: Any = reply.headers.get(path.removeprefix("header:").lower())
    elif path.startswith("cookie:"):
        name = path.removeprefix("cookie:")
        token = f"{name}={reply.cookies[name]}" if name in reply.cookies else None
    else:
        from dataflow_platform.connectors.rest import value_path

        token = value_path.find(reply.value_or_none(), path)
    if not 200 <= reply.status < 300 or not isinstance(token, str | int) or token == "":
        raise errors.no_token(reply.status, errors.redact(reply.body, secrets), where)
    return str(token)
