"""The pages of one list, in order, one request at a time, until its end and never round in circles."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol

from dataflow_platform.connectors.rest import errors
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.client import Client, SkippedError, place
from dataflow_platform.connectors.rest.decoding import exact_value, value_of
from dataflow_platform.connectors.rest.downloads import Chunk, chunks
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.reply import Reply
from dataflow_platform.connectors.rest.request import Answer, Request, Row
from dataflow_platform.connectors.rest.shaping import rows_of
from dataflow_platform.connectors.rest.verdicts import GRAPHQL_RULES
from dataflow_platform.core.errors import ConfigError

_SAME_ROWS = 50
"""So many pages with the very same rows under cursors that differ: the API invents cursors."""


@dataclass(frozen=True)
class Page:
    """The rows of one page, its number from 1, the bytes it came in, and the same rows digit by digit."""

    number: int
    rows: list[Row]
    size: int
    where: str
    exact: Callable[[], list[Row]] = field(repr=False)


class Watch(Protocol):
    """What looks on while pages come."""

    def kept(self, rows: list[Row]) -> list[Row]:
        """The rows of a page that belong to this walk."""

    def heard(self, answer: Answer) -> bool:
        """Takes note of an answer; True where nothing new can follow it."""


class Walk:
    """The pages that follow from one first request. ``added``: columns that every row gets."""

    def __init__(
        self,
        client: Client,
        access: Access,
        endpoint: Endpoint,
        first: Request,
        exact: bool = False,
        added: Mapping[str, Any] | None = None,
        watch: Watch | None = None,
        again: Request | None = None,
    ) -> None:
        self._client = client
        self._access = access
        self._endpoint = endpoint
        self._paging: Any = endpoint.paging
        self._start = first
        self._request: Request | None = self._paging.first(first)
        self._rules = (*endpoint.errors, *(GRAPHQL_RULES if endpoint.graphql else ()))
        self._exact = exact
        self._added = added or {}
        self._watch = watch
        self._again = again
        self._number = 0
        self._seen = 0
        self._marks: set[bytes] = set()
        self._last_rows = b""
        self._repeated = 0
        self._parts: Generator[Chunk, None, None] | None = None
        self._file_where = ""

    async def close(self) -> None:
        """Let go of a file that is not read to its end."""
        if self._parts is not None:
            self._parts.close()

    async def next(self) -> Page | None:
        """The next page, or None after the last one."""
        if self._parts is not None and (page := self._next_part()) is not None:
            return page
        if self._request is None:
            return None
        self._number += 1
        where = self._where(self._request)
        if self._number > self._access.page_limit:
            raise errors.too_many_pages(self._access.page_limit, where)
        try:
            reply, body = await self._read(where)
        except SkippedError:
            # Another way to begin is tried once: without a token that is too old.
            again, self._again = (self._again if self._number == 1 else None), None
            self._number, self._request = 0, self._paging.first(again) if again else None
            return await self.next()
        if reply.file is not None:
            self._parts, self._file_where = chunks(reply.file, self._endpoint, self._exact), where
            self._request = self._after(Answer(None, reply.url, reply.headers, reply.links), [], where)
            return await self.next()
        rows = rows_of(body, self._endpoint, self._added, where)
        self._seen += len(rows)
        answer = Answer(body, reply.url, reply.headers, reply.links, rows, self._seen)
        self._request = self._after(answer, rows, where)
        return Page(self._number, self._kept(rows), len(reply.body), where, lambda: self._exactly(reply, where))

    def _after(self, answer: Answer, rows: list[Row], where: str) -> Request | None:
        """The request that follows an answer, if one does."""
        following: Request | None = self._paging.after(self._request, answer)
        if self._watch and self._watch.heard(answer):
            following = None
        self._guard(following, rows, where)
        return following

    def _next_part(self) -> Page | None:
        """Some more rows of the file that is being read; None once it is at its end."""
        where = self._file_where
        try:
            part = next(self._parts, None) if self._parts is not None else None
        except ValueError:
            raise errors.not_json("a file", "", where) from None
        if part is None:
            self._parts = None
            return None

        def rows(records: Any) -> list[Row]:
            return self._kept(rows_of(records, self._endpoint, self._added, where))

        found = rows(part.records)
        if self._watch:
            self._watch.heard(Answer(None, "", rows=found))
        return Page(self._number, found, 0, where, lambda: rows(part.exact()))

    def _kept(self, rows: list[Row]) -> list[Row]:
        return self._watch.kept(rows) if self._watch else rows

    def _where(self, request: Request) -> str:
        return errors.hidden(place(request.filled().url, self._number, request.method), self._access.secrets)

    def _exactly(self, reply: Reply, where: str) -> list[Row]:
        return self._kept(rows_of(exact_value(reply, self._endpoint), self._endpoint, self._added, where))

    async def _read(self, where: str) -> tuple[Reply, Any]:
        def decode(reply: Reply) -> tuple[Reply, Any]:
            return reply, None if reply.file is not None else value_of(reply, self._endpoint, self._exact)

        while True:
            assert self._request is not None
            try:
                return await self._client.read(self._request, where, decode, self._rules)
            except ConfigError as error:
                smaller = self._smaller() if error.code == "rest.rejected" else None
                if smaller is None:
                    raise
                self._request = smaller

    def _smaller(self) -> Request | None:
        """The first request once more with half the page, where the paging may be tried with less."""
        size, smallest = self._paging.page_size(), self._paging.smallest_size()
        if self._number > 1 or size is None or smallest is None or size <= smallest:
            return None
        self._paging = self._paging.resized(max(smallest, size // 2))
        first: Request = self._paging.first(self._start)
        return first

    def _guard(self, following: Request | None, rows: list[Row], where: str) -> None:
        """Refuse to ask for a page twice, to get the same one twice where nothing marks pages, and endless ones."""
        if following is None:
            return
        if following.mark is not None:
            mark = _digest(following.mark.encode())
            if mark in self._marks:
                raise errors.loop(where)
            self._marks.add(mark)
        if not rows:
            return
        # Only rows count: a body may carry the time of day.
        digest = _digest(repr((rows[0], rows[-1], len(rows))).encode())
        self._repeated = self._repeated + 1 if digest == self._last_rows else 0
        self._last_rows = digest
        if self._repeated and (following.mark is None or self._repeated >= _SAME_ROWS):
            raise errors.loop(where)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
