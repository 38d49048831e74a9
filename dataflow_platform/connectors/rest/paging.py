"""How one page leads to the next. Pure: no request is made here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urljoin

from pydantic import Field

from dataflow_platform.core.base import Spec

Params = dict[str, str]


@dataclass(frozen=True)
class Request:
    """The address and query parameters of one page. ``mark`` is what brought us here; seen twice, it is a loop."""

    url: str
    params: Params
    mark: str | None = None


@dataclass(frozen=True)
class Answer:
    """What paging may look at: the decoded body, the address it came from, its ``Link: rel=next``, its row count."""

    body: Any
    url: str
    link: str | None
    rows: int


def at_path(body: Any, path: str) -> Any:
    """The value at dotted ``path`` in ``body``; None where there is none."""
    for part in path.split("."):
        body = body.get(part) if isinstance(body, Mapping) else None
    return body


class _Paging(Spec):
    def first(self, request: Request) -> Request:
        """The request of the first page, given the stream's own parameters."""
        return request

    def after(self, request: Request, answer: Answer) -> Request | None:
        """The request that follows ``request``, which got ``answer``; None at the end."""
        return None


class NoPaging(_Paging):
    """One request holds it all."""

    type: Literal["none"] = Field(default="none", description="`none`: one request holds it all.")


class NextCursor(_Paging):
    """The body carries an opaque cursor that asks for the next page."""

    type: Literal["next_cursor"] = Field(
        default="next_cursor",
        description="`next_cursor`: the body carries a cursor for the next page.",
    )
    body_path: str = Field(description="Dotted path of the cursor in the body; absent, null or empty ends the reading.")
    param: str = Field(description="Query parameter that takes the cursor.")

    def after(self, request: Request, answer: Answer) -> Request | None:
        cursor = at_path(answer.body, self.body_path)
        if cursor is None or cursor == "":
            return None
        return Request(request.url, {**request.params, self.param: str(cursor)}, mark=str(cursor))


class NextLink(_Paging):
    """The body, or the ``Link`` header, carries the next page's address."""

    type: Literal["next_link"] = Field(
        default="next_link",
        description="`next_link`: the body or the Link header carries the next page's address.",
    )
    body_path: str | None = Field(
        default=None,
        description="Dotted path of the address in the body; absent: the header `Link: rel=next`.",
    )

    def after(self, request: Request, answer: Answer) -> Request | None:
        link = at_path(answer.body, self.body_path) if self.body_path else answer.link
        if not link:
            return None
        # The link is complete: adding our parameters again would ask for two values of the same one.
        address = urljoin(answer.url, str(link))
        return Request(address, {}, mark=address)


class Offset(_Paging):
    """Rows are skipped by number; an empty page ends the reading."""

    type: Literal["offset"] = Field(
        default="offset",
        description="`offset`: rows are skipped by number; an empty page ends the reading.",
    )
    param: str = Field(default="offset", description="Query parameter with the number of rows to skip.")
    limit_param: str = Field(default="limit", description="Query parameter with the rows of a page.")
    limit: int = Field(default=1000, gt=0, description="Rows of a page asked for; the server may give fewer.")

    def first(self, request: Request) -> Request:
        return Request(request.url, {**request.params, self.limit_param: str(self.limit), self.param: "0"})

    def after(self, request: Request, answer: Answer) -> Request | None:
        if not answer.rows:
            return None
        # By the rows received, not by the limit: a server may cap the limit without a word.
        skipped = int(request.params[self.param]) + answer.rows
        return Request(request.url, {**request.params, self.param: str(skipped)})


class PageNumber(_Paging):
    """Pages are numbered; an empty page ends the reading."""

    type: Literal["page_number"] = Field(
        default="page_number",
        description="`page_number`: pages are numbered; an empty page ends the reading.",
    )
    param: str = Field(default="page", description="Query parameter with the page's number.")
    start: int = Field(default=1, description="Number of the first page.")
    size_param: str | None = Field(default=None, description="Query parameter with the rows of a page.")
    size: int = Field(default=100, gt=0, description="Rows of a page asked for, where `size_param` is set.")

    def first(self, request: Request) -> Request:
        size = {self.size_param: str(self.size)} if self.size_param else {}
        return Request(request.url, {**request.params, **size, self.param: str(self.start)})

    def after(self, request: Request, answer: Answer) -> Request | None:
        if not answer.rows:
            return None
        return Request(request.url, {**request.params, self.param: str(int(request.params[self.param]) + 1)})


Paging = Annotated[NoPaging | NextCursor | NextLink | Offset | PageNumber, Field(discriminator="type")]
