"""All pages of one stream: one walk, or many at once where it is asked by slices or for each parent."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from dataflow_platform.connectors.rest import bounds, jobs, template, value_path
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.bounds import Span
from dataflow_platform.connectors.rest.client import Client
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.error_rules import ErrorRule
from dataflow_platform.connectors.rest.request import Answer, Request, Row
from dataflow_platform.connectors.rest.walk import Page, Walk
from dataflow_platform.core.base import State

_QUEUED = 1_000
"""Rows that wait to be worked on, beside the pages being fetched; and rows of small pages handed on together."""


class Pages(Protocol):
    """Pages one after the other."""

    async def next(self) -> Page | None:
        """The next page, or None after the last one."""

    async def close(self) -> None:
        """Free what is held."""


@dataclass(frozen=True)
class Plan:
    """What is read: an endpoint, the endpoints its parents come from, values for names in braces, and from where.

    ``position`` is what earlier loads left there; what this one leaves is put into ``left``.
    """

    access: Access
    endpoint: Endpoint
    siblings: Mapping[str, Endpoint] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    state: State = field(default_factory=State)
    exact: bool = False
    left: dict[str, Any] = field(default_factory=dict)

    def pages(self) -> Pages:
        """The pages, none of which is asked for before the first is wanted."""
        return Reading(self)


@dataclass(frozen=True)
class _Start:
    """Where one walk begins: values for names in braces, columns its rows get, its span, the key of its parent."""

    values: Mapping[str, Any]
    added: Mapping[str, Any]
    span: Span
    parent: str | None = None


class Reading:
    """The pages of a plan, on one event loop, by one client: its own, or that of the reading it is part of."""

    def __init__(self, plan: Plan, client: Client | None = None) -> None:
        self._plan = plan
        self._client = client or Client(plan.access)
        self._owns_client = client is None
        self._walk: Pages | None = None
        self._walked = _with_rules(plan.endpoint, _rules(plan.endpoint))

    async def next(self) -> Page | None:
        if self._walk is None:
            self._walk = self._begin()
        return await self._walk.next()

    async def close(self) -> None:
        if self._walk is not None:
            await self._walk.close()
        if self._owns_client:
            await self._client.close()

    def _begin(self) -> Pages:
        plan, parent = self._plan, self._plan.endpoint.parent
        parts = bounds.spans(plan.endpoint, plan.state)
        if parent is None and len(parts) == 1:
            return self._walk_of(_Start(plan.values, {}, parts[0]))
        cursor = plan.endpoint.cursor
        at_once = parent.concurrency if parent else (cursor.parallel if cursor else 1)
        return Several(self._starts(parts), self._walk_of, at_once)

    async def _starts(self, parts: Sequence[Span]) -> AsyncIterator[_Start]:
        async for values, added, key in parents(self._plan, self._client):
            each = self._plan.endpoint.parent is not None and self._plan.endpoint.parent.cursor_each
            own = self._parts_of(key) if each and key is not None else parts
            for span in own:
                yield _Start(values, added, span, key)

    def _parts_of(self, key: str) -> Sequence[Span]:
        """The spans of a parent that has a cursor of its own."""
        stored = self._plan.state.position.get("parents", {})
        return bounds.spans(self._plan.endpoint, replace(self._plan.state, cursor=stored.get(key)))

    def _walk_of(self, start: _Start) -> Pages:
        plan, endpoint = self._plan, self._plan.endpoint
        watch = _Watch(plan, start)
        request = watch.with_token(request_of(plan.access, endpoint, start.values, start.span))
        walked = self._walked
        if endpoint.job:
            return jobs.JobPages(
                self._client, plan.access, walked, request, start.values, plan.exact, start.added, watch
            )
        again = None if watch.token is None else request_of(plan.access, endpoint, start.values, start.span)
        return Walk(self._client, plan.access, walked, request, plan.exact, start.added, watch, again)


def _rules(endpoint: Endpoint) -> tuple[ErrorRule, ...]:
    gone = endpoint.parent and endpoint.parent.skip_missing
    missing = (ErrorRule(status=[404, 410], then="skip"),) if gone else ()
    expired = (ErrorRule(status=list(endpoint.delta.expired), then="skip"),) if endpoint.delta else ()
    return (*missing, *expired)


def _with_rules(endpoint: Endpoint, rules: Sequence[ErrorRule]) -> Endpoint:
    """The endpoint with further rules after its own."""
    return endpoint.model_copy(update={"errors": [*endpoint.errors, *rules]}) if rules else endpoint


class _Watch:
    """Looks at every answer of a walk: keeps rows in their slice, notes tokens and cursors, ends what is sorted."""

    def __init__(self, plan: Plan, start: _Start) -> None:
        self._plan, self._start = plan, start
        self._cursor = bounds.cursor_of(plan.endpoint)
        delta = plan.endpoint.delta
        self.token = self._tokens().get(start.parent or "") if delta and not plan.state.window else None
        self._greatest: Any = None

    def _tokens(self) -> Mapping[str, Any]:
        """The tokens of the last load: by parent, or the one there is under the empty key."""
        found: Mapping[str, Any] = self._plan.state.position.get("delta", {})
        return found

    def with_token(self, request: Request) -> Request:
        """The first request with the token of the last load in it."""
        delta = self._plan.endpoint.delta
        if delta is None or self.token is None:
            return request
        params = {name: value for name, value in request.params.items() if name not in delta.drop_params}
        return replace(request, params=params).with_value(delta.place, delta.param, self.token)

    def kept(self, rows: list[Row]) -> list[Row]:
        """The rows that belong to this walk's slice."""
        name = self._cursor.field if self._cursor else None
        span = self._start.span
        if name is None or (span.first and span.end_before is None):
            return rows
        return [row for row in rows if bounds.in_span(span, row.get(name))]

    def heard(self, answer: Answer) -> bool:
        """Take note of an answer; True where nothing new can follow it."""
        plan = self._plan
        delta, name = plan.endpoint.delta, self._cursor.field if self._cursor else None
        if delta is not None and (token := answer.at(delta.body_path)) is not None and not plan.state.window:
            plan.left.setdefault("delta", dict(self._tokens()))[self._start.parent or ""] = token
        each = plan.endpoint.parent is not None and plan.endpoint.parent.cursor_each
        if name and each:
            self._note(answer.rows, name)
        least = self._start.span.least
        newest_first = self._cursor is not None and self._cursor.sorted == "descending"
        return bool(newest_first and name and least is not None and bounds.all_older(list(answer.rows), name, least))

    def _note(self, rows: Sequence[Row], name: str) -> None:
        """Keep the greatest cursor of this parent."""
        parents_left = self._plan.left.setdefault("parents", dict(self._plan.state.position.get("parents", {})))
        for row in rows:
            if row.get(name) is not None:
                found = bounds.value_of(row[name])
                if self._greatest is None or found > self._greatest:
                    self._greatest = found
                    parents_left[self._start.parent] = str(row[name])


async def parents(plan: Plan, client: Client) -> AsyncIterator[tuple[Mapping[str, Any], Mapping[str, Any], str | None]]:
    """Values, added columns and, where each has a cursor or token of its own, a key for every parent."""
    parent = plan.endpoint.parent
    if parent is None:
        yield plan.values, {}, None
        return
    async for record in _parent_records(plan, client):
        if any(value_path.find(record, path) != value for path, value in parent.where.items()):
            continue
        values = {name: value_path.find(record, path) for name, path in parent.values.items()}
        if any(value is None for value in values.values()):
            continue
        added = {column: value_path.find(record, path) for column, path in parent.columns.items()}
        own = parent.cursor_each or plan.endpoint.delta is not None
        key = json.dumps(values, sort_keys=True, default=str) if own else None
        yield {**plan.values, **values}, added, key


async def _parent_records(plan: Plan, client: Client) -> AsyncIterator[Any]:
    parent = plan.endpoint.parent
    assert parent is not None
    if parent.each is not None:
        for value in plan.values.get(parent.each) or ():
            yield value
        return
    endpoint = parent.endpoint or plan.siblings[str(parent.stream)]
    # All parents, whatever was read before: a parent that did not change may have children that did.
    whole = endpoint.model_copy(update={"cursor": _beginning(endpoint), "cursor_param": None, "delta": None})
    inner = Reading(replace(plan, endpoint=whole, state=State(), left={}), client)
    try:
        while page := await inner.next():
            for row in page.rows:
                yield row
    finally:
        await inner.close()


def _beginning(endpoint: Endpoint) -> Any:
    return endpoint.cursor if endpoint.cursor and endpoint.cursor.start else None


def request_of(access: Access, endpoint: Endpoint, values: Mapping[str, Any], span: Span) -> Request:
    """The first request of a walk, every name filled that has a value."""
    known: dict[str, Any] = {**values, "cursor": span.start, "cursor_end": span.end}
    for name in _slots(endpoint):  # filled for each page
        known[name] = f"{{{name}}}"
    params = {name: _query_value(value) for name, value in template.fill_all(dict(endpoint.params), known).items()}
    body = endpoint.body
    if endpoint.graphql:
        variables = template.fill_all(dict(endpoint.graphql.variables), known)
        body = {"query": endpoint.graphql.query, "variables": variables}
    elif body is not None:
        body = template.fill_all(body, known)
    path = template.fill_path(endpoint.path, known)
    request = Request(
        access.address(path), params, endpoint.verb, body, template.fill_all(dict(endpoint.headers), known),
        form=endpoint.form,
    )  # fmt: skip
    return _with_bounds(request, endpoint, span)


def _slots(endpoint: Endpoint) -> Iterator[str]:
    paging = endpoint.paging
    if getattr(paging, "place", None) == "template":
        yield from filter(None, (getattr(paging, "param", None), getattr(paging, "limit_param", None),
                                 getattr(paging, "size_param", None)))  # fmt: skip


def _query_value(value: Any) -> Any:
    return [template.as_text(each) for each in value] if isinstance(value, list) else template.as_text(value)


def _with_bounds(request: Request, endpoint: Endpoint, span: Span) -> Request:
    cursor = bounds.cursor_of(endpoint)
    if endpoint.window_params and span.end is not None:
        asked = endpoint.window_params
        given = [("query", asked.start, span.start), ("query", asked.end, span.end)]
    elif cursor:
        given = [(cursor.place, cursor.param, span.start), (cursor.place, cursor.end_param, span.end)]
    else:
        given = []
    for place, name, value in given:
        if name and value is not None:
            request = request.with_value(place, name, value)  # type: ignore[arg-type]
    return request


def _joined(pages: list[Page]) -> Page:
    """Small pages as one; an error in it names the first of them."""
    if len(pages) == 1:
        return pages[0]
    return replace(
        pages[0],
        rows=[row for page in pages for row in page.rows],
        size=sum(page.size for page in pages),
        where=f"{pages[0].where} and {len(pages) - 1} more",
        exact=lambda: [row for page in pages for row in page.exact()],
    )


class Several:
    """The pages of many walks, ``at_once`` of them under way; in no order. Numbers run through all of them."""

    def __init__(self, starts: AsyncIterator[_Start], walk_of: Callable[[_Start], Pages], at_once: int) -> None:
        self._starts, self._walk_of, self._at_once = starts, walk_of, at_once
        self._ready: asyncio.Queue[Page | BaseException | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting_rows = 0
        self._next_start = asyncio.Lock()
        self._workers: list[asyncio.Task[None]] = []
        self._left = at_once
        self._number = 0

    async def next(self) -> Page | None:
        if not self._workers:
            self._workers = [asyncio.ensure_future(self._work()) for _ in range(self._at_once)]
        first = await self._taken()
        if first is None:
            return None
        together = [first]
        # A page of a few rows is as much work for the reader as one of many.
        while not self._ready.empty() and sum(len(page.rows) for page in together) < _QUEUED:
            page = await self._taken()
            if page is None:
                break
            together.append(page)
        self._number += 1
        return replace(_joined(together), number=self._number)

    async def _taken(self) -> Page | None:
        """The next page that is ready; None once every walk has ended."""
        while self._left:
            found = await self._ready.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                self._left -= 1
                continue
            self._waiting_rows -= len(found.rows)
            if self._waiting_rows < _QUEUED:
                self._room.set()
            return found
        return None

    async def _work(self) -> None:
        try:
            while (start := await self._start()) is not None:
                walk = self._walk_of(start)
                try:
                    await self._pass_on(walk)
                finally:
                    await walk.close()
            self._ready.put_nowait(None)
        except Exception as error:  # noqa: BLE001  # handed to the reader, which raises it
            self._ready.put_nowait(error)

    async def _pass_on(self, walk: Pages) -> None:
        while page := await walk.next():
            await self._room.wait()
            self._waiting_rows += len(page.rows)
            if self._waiting_rows >= _QUEUED:
                self._room.clear()
            self._ready.put_nowait(page)

    async def _start(self) -> _Start | None:
        async with self._next_start:
            return await anext(self._starts, None)

    async def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._starts.aclose()  # type: ignore[attr-defined]
