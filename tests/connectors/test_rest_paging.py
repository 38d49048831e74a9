"""Every way from one page to the next, and the ways out of pages that never end."""

from collections.abc import Callable
from typing import Any

import pytest

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core.errors import ConfigError, DataError
from tests.fixtures.rest_api import Seen, Stub, read_dicts, reply

TOTAL = 25  # records of the stub; pages of 10 make three, the last of five


def page_of(start: int, size: int = 10) -> list[dict[str, Any]]:
    return [{"id": number} for number in range(start, min(start + size, TOTAL))]


def ids(stub: Stub, **options: Any) -> list[int]:
    rows = read_dicts(Rest(base_url=stub.url, max_retries=0), Rest.StreamOptions.model_validate(options))
    return [row["id"] for row in rows]


def last_id(seen: Seen) -> Any:
    rows = page_of(int(seen.query.get("starting_after", -1)) + 1)
    return {"data": rows, "has_more": rows[-1]["id"] < TOTAL - 1}


def bundle(seen: Seen) -> Any:
    start = int(seen.query.get("at", 0))
    links = [{"relation": "self", "url": "x"}]
    if start + 10 < TOTAL:
        links.append({"relation": "next", "url": f"/rows?at={start + 10}"})
    return {"link": links, "entry": [{"resource": row} for row in page_of(start)]}


def token_in_body(seen: Seen) -> Any:
    start = int(seen.json.get("page", {}).get("token") or 0)
    end = start + 10
    return {"rows": page_of(start), "next": str(end) if end < TOTAL else ""}


def by_offset(seen: Seen) -> Any:
    return {"rows": page_of(int(seen.query["offset"])), "total": TOTAL}


def by_page(seen: Seen) -> Any:
    rows = page_of((int(seen.query["page"]) - 1) * 10)
    return reply(body=str(rows).replace("'", '"').encode(), headers={"X-Pages": "3"})


def odata(seen: Seen) -> Any:
    start = int(seen.query.get("$skip", 0))
    link = {"@odata.nextLink": f"/rows?$skip={start + 10}"} if start + 10 < TOTAL else {}
    return {"value": page_of(start), **link}


def in_query_text(seen: Seen) -> Any:
    words = seen.query["query"].split()
    start, size = int(words[words.index("STARTPOSITION") + 1]), int(words[words.index("MAXRESULTS") + 1])
    return {"rows": page_of(start - 1, size)}


def cursor_in_header(seen: Seen) -> Any:
    start = int(seen.query.get("locator", 0))
    end = str(start + 10) if start + 10 < TOTAL else ""
    return reply(body=str(page_of(start)).replace("'", '"').encode(), headers={"Sforce-Locator": end})


CASES: dict[str, tuple[Callable[[Seen], Any], dict[str, Any], int]] = {
    # name: the server, the stream, the requests it takes
    "last id, has_more": (
        last_id,
        {"records": "data", "paging": {"type": "last_id", "param": "starting_after", "has_more": "has_more"}}, 3,
    ),
    "Bundle.link": (
        bundle,
        {"records": "entry[].resource", "paging": {"type": "next_link", "body_path": "link[relation=next].url"}},
        3,
    ),
    "token in the body of a POST": (
        token_in_body,
        {"method": "POST", "body": {"page": {"size": 10}}, "records": "rows",
         "paging": {"type": "next_cursor", "body_path": "next", "param": "page.token", "place": "body"}},
        3,
    ),
    "offset with total": (
        by_offset, {"records": "rows", "paging": {"type": "offset", "limit": 10, "total": "total"}}, 3
    ),
    "offset, short page": (
        by_offset, {"records": "rows", "paging": {"type": "offset", "limit": 10, "short_page_ends": True}}, 3
    ),
    "page number with pages in a header": (
        by_page, {"paging": {"type": "page_number", "pages": "header:X-Pages"}}, 3
    ),
    "page number until an empty page": (by_page, {"paging": {"type": "page_number"}}, 4),
    "key with a dot": (
        odata, {"records": "value", "paging": {"type": "next_link", "body_path": '"@odata.nextLink"'}}, 3
    ),
    "offset in a query text": (
        in_query_text,
        {"records": "rows", "params": {"query": "select * from X STARTPOSITION {offset} MAXRESULTS {limit}"},
         "paging": {"type": "offset", "place": "template", "start": 1, "limit": 10}},
        4,
    ),
    "cursor in a header": (
        cursor_in_header,
        {"paging": {"type": "next_cursor", "body_path": "header:Sforce-Locator", "param": "locator"}}, 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_record_comes_once(stub: Stub, name: str) -> None:
    answer, options, requests = CASES[name]
    stub.on("/rows", answer)
    assert ids(stub, path="rows", **options) == list(range(TOTAL))
    assert len(stub.seen) == requests


def test_a_cursor_keeps_its_type_in_a_body_and_the_rest_of_the_body_stays(stub: Stub) -> None:
    stub.on(
        "/rows", lambda seen: {"rows": [{"id": seen.json.get("from", 0)}], "next": {0: 1}.get(seen.json.get("from", 0))}
    )
    paging = {"type": "next_cursor", "body_path": "next", "param": "from", "place": "body"}
    assert ids(stub, path="rows", body={"kind": "a"}, records="rows", paging=paging) == [0, 1]
    assert [seen.json for seen in stub.seen] == [{"kind": "a"}, {"kind": "a", "from": 1}]


@pytest.mark.parametrize(
    ("paging", "answer"),
    [
        # A cursor that comes back, at once or after two others.
        ({"type": "next_cursor", "body_path": "next", "param": "c"}, lambda seen: {"next": "a", "rows": [{"id": 1}]}),
        (
            {"type": "next_cursor", "body_path": "next", "param": "c"},
            lambda seen: {
                "next": {"a": "b", "b": "a"}.get(seen.query.get("c", ""), "a"), "rows": [{"id": len(seen.query)}],
            },
        ),
        # A cursor that comes back with rows that are always new.
        (
            {"type": "next_cursor", "body_path": "next", "param": "c"},
            lambda seen: {"next": "a", "rows": [{"id": seen.at}]},
        ),
        # Cursors for ever new, rows always the same: what no set of cursors notices.
        (
            {"type": "next_cursor", "body_path": "next", "param": "c"},
            lambda seen: {"next": f"{seen.at}", "rows": [{"id": 1}]},
        ),
        ({"type": "last_id", "param": "after"}, lambda seen: {"rows": [{"id": 7}]}),
        # The server pays no heed to offset or page; its body tells the time, so no two are equal.
        ({"type": "offset"}, lambda seen: {"at": seen.at, "rows": [{"id": 1}, {"id": 2}]}),
        ({"type": "page_number"}, lambda seen: {"at": seen.at, "rows": [{"id": 1}, {"id": 2}]}),
        ({"type": "next_link", "body_path": "next"}, lambda seen: {"next": "/rows?p=1", "rows": [{"id": 1}]}),
    ],
    ids=[
        "cursor at once", "cursor later", "new rows", "cursors invented", "last id", "offset", "page", "link"
    ],
)  # fmt: skip
def test_pages_that_never_end_are_stopped(stub: Stub, paging: Any, answer: Callable[[Seen], Any]) -> None:
    stub.on("/rows", answer)
    with pytest.raises(DataError, match=r"rest\.loop"):
        ids(stub, path="rows", records="rows", paging=paging)
    assert len(stub.seen) <= 60  # 50 pages with the same rows, and what was fetched ahead


def test_a_page_size_that_is_refused_is_halved(stub: Stub) -> None:
    def answer(seen: Seen) -> Any:
        limit = int(seen.query["limit"])
        if limit > 30:
            return reply(400, b'{"error": "limit is 30 at most"}')
        return page_of(int(seen.query["offset"]), limit)

    stub.on("/rows", answer)
    paging = {"type": "offset", "limit": 100, "smallest": 10}
    assert ids(stub, path="rows", paging=paging) == list(range(TOTAL))
    assert [seen.query["limit"] for seen in stub.seen] == ["100", "50", "25", "25"]


def test_a_page_size_is_not_halved_below_the_smallest(stub: Stub) -> None:
    stub.on("/rows", lambda seen: reply(400, b"no"))
    with pytest.raises(ConfigError, match=r"rest\.rejected"):
        ids(stub, path="rows", paging={"type": "page_number", "size_param": "n", "size": 40, "smallest": 20})
    assert [seen.query["n"] for seen in stub.seen] == ["40", "20"]


@pytest.mark.parametrize(
    ("body", "records", "fields", "expected"),
    [
        ([{"page": 1}, [{"id": 1}]], "[1]", {}, [{"id": 1}]),  # World Bank
        ({"list": [{"customer": {"id": 1}}, {"card": 2}]}, "list[].customer", {}, [{"id": 1}]),  # Chargebee
        ({"a": [{"id": 1}], "b": [{"id": 2}]}, {"path": ["a", "b"]}, {}, [{"id": 1}, {"id": 2}]),  # Plaid
        ({}, {"path": "files", "optional": True}, {}, []),
        ({"rates": {"EUR": 1, "USD": 2}}, {"path": "rates", "shape": "map", "key_column": "code"}, {},
         [{"code": "EUR", "value": 1}, {"code": "USD", "value": 2}]),
        ({"days": {"d1": {"v": 1}}}, {"path": "days", "shape": "map"}, {}, [{"key": "d1", "v": 1}]),
        ({"values": [["a", "b"], [1, 2], [3]]}, {"path": "values", "shape": "rows"}, {},
         [{"a": 1, "b": 2}, {"a": 3, "b": None}]),
        ({"fields": ["a"], "data": [[1]]}, {"path": "data", "shape": "rows", "header": "fields"}, {}, [{"a": 1}]),
        ([5, 6], {"shape": "values"}, {}, [{"value": 5}, {"value": 6}]),
        ({"id": 9}, {"shape": "object"}, {}, [{"id": 9}]),
        ([{"id": 1, "at": {"x": "2020"}}], "$", {"when": "at.x"}, [{"id": 1, "at": '{"x":"2020"}', "when": "2020"}]),
    ],
)  # fmt: skip
def test_records_are_found(stub: Stub, body: Any, records: Any, fields: Any, expected: Any) -> None:
    stub.on("/rows", lambda seen: body)
    columns = {} if expected else {"id": "BIGINT"}
    options = {"path": "rows", "records": records, "fields": fields, "columns": columns}
    assert read_dicts(Rest(base_url=stub.url), Rest.StreamOptions.model_validate(options)) == expected
