"""How one page leads to the next. Pure: no request is made here."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urljoin

from pydantic import Field

from dataflow_platform.connectors.rest.cursor import PLACE, Place
from dataflow_platform.connectors.rest.request import Answer, Request
from dataflow_platform.core.base import Spec

_SIZE_PARAM = "Parameter with the rows of a page."


class _Paging(Spec):
    ends_when_empty: ClassVar[bool] = False

    def first(self, request: Request) -> Request:
        """The request of the first page, given the stream's own parameters."""
        return request

    def after(self, request: Request, answer: Answer) -> Request | None:
        """The request that follows ``request``, which got ``answer``; None at the end."""
        return None

    def page_size(self) -> int | None:
        """Rows of a page asked for; None where nothing is said."""
        return None

    def smallest_size(self) -> int | None:
        """The smallest size worth asking for; None where the size is not to be changed."""
        return None

    def resized(self, size: int) -> "_Paging":
        """The same paging with pages of another size."""
        return self


class _Paged(_Paging):
    """What all kinds of paging may say of their end and their size."""

    has_more: str | None = Field(
        default=None, description="Path of a true/false in the body; anything but true ends the reading."
    )
    is_last: str | None = Field(default=None, description="Path of a true/false in the body; true ends the reading.")
    total: str | None = Field(
        default=None, description="Path, or `header:Name`, of the number of all rows; so many rows end the reading."
    )
    short_page_ends: bool = Field(default=False, description="A page with fewer rows than asked for is the last one.")
    smallest: int | None = Field(
        default=None,
        gt=0,
        description="Where the API refuses the size of the first page (400, 413, 422), ask for half, down to this.",
    )

    def smallest_size(self) -> int | None:
        return self.smallest if self.page_size() else None

    def _ended(self, answer: Answer) -> bool:
        if self.ends_when_empty and not answer.rows:
            return True
        if self.has_more and not _true(answer.at(self.has_more)):
            return True
        if self.is_last and _true(answer.at(self.is_last)):
            return True
        total = _number(answer.at(self.total)) if self.total else None
        if total is not None and answer.seen >= total:
            return True
        size = self.page_size()
        return bool(self.short_page_ends and size and len(answer.rows) < size)


class _Sized(_Paged):
    size_param: str | None = Field(default=None, description=_SIZE_PARAM)
    size: int = Field(default=100, gt=0, description="Rows of a page asked for, where `size_param` is set.")

    def page_size(self) -> int | None:
        return self.size if self.size_param else None

    def resized(self, size: int) -> "_Paging":
        return self.model_copy(update={"size": size})

    def _with_size(self, request: Request, place: Place) -> Request:
        return request.with_value(place, self.size_param, self.size) if self.size_param else request


class NoPaging(_Paging):
    """One request holds it all."""

    type: Literal["none"] = Field(default="none", description="`none`: one request holds it all.")


class NextCursor(_Sized):
    """The answer carries an opaque cursor that asks for the next page."""

    type: Literal["next_cursor"] = Field(
        default="next_cursor",
        description="`next_cursor`: the answer carries a cursor for the next page.",
    )
    body_path: str = Field(
        description="Path of the cursor in the body, or `header:Name`; absent, null, false or empty ends the reading."
    )
    param: str = Field(description="Parameter that takes the cursor.")
    place: Place = Field(default="query", description=PLACE)
    only_cursor: bool = Field(
        default=False, description="Further pages are asked for by the cursor alone, without the other parameters."
    )

    def first(self, request: Request) -> Request:
        return self._with_size(request, self.place)

    def after(self, request: Request, answer: Answer) -> Request | None:
        cursor = answer.at(self.body_path)
        if cursor is None or cursor is False or cursor == "" or self._ended(answer):
            return None
        kept = replace(request, params={}, body=None) if self.only_cursor else request
        return kept.with_value(self.place, self.param, cursor, mark=str(cursor))


class LastId(_Sized):
    """The id of the last record asks for those after it."""

    ends_when_empty: ClassVar[bool] = True

    type: Literal["last_id"] = Field(
        default="last_id", description="`last_id`: the id of the last record asks for those after it."
    )
    field: str = Field(default="id", description="Column of the id.")
    param: str = Field(description="Parameter that takes it, such as `starting_after`.")
    place: Place = Field(default="query", description=PLACE)
    pick: Literal["last", "first", "greatest", "least"] = Field(
        default="last", description="Which record of the page: by place, or by its id as a number."
    )

    def first(self, request: Request) -> Request:
        return self._with_size(request, self.place)

    def after(self, request: Request, answer: Answer) -> Request | None:
        if self._ended(answer):
            return None
        ids = [row.get(self.field) for row in answer.rows]
        known = [each for each in ids if each is not None]
        if not known:
            return None
        if self.pick in ("greatest", "least"):
            known.sort(key=lambda each: int(each))
        chosen = known[0] if self.pick in ("first", "least") else known[-1]
        return request.with_value(self.place, self.param, chosen, mark=str(chosen))


class NextLink(_Sized):
    """The body, or the ``Link`` header, carries the next page's address."""

    type: Literal["next_link"] = Field(
        default="next_link",
        description="`next_link`: the body or the Link header carries the next page's address.",
    )
    body_path: str | None = Field(
        default=None,
        description="Path of the address in the body, such as `links.next` or `link[relation=next].url`, or "
        "`header:Name`; absent: the header `Link`.",
    )
    rel: str = Field(default="next", description="Relation of the link in the header.")
    keep_params: bool = Field(
        default=False, description="The address lacks the stream's parameters: they are sent again."
    )

    def first(self, request: Request) -> Request:
        return self._with_size(request, "query")

    def after(self, request: Request, answer: Answer) -> Request | None:
        link = answer.at(self.body_path) if self.body_path else answer.links.get(self.rel)
        if not link or self._ended(answer):
            return None
        # The link is complete: adding our parameters again would ask for two values of the same one.
        address = urljoin(answer.url, str(link))
        params = request.params if self.keep_params else {}
        return replace(request, url=address, params=params, mark=address)


class Offset(_Paged):
    """Rows are skipped by number; an empty page ends the reading."""

    ends_when_empty: ClassVar[bool] = True

    type: Literal["offset"] = Field(
        default="offset",
        description="`offset`: rows are skipped by number; an empty page ends the reading.",
    )
    param: str = Field(default="offset", description="Parameter with the number of rows to skip.")
    limit_param: str | None = Field(default="limit", description=f"{_SIZE_PARAM} None is sent if null.")
    limit: int = Field(default=1000, gt=0, description="Rows of a page asked for; the server may give fewer.")
    place: Place = Field(default="query", description=PLACE)
    start: int = Field(default=0, ge=0, description="Number of the first row.")
    greatest: int | None = Field(
        default=None, gt=0, description="The API refuses to skip more rows than this: an error, not the end."
    )

    def page_size(self) -> int | None:
        return self.limit if self.limit_param else None

    def resized(self, size: int) -> _Paging:
        return self.model_copy(update={"limit": size})

    def first(self, request: Request) -> Request:
        if self.limit_param:
            request = request.with_value(self.place, self.limit_param, self.limit)
        return request.with_value(self.place, self.param, self.start)

    def after(self, request: Request, answer: Answer) -> Request | None:
        if self._ended(answer):
            return None
        # By the rows received, not by the limit: a server may cap the limit without a word.
        skipped = int(request.value_of(self.place, self.param)) + len(answer.rows)
        return request.with_value(self.place, self.param, skipped)


class PageNumber(_Sized):
    """Pages are numbered; an empty page ends the reading."""

    ends_when_empty: ClassVar[bool] = True

    type: Literal["page_number"] = Field(
        default="page_number",
        description="`page_number`: pages are numbered; an empty page ends the reading.",
    )
    param: str = Field(default="page", description="Parameter with the page's number.")
    place: Place = Field(default="query", description=PLACE)
    start: int = Field(default=1, description="Number of the first page.")
    pages: str | None = Field(
        default=None, description="Path, or `header:Name`, of the number of pages; the last of them ends the reading."
    )

    def first(self, request: Request) -> Request:
        return self._with_size(request, self.place).with_value(self.place, self.param, self.start)

    def after(self, request: Request, answer: Answer) -> Request | None:
        if self._ended(answer):
            return None
        following = int(request.value_of(self.place, self.param)) + 1
        pages = _number(answer.at(self.pages)) if self.pages else None
        if pages is not None and following - self.start >= pages:
            return None
        return request.with_value(self.place, self.param, following)


def _true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true") or (type(value) is int and value != 0)


def _number(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None


Paging = Annotated[NoPaging | NextCursor | LastId | NextLink | Offset | PageNumber, Field(discriminator="type")]
