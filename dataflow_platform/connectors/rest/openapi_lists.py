"""Which operations of a description answer lists of records, and what their names let suppose. Pure guessing: a draft
made of it is to be read by a person, and held against the same description."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataflow_platform.connectors.rest.openapi import Description, Operation
from dataflow_platform.connectors.rest.openapi_shape import Shape

_LISTS = ("data", "results", "items", "records", "values", "entries", "result", "list", "objects", "rows")
_KEYS = ("id", "gid", "uuid", "sid", "uid", "_id", "Id", "ID", "key", "code", "name")
_CHANGED = (
    "updated_at", "updatedAt", "updated", "modified_at", "modifiedAt", "last_modified", "lastModified",
    "last_updated", "lastUpdated", "update_time", "updateTime", "updated_on", "modifiedTime", "lastModifiedDateTime",
    "date_updated", "date_modified", "last_updated_at", "modified", "changed_at", "last_changed",
)  # fmt: skip
_CREATED = (
    "created_at", "createdAt", "created", "created_on", "date_created", "create_time", "createTime", "createdDate",
    "creationTime", "created_time", "timestamp", "date",
)  # fmt: skip
_SINCE = (
    "updated_since", "modified_since", "updated_after", "updated_at_min", "updatedMin", "since", "modified_after",
    "since_last_changed", "created_since", "created_after", "start_time", "from", "after_date",
)  # fmt: skip
_CURSORS = (
    "cursor", "page_token", "pageToken", "next_token", "nextToken", "pagination_token", "page[cursor]", "start_cursor",
    "starting_after", "after", "marker", "next_page_token", "stream_position", "max_id", "offset",
    "continuation", "continuationToken",
)  # fmt: skip
_NEXT_CURSOR = re.compile(
    r"^(next|(next_?)?(cursor|offset|stream_?position)|next_?(page_?token|token|marker)|after|starting_after|end_?cursor|"
    r"continuation_?token)$",
    re.IGNORECASE,
)
_NEXT_LINK = re.compile(r"^(next|next_?url|next_?link|next_?page(_?(uri|url))?|nextUri|href)$", re.IGNORECASE)
_LAST_ID = ("starting_after", "after", "after_id", "since_id")
_OFFSETS = ("offset", "start", "startAt", "start_position", "skip", "from_record", "startRow")
_PAGES = (
    "page", "page_number", "pageNumber", "page[number]", "currentPage", "p", "Page", "searchCriteria[currentPage]",
)  # fmt: skip
_SIZES = (
    "limit", "per_page", "page_size", "pageSize", "PageSize", "count", "maxResults", "max_results", "page[size]",
    "perPage", "pagelen", "size",
)  # fmt: skip


@dataclass(frozen=True)
class NextPage:
    """How pages seem to follow each other. ``path`` is where the body carries what leads on."""

    kind: str
    param: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListEndpoint:
    """One operation that answers records."""

    operation: Operation
    name: str
    records: tuple[str, ...]
    record: Shape
    primary_key: str | None
    cursor: str | None
    cursor_param: str | None
    paging: NextPage
    size_param: str | None
    size: int | None


def list_endpoints(description: Description) -> Iterator[ListEndpoint]:
    """Every operation GET that answers a list of objects, in the document's order; none that is deprecated."""
    taken: set[str] = set()
    for method, path, _ in description.keys:
        # What ends in a name asks for a single thing, even where that holds a list.
        # Google names what `{+parent}` takes a second time, part by part.
        if method != "GET" or path.rstrip("/").endswith("}") or "{+" in path or "#" in path:
            continue
        operation = description.operation(method, path)
        found = None if operation.deprecated or operation.answer is None else records_of(operation.answer, path)
        if found is None:
            continue
        name = _name(path, taken)
        taken.add(name)
        yield _endpoint(operation, name, *found)


def _endpoint(operation: Operation, name: str, records: tuple[str, ...], record: Shape) -> ListEndpoint:
    query = operation.names("query")
    size_param = _first(_SIZES, query)
    size = operation.parameter(size_param) if size_param else None
    most = size.shape.maximum if size else None
    since = _first(_SINCE, query)
    plain = frozenset(
        each
        for each in record.names
        if (inner := record.field(each)) is not None and not inner.kinds & {"object", "array"}
    )
    return ListEndpoint(
        operation=operation,
        name=name,
        records=records,
        record=record,
        primary_key=_first((*_KEYS[:8], f"{_singular(name)}_id", *_KEYS[8:]), plain),
        cursor=_first((*_CHANGED, *_CREATED), plain),
        cursor_param=since,
        paging=paging_of(operation),
        size_param=size_param,
        size=int(most) if most and most < 10_000 else None,
    )


def records_of(answer: Shape, path: str = "") -> tuple[tuple[str, ...], Shape] | None:
    """Where the list of records is in ``answer``, and one record; None where none is found.

    A list named as lists are named, or as the path's last word, goes before others, the outer before the inner.
    """
    if answer.items is not None and answer.items.names:
        return (), answer.items
    words = [word for word in path.split("/") if word and "{" not in word]
    wanted = [*_LISTS, *words[::-1], *(_singular(word) for word in words[::-1])]
    level: list[tuple[tuple[str, ...], Shape]] = [((), answer)]
    for _ in range(2):
        lists = {
            (*at, name): inner.items
            for at, shape in level
            for name in sorted(shape.names)
            if (inner := shape.field(name)) is not None
            and inner.items is not None
            and inner.items.names
            and name not in ("_links", "links", "errors")
        }
        if lists:
            best = min(lists, key=lambda at: wanted.index(at[-1]) if at[-1] in wanted else len(wanted))
            return (best, lists[best]) if best[-1] in wanted or len(lists) == 1 else None
        level = [
            ((*at, name), inner)
            for at, shape in level
            for name in sorted(shape.names)
            if (inner := shape.field(name)) is not None and inner.items is None and inner.names
        ]
    return None


def paging_of(operation: Operation) -> NextPage:
    """How pages of ``operation`` seem to follow each other, by its parameters and its answer."""
    query = operation.names("query")
    if operation.method == "POST" and operation.body is not None:
        query = [*query, *sorted(operation.body.names)]
    answer = operation.answer
    inside = list(_scalars(answer)) if answer is not None and answer.items is None else []
    cursor = _first(_CURSORS, query)
    if cursor:
        numeric = operation.parameter(cursor)
        told = next((at for at in inside if _NEXT_CURSOR.match(at[-1]) and "prev" not in at[-1].lower()), None)
        if told and not (numeric and numeric.shape.kinds & {"integer", "number"}):
            return NextPage("next_cursor", cursor, told)
    link = next((at for at in inside if _NEXT_LINK.match(at[-1]) and any("next" in part.lower() for part in at)), None)
    if link:
        return NextPage("next_link", path=link)
    page, offset = _first(_PAGES, query), _first(_OFFSETS, query)
    if operation.answer_headers & {"link"}:
        return NextPage("next_link")
    last = _first(_LAST_ID, query)
    if last and ("has_more",) in inside:
        return NextPage("last_id", last, ("has_more",))
    if page:
        return NextPage("page_number", page)
    if offset:
        return NextPage("offset", offset)
    # A cursor that goes with a size leads on, even where the answer does not say from where it is taken.
    return NextPage("unknown", cursor) if cursor and _first(_SIZES, query) else NextPage("none")


def _scalars(shape: Shape, at: tuple[str, ...] = (), depth: int = 3) -> Iterator[tuple[str, ...]]:
    """The fields that are no list and no object, the outermost first."""
    nested = []
    for name in sorted(shape.names):
        inner = shape.field(name)
        if inner is None or inner.items is not None:
            continue
        if inner.names:
            nested.append((name, inner))
        else:
            yield (*at, name)
    if depth > 1:
        for name, inner in nested:
            yield from _scalars(inner, (*at, name), depth - 1)


def _first(wanted: Sequence[str], known: Sequence[str] | frozenset[str]) -> str | None:
    return next((name for name in wanted if name in known), None)


def _singular(word: str) -> str:
    return re.sub(r"(?<=.)s$", "", re.sub(r"ies$", "y", word))


def _name(path: str, taken: set[str]) -> str:
    """A name of the path's words, as short as it is free."""
    words = [re.sub(r"\W+", "_", word.removesuffix(".json")).strip("_").lower() for word in path.split("/")]
    words = [word for word, raw in zip(words, path.split("/"), strict=True) if word and "{" not in raw]
    words = words or ["list"]
    for length in range(1, len(words) + 1):
        if (name := "_".join(words[-length:])) not in taken:
            return name
    number = next(n for n in range(2, 10_000) if f"{words[-1]}_{n}" not in taken)
    return f"{words[-1]}_{number}"
