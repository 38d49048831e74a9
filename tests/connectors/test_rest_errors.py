"""What goes wrong with a REST API: every failure has its code, and no failure shows a secret."""

import asyncio
import socket
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.http import RetryPolicy, action, parse_retry_after
from tests.fixtures.rest_api import Seen, Stub, free_port, read_rest, reply

SECRET = "s3cr3t-0123456789"
CURSOR = {"type": "next_cursor", "body_path": "next", "param": "cursor"}


def in_turn(*answers: Any) -> Any:
    """Each request gets the next answer (or what it returns), the last one for ever."""
    left = list(answers)

    def answer(seen: Seen) -> Any:
        value = left.pop(0) if len(left) > 1 else left[0]
        return value() if callable(value) else value

    return answer


@pytest.fixture(autouse=True)
def no_threads_left() -> Any:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "rest-reader"]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, ConfigError, "rest.unauthorized"),
        (403, ConfigError, "rest.forbidden"),
        (404, ConfigError, "rest.not_found"),
        (400, ConfigError, "rest.rejected"),
        (422, ConfigError, "rest.rejected"),
        (429, TransientError, "rest.unavailable"),
        (500, TransientError, "rest.unavailable"),
        (503, TransientError, "rest.unavailable"),
    ],
)
@pytest.mark.parametrize(
    "auth",
    [
        {"type": "bearer", "token": SECRET},
        {"type": "header", "name": "X-Key", "key": SECRET},
        {"type": "basic", "username": "ann", "password": SECRET},
    ],
)
def test_status_and_secrets(
    stub: Stub,
    status: int,
    kind: type[DataflowError],
    code: str,
    auth: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def echo(seen: Seen) -> Any:  # the rudest of APIs repeats all it was sent
        return reply(status, f"you sent {seen.headers} {seen.query} {SECRET}".encode())

    stub.on("/rows", echo)
    rest = Rest(base_url=stub.url, auth=auth, headers={"X-Other": SECRET}, max_retries=0)
    with pytest.raises(kind) as caught:
        read_rest(rest, params={"api_key": SECRET})
    assert caught.value.code == code
    assert f"status {status}" in caught.value.what
    assert str(caught.value.where) == f"GET {stub.url}/rows page 1"
    assert caught.value.fix
    sent = [value for seen in stub.seen for name, value in seen.headers.items() if name in ("Authorization", "X-Key")]
    assert len(sent) == 1
    shown = "".join(
        [
            str(caught.value),
            repr(caught.value),
            "".join(traceback.format_exception(caught.value)),
            str(rest),
            repr(rest),
            caplog.text,
        ]
    )
    assert SECRET not in shown
    assert sent[0].removeprefix("Basic ") not in shown  # the base64 form


def test_a_secret_stays_hidden_when_the_reading_fails_inside_duckdb(stub: Stub) -> None:
    stub.on(
        "/rows",
        lambda seen: (
            {"data": [{"id": 1}] * 1000, "next": SECRET}
            if "cursor" not in seen.query
            else reply(403, f"not with {SECRET}".encode())
        ),
    )
    rest = Rest(base_url=stub.url, auth={"type": "bearer", "token": SECRET})
    with pytest.raises(ConfigError, match=r"rest\.forbidden") as caught:
        read_rest(rest, records="data", paging=CURSOR)
    # DuckDB's own text, chained to ours, carries the Python traceback.
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "page 2" in str(caught.value.where)


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "bearr", "token": SECRET},
        {"token": SECRET},
        {"type": "bearer", "key": SECRET},
        {"type": "header", "name": "", "key": SECRET},
        {"type": "bearer", "token": SECRET + "\n"},
        {"type": "basic", "username": "ann", "password": SECRET, "more": "x"},
    ],
)
def test_wrong_auth_is_refused_without_showing_it(auth: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"rest\.auth") as caught:
        Rest(base_url="http://127.0.0.1:1", auth=auth)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://",
        "http://h:port/",
        f"https://ann:{SECRET}@host",
        f"https://host?key={SECRET}",
    ],
)
def test_base_url_is_plain_http(url: str) -> None:
    with pytest.raises(ConfigError, match=r"rest\.base_url") as caught:
        Rest(base_url=url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_retry_after_in_seconds(stub: Stub) -> None:
    stub.on("/rows", in_turn(lambda: reply(429, headers={"Retry-After": "1"}), [{"id": 1}]))
    assert read_rest(Rest(base_url=stub.url)) == [(1,)]
    assert stub.seen[1].at - stub.seen[0].at >= 1


def test_retry_after_as_a_date(stub: Stub) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)  # one to two seconds away
    date = format_datetime(until, usegmt=True)
    stub.on("/rows", in_turn(lambda: reply(429, headers={"Retry-After": date}), [{"id": 1}]))
    assert read_rest(Rest(base_url=stub.url)) == [(1,)]
    assert datetime.now(UTC) >= until
    assert len(stub.seen) == 2


def test_a_long_retry_after_is_handed_on(stub: Stub) -> None:
    stub.on("/rows", lambda seen: reply(429, headers={"Retry-After": "3600"}))
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        read_rest(Rest(base_url=stub.url))
    assert caught.value.retry_after == 3600
    assert time.monotonic() - started < 5
    assert len(stub.seen) == 1


def test_500_then_fine(stub: Stub) -> None:
    stub.on("/rows", in_turn(lambda: reply(500), lambda: reply(502), [{"id": 1}]))
    assert read_rest(Rest(base_url=stub.url)) == [(1,)]
    assert len(stub.seen) == 3
    assert stub.seen[1].at - stub.seen[0].at >= 0.25  # half of the first wait of 0.5 s, the least jitter leaves


def test_retries_end(stub: Stub) -> None:
    stub.on("/rows", lambda seen: reply(500))
    with pytest.raises(TransientError, match=r"rest\.unavailable"):
        read_rest(Rest(base_url=stub.url, max_retries=1))
    assert len(stub.seen) == 2


def test_slow_body(stub: Stub) -> None:
    async def slow(seen: Seen) -> Any:
        await asyncio.sleep(30)

    stub.on("/rows", slow)
    started = time.monotonic()
    with pytest.raises(TransientError, match=r"rest\.unavailable") as caught:
        read_rest(Rest(base_url=stub.url, timeout_seconds=0.3, max_retries=1))
    assert "0.3 seconds" in caught.value.what
    assert time.monotonic() - started < 10
    assert len(stub.seen) == 2


def test_close_does_not_wait_for_a_slow_body(stub: Stub) -> None:
    async def slow(seen: Seen) -> Any:
        if "cursor" in seen.query:
            await asyncio.sleep(30)
        return {"data": [{"id": 1}] * 1000, "next": "2"}

    stub.on("/rows", slow)
    with duckdb.connect() as connection:
        options = Rest.StreamOptions.model_validate({"path": "rows", "records": "data", "paging": CURSOR})
        scan = Rest(base_url=stub.url).scan(connection, Stream("rows", options), State())
        caught: list[Exception] = []

        def run() -> None:
            try:
                scan.relation.fetchall()
            except duckdb.Error as error:
                caught.append(error)

        reading = threading.Thread(target=run)
        reading.start()
        time.sleep(0.3)
        scan.close()
        reading.join(5)
        assert not reading.is_alive()
        assert scan.rows_read
        with pytest.raises(TransientError, match=r"rest\.closed"):
            scan.rows_read()
        assert len(caught) == 1


def test_unreachable() -> None:
    rest = Rest(base_url=f"http://127.0.0.1:{free_port()}", max_retries=0)
    with pytest.raises(TransientError, match=r"rest\.unreachable"):
        read_rest(rest)
    with pytest.raises(TransientError, match=r"rest\.unreachable"):
        rest.test_connection()
    with pytest.raises(TransientError, match=r"rest\.unreachable"):
        read_rest(Rest(base_url="http://nowhere.invalid", max_retries=0))  # .invalid never resolves (RFC 2606)


def test_connection_that_breaks_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                connection, _address = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{")

        thread = threading.Thread(target=hang_up)
        thread.start()
        rest = Rest(base_url=f"http://127.0.0.1:{server.getsockname()[1]}", max_retries=1)
        with pytest.raises(TransientError, match=r"rest\.unavailable"):
            read_rest(rest)
        thread.join(5)
        assert not thread.is_alive()  # both tries came


def test_wrong_key_in_test_connection(stub: Stub) -> None:
    stub.on("/", lambda seen: reply(401))
    with pytest.raises(ConfigError, match=r"rest\.unauthorized"):
        Rest(base_url=stub.url).test_connection()


def test_not_json(stub: Stub) -> None:
    stub.on("/rows", lambda seen: reply(body=b"<html>Sign in</html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(TransientError, match=r"rest\.body") as caught:
        read_rest(Rest(base_url=stub.url))
    assert "text/html" in caught.value.what


@pytest.mark.parametrize(
    ("body", "records", "hint"),
    [
        ({"data": {"itemz": [], "total": 0}}, "data.items", "itemz, total"),
        ({"data": []}, "result.items", "data"),
        ({"data": []}, None, "data"),
        ({"data": [1, 2]}, "data", "none"),
        ({"data": None}, "data", "data"),
        ("text", None, "none"),
    ],
)
def test_records_missing(stub: Stub, body: Any, records: str | None, hint: str) -> None:
    stub.on("/rows", lambda seen: body)
    with pytest.raises(ConfigError, match=r"rest\.records") as caught:
        read_rest(Rest(base_url=stub.url), records=records)
    assert caught.value.fix.endswith(f"keys there: {hint}")


def test_loops(stub: Stub) -> None:
    stub.on("/rows", lambda seen: {"data": [{"id": 1}], "next": "same", "link": "/rows?p=2"})
    rest = Rest(base_url=stub.url)
    for paging in (CURSOR, {"type": "next_link", "body_path": "link"}, {"type": "offset"}, {"type": "page_number"}):
        stub.seen.clear()
        with pytest.raises(DataError, match=r"rest\.loop"):
            read_rest(rest, records="data", paging=paging)
        assert len(stub.seen) == 2


def test_page_limit(stub: Stub) -> None:
    stub.on("/rows", lambda seen: [{"id": seen.query["page"]}])
    with pytest.raises(ConfigError, match=r"rest\.page_limit"):
        read_rest(Rest(base_url=stub.url, page_limit=3), paging={"type": "page_number"})
    assert len(stub.seen) == 3


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "bearer", "token": SECRET},
        {"type": "header", "name": "X-Key", "key": SECRET},
        {"type": "basic", "username": "ann", "password": SECRET},
    ],
)
def test_credentials_stay_at_their_host(stub: Stub, other_host: Stub, auth: dict[str, str]) -> None:
    elsewhere = f"{other_host.url}/moved"
    other_host.on("/moved", lambda seen: {"data": [{"id": 7}], "next": None})
    rest = Rest(base_url=stub.url, auth=auth, headers={"X-Other": SECRET})
    stub.on("/rows", lambda seen: reply(302, headers={"Location": elsewhere}))
    assert read_rest(rest, records="data") == [(7,)]
    stub.on("/rows", lambda seen: {"data": [{"id": 6}], "next": elsewhere})
    assert sorted(read_rest(rest, records="data", paging={"type": "next_link", "body_path": "next"})) == [(6,), (7,)]
    assert len(other_host.seen) == 2
    assert SECRET not in str(other_host.seen)
    assert not {"Authorization", "X-Key", "X-Other"} & {name for seen in other_host.seen for name in seen.headers}
    assert all("X-Other" in seen.headers for seen in stub.seen)


def moved(target: str, seen: Seen) -> Any:
    return reply(302, headers={"Location": target})


def test_redirects(stub: Stub, other_host: Stub) -> None:
    rest = Rest(base_url=stub.url, auth={"type": "header", "name": "X-Key", "key": SECRET})
    stub.on("/rows", lambda seen: reply(308, headers={"Location": "/v2/rows?kept=1"}))
    stub.on("/v2/rows", lambda seen: [{"id": 1}])
    assert read_rest(rest) == [(1,)]
    assert stub.seen[-1].headers["X-Key"] == SECRET  # the same host
    assert stub.seen[-1].query == {"kept": "1"}
    for target in ("file:///etc/passwd", "", "http://"):
        stub.on("/rows", partial(moved, target))
        with pytest.raises(ConfigError, match=r"rest\.redirect"):
            read_rest(rest)
    stub.on("/rows", lambda seen: reply(302, headers={"Location": "/rows"}))
    with pytest.raises(ConfigError, match="more than 10 redirects"):
        read_rest(rest)
    other_host.on("/rows", lambda seen: reply(401))
    stub.on("/rows", lambda seen: reply(302, headers={"Location": f"{other_host.url}/rows"}))
    with pytest.raises(ConfigError, match="redirected to another host") as caught:
        read_rest(rest)
    assert caught.value.code == "rest.unauthorized"


def test_status_table() -> None:
    assert [action(status) for status in (200, 204, 301, 400, 401, 403, 404, 408, 418, 429, 500, 503, 599)] == [
        "ok",
        "ok",
        "redirect",
        "rejected",
        "unauthorized",
        "forbidden",
        "not_found",
        "retry",
        "rejected",
        "retry",
        "retry",
        "retry",
        "retry",
    ]


def test_retry_after_forms() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_retry_after("120", now) == 120
    assert parse_retry_after("Thu, 01 Jan 2026 00:01:30 GMT", now) == 90
    assert parse_retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0  # past: at once
    assert [parse_retry_after(text, now) for text in (None, "", "soon", "-5", "1.5")] == [None] * 5


def test_backoff_grows_and_ends() -> None:
    policy = RetryPolicy(retries=8, first_wait=1, longest_backoff=30)
    for attempt, ceiling in enumerate([1, 2, 4, 8, 16, 30, 30, 30]):
        wait = policy.wait(attempt, None)
        assert wait is not None
        assert ceiling / 2 <= wait <= ceiling
    assert policy.wait(8, None) is None
    assert policy.wait(0, 60) == 60
    assert policy.wait(0, 61) is None
