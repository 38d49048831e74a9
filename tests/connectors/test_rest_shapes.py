"""Endpoints that are more than a list: parents and children, GraphQL, exports, and answers that are no JSON."""

import asyncio
import gzip
import io
import json
import tracemalloc
import zipfile
from typing import Any

import pytest

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.reading import Plan
from dataflow_platform.core.errors import ConfigError, TransientError
from tests.fixtures.rest_api import Seen, Stub, read_dicts, reply


def read(stub: Stub, **options: Any) -> list[dict[str, Any]]:
    return read_dicts(Rest(base_url=stub.url, max_retries=0), Endpoint.model_validate({"path": "rows", **options}))


def test_children_of_children(stub: Stub) -> None:
    stub.on("/orgs", lambda seen: [{"login": "a b"}, {"login": "c"}])
    stub.on("/orgs/a b/repos", lambda seen: [{"name": "x/y", "archived": False}, {"name": "old", "archived": True}])
    stub.on("/orgs/c/repos", lambda seen: [{"name": "z", "archived": False}])
    stub.on("/repos/a b/x/y/issues", lambda seen: [{"id": 1}, {"id": 2}])
    stub.on("/repos/c/z/issues", lambda seen: [{"id": 3}])
    repos = {
        "path": "orgs/{org}/repos",
        "parent": {"endpoint": "orgs", "values": {"org": "login"}, "columns": {"org": "login"}},
    }
    rows = read(
        stub,
        path="repos/{org}/{repo}/issues",
        parent={"endpoint": repos, "values": {"org": "org", "repo": "name"}, "columns": {"repo": "name"},
                "where": {"archived": False}},
    )  # fmt: skip
    assert sorted((row["repo"], row["id"]) for row in rows) == [("x/y", 1), ("x/y", 2), ("z", 3)]
    assert "/repos/a b/x/y/issues" in [seen.path for seen in stub.seen]


def test_a_parent_that_is_gone_has_no_rows(stub: Stub) -> None:
    stub.on("/all", lambda seen: [{"n": number} for number in range(4)])
    for number in range(4):
        stub.on(f"/one/{number}", lambda seen: reply(404) if seen.path.endswith("2") else [{"id": seen.path}])
    parent = {"endpoint": "all", "values": {"n": "n"}}
    assert len(read(stub, path="one/{n}", parent={**parent, "skip_missing": True})) == 3
    with pytest.raises(ConfigError, match=r"rest\.not_found"):
        read(stub, path="one/{n}", parent=parent)


def test_an_error_of_one_child_ends_the_reading_with_that_error(stub: Stub) -> None:
    stub.on("/all", lambda seen: [{"n": number} for number in range(50)])
    for number in range(50):
        stub.on(f"/one/{number}", lambda seen: reply(403, b"no") if seen.path.endswith("/7") else [{"id": 1}] * 10)
    with pytest.raises(ConfigError, match=r"rest\.forbidden"):
        read(stub, path="one/{n}", parent={"endpoint": "all", "values": {"n": "n"}})


QUERY = "query($first: Int!, $after: String) { orders(first: $first, after: $after) { edges { node { id } } } }"
GRAPHQL: dict[str, Any] = {
    "path": "graphql",
    "graphql": {"query": QUERY, "variables": {"first": 2, "filter": "updated_at:>={cursor}"}},
    "records": "data.orders.edges[].node",
    "paging": {"type": "next_cursor", "place": "body", "param": "variables.after",
               "body_path": "data.orders.pageInfo.endCursor", "has_more": "data.orders.pageInfo.hasNextPage"},
}  # fmt: skip


def test_graphql_pages_by_a_variable(stub: Stub) -> None:
    def answer(seen: Seen) -> Any:
        start = int(seen.json["variables"].get("after", 0))
        edges = [{"node": {"id": number}} for number in range(start, min(start + 2, 5))]
        info = {"endCursor": str(start + 2), "hasNextPage": start + 2 < 5}
        return {"data": {"orders": {"edges": edges, "pageInfo": info}}}

    stub.on("/graphql", answer)
    assert [row["id"] for row in read(stub, **GRAPHQL)] == [0, 1, 2, 3, 4]
    assert {seen.json["query"] for seen in stub.seen} == {QUERY}
    # Without a cursor yet the filter that names it is left out.
    assert [seen.json["variables"] for seen in stub.seen] == [
        {"first": 2}, {"first": 2, "after": "2"}, {"first": 2, "after": "4"},
    ]  # fmt: skip
    assert {seen.method for seen in stub.seen} == {"POST"}


def test_graphql_tells_errors_with_200(stub: Stub) -> None:
    stub.on("/graphql", lambda seen: {"errors": [{"message": "Field 'x' doesn't exist"}]})
    with pytest.raises(ConfigError, match=r"rest\.rejected") as caught:
        read(stub, **GRAPHQL)
    assert "Field 'x' doesn't exist" in caught.value.what
    assert len(stub.seen) == 1


def test_graphql_that_is_too_fast_is_asked_again(stub: Stub) -> None:
    done = {"data": {"orders": {"edges": [{"node": {"id": 1}}], "pageInfo": {"hasNextPage": False}}}}
    answers = iter([{"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}, done])
    stub.on("/graphql", lambda seen: next(answers))
    assert read_dicts(Rest(base_url=stub.url), Endpoint.model_validate(GRAPHQL)) == [{"id": 1}]


JOB: dict[str, Any] = {
    "path": "jobs",
    "body": {"operation": "query", "query": "SELECT Id FROM Account"},
    "job": {"values": {"id": "id"}, "poll": "jobs/{job.id}", "status": "state", "done": ["JobComplete"],
            "failed": ["Failed"], "empty": ["NoData"], "message": "errorMessage", "interval_seconds": 0.01,
            "result": "jobs/{job.id}/results"},
    "format": "csv",
    "columns": {"Id": "VARCHAR", "Amount": "DECIMAL(18,2)"},
    "paging": {"type": "next_cursor", "body_path": "header:Sforce-Locator", "param": "locator"},
}  # fmt: skip


def test_an_export_is_created_waited_for_and_downloaded_page_by_page(stub: Stub) -> None:
    states = iter(["UploadComplete", "InProgress", "JobComplete"])
    stub.on("/jobs", lambda seen: {"id": "7 50", "state": "UploadComplete"})
    stub.on("/jobs/7 50", lambda seen: {"state": next(states)})

    def results(seen: Seen) -> Any:
        if "locator" not in seen.query:
            return reply(body=b'Id,Amount\na,1.10\n"b,c",\n', headers={"Sforce-Locator": "p2"})
        return reply(body=gzip.compress(b"Id,Amount\nd,123456789012345.67\n"))

    stub.on("/jobs/7 50/results", results)
    rows = read(stub, **JOB)
    assert [(row["Id"], row["Amount"] and str(row["Amount"])) for row in rows] == [
        ("a", "1.10"), ("b,c", None), ("d", "123456789012345.67"),
    ]  # fmt: skip
    assert [(seen.method, seen.path) for seen in stub.seen] == [
        ("POST", "/jobs"), *[("GET", "/jobs/7 50")] * 3, *[("GET", "/jobs/7 50/results")] * 2,
    ]  # fmt: skip
    assert stub.seen[0].json == JOB["body"]


def test_an_export_without_rows(stub: Stub) -> None:
    stub.on("/jobs", lambda seen: {"id": 1})
    stub.on("/jobs/1", lambda seen: {"state": "NoData"})
    assert read(stub, **JOB) == []


def test_an_export_that_failed_and_one_that_never_ends(stub: Stub) -> None:
    stub.on("/jobs", lambda seen: {"id": 1})
    stub.on("/jobs/1", lambda seen: {"state": "Failed", "errorMessage": "InvalidQuery"})
    with pytest.raises(TransientError, match=r"rest\.job_failed") as caught:
        read(stub, **JOB)
    assert "InvalidQuery" in caught.value.what
    stub.on("/jobs/1", lambda seen: {"state": "InProgress"})
    with pytest.raises(TransientError, match=r"rest\.job_late"):
        read(stub, **{**JOB, "job": {**JOB["job"], "timeout_seconds": 0.1}})


def test_results_on_another_host_get_no_credentials(stub: Stub, other_host: Stub) -> None:
    stub.on("/jobs", lambda seen: reply(202, b"", {"Location": f"{stub.url}/poll/5"}))
    stub.on(
        "/poll/5", lambda seen: {"state": "done", "files": [{"url": f"{other_host.url}/f{n}?sig=x"} for n in (1, 2)]}
    )
    other_host.on("/f1", lambda seen: reply(body=gzip.compress(b'{"id": 1}\n{"id": 2}\n')))
    other_host.on("/f2", lambda seen: reply(body=b'{"id": 3}'))
    job = {"values": {"url": "header:Location"}, "poll": "{job.url}", "status": "state", "done": ["done"],
           "urls": "files[].url", "interval_seconds": 0.01}  # fmt: skip
    rest = Rest(base_url=stub.url, auth={"type": "bearer", "token": "s3cr3t-token"})
    options = {"path": "jobs", "method": "POST", "job": job, "format": "jsonl"}
    assert [row["id"] for row in read_dicts(rest, Endpoint.model_validate(options))] == [1, 2, 3]
    assert all("Authorization" not in seen.headers for seen in other_host.seen)
    assert {seen.query["sig"] for seen in other_host.seen} == {"x"}


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


XML = b"""<?xml version="1.0"?><s:Envelope xmlns:s="x"><s:Body><list total="2">
<item id="1"><name>a &amp; b</name><tag>x</tag><tag>y</tag></item><item id="2"><name/></item></list>
</s:Body></s:Envelope>"""


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        (b"a;b\n1;'x;y'\n", {"format": "csv", "csv": {"delimiter": ";", "quote": "'"}}, [{"a": "1", "b": "x;y"}]),
        (b"report of 2024\n\na,b\n1,2\n", {"format": "csv", "csv": {"skip": 2}, "columns": {"a": "BIGINT"}},
         [{"a": 1, "b": "2"}]),
        ("\ufeffa,b\n1,\u00e4\n".encode(), {"format": "csv"}, [{"a": "1", "b": "\u00e4"}]),
        (b'{"a": 9007199254740993}\n\n{"a": 2}\n', {"format": "jsonl"}, [{"a": 9007199254740993}, {"a": 2}]),
        (zipped(one=b'{"a": 1}\n', two=b'{"a": 2}\n'), {"format": "jsonl"}, [{"a": 1}, {"a": 2}]),
        (gzip.compress(b'[{"a": 1}]'), {}, [{"a": 1}]),
        (XML, {"format": "xml", "records": "Envelope.Body.list.item"},
         [{"@id": "1", "name": "a & b", "tag": '["x","y"]'}, {"@id": "2", "name": None, "tag": None}]),
        (b"<r><item><a>1</a></item></r>", {"format": "xml", "records": "r.item"}, [{"a": "1"}]),  # one is a list, too
        (b"<r></r>", {"format": "xml", "records": "r.item", "columns": {"a": "VARCHAR"}}, []),
    ],
    ids=["csv", "csv with a title", "csv with a mark", "json lines", "zip", "gzip", "xml", "xml of one", "xml of none"],
)  # fmt: skip
def test_formats(stub: Stub, body: bytes, options: dict[str, Any], expected: list[Any]) -> None:
    stub.on("/rows", lambda seen: reply(body=body))
    assert read(stub, **options) == expected


@pytest.mark.parametrize(
    ("body", "format"),
    [(b"<r><a></r>", "xml"), (b"a,b\n1\n", "csv"), (b'{"a": 1}\n{"a"', "jsonl"),
     (gzip.compress(b"[1]" * 99)[:-9], "json"),
     (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><r><a>&a;</a></r>', "xml")],
    ids=["xml", "csv", "jsonl", "gzip", "xml that asks for a file"],
)  # fmt: skip
def test_broken_bodies_are_told(stub: Stub, body: bytes, format: str) -> None:
    stub.on("/rows", lambda seen: reply(body=body))
    with pytest.raises(TransientError, match=r"rest\.body"):
        read(stub, format=format, records="r" if format == "xml" else "$")


def test_what_does_not_fit_goes_into_the_overflow_column(stub: Stub) -> None:
    rows = [{"id": number, "price": 1} for number in range(1000)]  # the columns are settled on these

    def answer(seen: Seen) -> Any:
        late = [{"id": 1000, "price": "on request", "new": {"a": 1}}, {"id": 2**70, "price": 2.5}]
        return reply(body=json.dumps({"1": rows, "2": late}.get(seen.query["page"], [])).encode())

    stub.on("/rows", answer)
    found = read(stub, paging={"type": "page_number"}, overflow="more")
    assert len(found) == 1002
    assert [row["more"] for row in found[:1000]] == [None] * 1000
    assert (found[1000]["id"], found[1000]["price"]) == (1000, None)
    assert json.loads(found[1000]["more"]) == {"new": {"a": 1}, "price": "on request"}
    assert json.loads(found[1001]["more"]) == {"id": 2**70, "price": 2.5}  # no digit is lost


def test_a_large_result_does_not_grow_memory(stub: Stub) -> None:
    """60,000 lines of a kilobyte are 60 MB; of them a few thousand are held at a time."""
    line = "x" * 1000
    packed = gzip.compress("".join(["id,text\n", *(f"{n},{line}\n" for n in range(60_000))]).encode(), 1)
    stub.on("/jobs", lambda seen: {"id": 1})
    stub.on("/jobs/1", lambda seen: {"state": "JobComplete"})
    stub.on("/jobs/1/results", lambda seen: reply(body=packed))
    endpoint = Endpoint.model_validate({**JOB, "paging": {"type": "none"}, "columns": {"id": "BIGINT"}})

    async def count() -> int:
        rows, reading = 0, Plan(Access(stub.url), endpoint).pages()
        while page := await reading.next():
            rows += len(page.rows)
        await reading.close()
        return rows

    tracemalloc.start()
    try:
        assert asyncio.run(count()) == 60_000
        assert tracemalloc.get_traced_memory()[1] < 25e6  # 5,000 rows of a chunk, twice, and what came packed
    finally:
        tracemalloc.stop()


def test_a_result_that_is_left_in_the_middle_is_let_go(stub: Stub) -> None:
    stub.on("/jobs", lambda seen: {"id": 1})
    stub.on("/jobs/1", lambda seen: {"state": "JobComplete"})
    stub.on("/jobs/1/results", lambda seen: reply(body=b"id\n" + b"1\n" * 20_000 + b"1,2\n"))
    endpoint = Endpoint.model_validate({**JOB, "paging": {"type": "none"}, "columns": {}})

    async def first() -> int:
        reading = Plan(Access(stub.url), endpoint).pages()
        page = await reading.next()
        await reading.close()
        return len(page.rows) if page else 0

    assert asyncio.run(first()) == 5_000  # an unclosed file would be a warning, which is an error here
    with pytest.raises(TransientError, match=r"rest\.body"):  # the last line has a value too many
        read_dicts(Rest(base_url=stub.url), endpoint)
