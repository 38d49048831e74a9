"""How fast an API is asked, what it says about that, and what an answer that is no success means."""

import asyncio
import multiprocessing
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.connectors.rest.budget import Budget, seconds_until
from dataflow_platform.connectors.rest.rate import Rate
from dataflow_platform.core.errors import ConfigError, TransientError
from dataflow_platform.core.http import RetryPolicy
from tests.fixtures.rest_api import Seen, Stub, read_rest, reply

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("12", "auto", 12.0),
        ("1.5", "seconds", 1.5),
        (str(int(NOW) + 30), "auto", 30.0),
        (str(int(NOW) + 30), "unix", 30.0),
        (str((int(NOW) + 30) * 1000), "auto", 30.0),
        (str((int(NOW) + 30) * 1000), "unix_ms", 30.0),
        (datetime.fromtimestamp(NOW + 30, UTC).isoformat(), "auto", 30.0),
        (format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True), "auto", 30.0),
        (str(int(NOW) - 30), "auto", 0.0),  # it has passed
        ("60;w=60", "auto", 60.0),
        ("soon", "auto", None),
    ],
)
def test_when_there_is_more_again(text: str, kind: str, expected: float | None) -> None:
    assert seconds_until(text, kind, NOW) == expected


def turns(budget: Budget, number: int) -> list[float]:
    """When so many requests, all wanted at once, got their turn."""

    async def one() -> float:
        async with budget.turn(60):
            return time.time()

    async def all_of_them() -> list[float]:
        return sorted(await asyncio.gather(*(one() for _ in range(number))))

    return asyncio.run(all_of_them())


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(begin <= moment < begin + seconds for moment in moments) for begin in moments)


@pytest.mark.parametrize("requests", [1, 5, 20])
def test_never_more_than_the_budget_in_any_span_of_its_length(
    requests: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow_platform.connectors.rest.budget.time.time", lambda: NOW)
    budget = Budget(Rate(requests=requests, per_seconds=60), tmp_path / "rate.json")
    waits = [budget._reserve(10_000) for _ in range(requests * 3)]
    assert most_within(waits, 60 - 1e-6) <= requests
    assert waits[0] == 0
    assert waits[-1] <= 3 * 60 * 1.2  # and the budget is used: three of them take little more than three spans


def _ask_for(file: str, number: int, start: Any, found: Any) -> None:
    budget = Budget(Rate(requests_per_second=50, concurrency=50), Path(file))
    start.wait()
    found.put(turns(budget, number))


def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(2), context.Queue()
    file = str(tmp_path / "rate.json")
    workers = [context.Process(target=_ask_for, args=(file, 10, start, found)) for _ in range(2)]
    for worker in workers:
        worker.start()
    moments = sorted(moment for _ in workers for moment in found.get(timeout=60))
    for worker in workers:
        worker.join()
    # 20 requests by 50 a second: 19 gaps of 0.02 s. Each for itself would take half of that.
    assert moments[-1] - moments[0] >= 19 * 0.02 * 0.95


def test_streams_of_one_process_share_one_budget(stub: Stub) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}])
    rest = Rest(base_url=stub.url, rate={"requests_per_second": 20}, auth={"type": "bearer", "token": "of-this-test"})
    threads = [threading.Thread(target=read_rest, args=(rest,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moments = sorted(seen.at for seen in stub.seen)
    assert moments[-1] - moments[0] >= 4 * 0.05 * 0.9


def test_fewer_at_once_after_a_refusal_and_more_again_later() -> None:
    budget = Budget(Rate(concurrency=8), None)
    budget.heard(429, {})
    budget.heard(503, {})
    assert budget.concurrency == 2
    for _ in range(20 * 6):
        budget.heard(200, {})
    assert budget.concurrency == 8
    for _ in range(10):
        budget.heard(429, {})
    assert budget.concurrency == 1


def test_no_more_than_so_many_are_under_way(stub: Stub) -> None:
    under_way: list[int] = [0, 0]

    async def child(seen: Seen) -> Any:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await asyncio.sleep(0.02)
        under_way[0] -= 1
        return [{"id": 1}]

    stub.on("/all", lambda seen: [{"n": number} for number in range(20)])
    for number in range(20):
        stub.on(f"/one/{number}", child)
    parent = {"endpoint": "all", "values": {"n": "n"}, "concurrency": 20}
    rest = Rest(base_url=stub.url, rate={"concurrency": 3})
    assert len(read_rest(rest, path="one/{n}", parent=parent)) == 20
    assert under_way[1] == 3


def test_nothing_left_is_waited_for(stub: Stub) -> None:
    def rows(seen: Seen) -> Any:
        page = int(seen.query["page"])
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"} if page == 1 else {}
        return reply(body=b'[{"id": %d}]' % page if page < 3 else b"[]", headers=headers)

    stub.on("/rows", rows)
    read_rest(Rest(base_url=stub.url, headers={"X-Test": "remaining"}), paging={"type": "page_number"})
    assert stub.seen[1].at - stub.seen[0].at >= 0.95


def test_a_wait_that_is_too_long_is_handed_on(stub: Stub) -> None:
    away = str(int(time.time()) + 4000)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": away}
    stub.on("/rows", lambda seen: reply(body=b'[{"id": 1}]', headers=headers))
    with pytest.raises(TransientError, match=r"rest\.budget_spent") as caught:
        read_rest(Rest(base_url=stub.url), paging={"type": "page_number"})
    assert caught.value.retry_after == pytest.approx(4000, abs=30)
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    ("rule", "answer", "code"),
    [
        ({"status": 409, "then": "rejected", "fix": "wait for Monday"}, (409, {}, b"{}"), "rest.rejected"),
        ({"body": {"path": "error.code", "equals": 17}, "then": "rejected", "message": "error.text"},
         (200, {}, b'{"error": {"code": 17, "text": "no such account"}}'), "rest.rejected"),
        ({"body": "error", "then": "forbidden"}, (200, {}, b'{"error": "not yours"}'), "rest.forbidden"),
        ({"status": "5xx", "header": {"X-Fatal": "yes"}, "then": "rejected"},
         (500, {"X-Fatal": "yes"}, b""), "rest.rejected"),
        ({"body": {"path": "[0].message", "matches": "(?i)invalid"}, "then": "rejected"},
         (200, {}, b'[{"message": "Invalid value"}]'), "rest.rejected"),
    ],
    ids=["status", "200 with a code", "200 with an error", "header", "list of errors"],
)  # fmt: skip
def test_error_rules(stub: Stub, rule: dict[str, Any], answer: tuple[int, dict[str, str], bytes], code: str) -> None:
    status, headers, body = answer
    stub.on("/rows", lambda seen: reply(status, body, headers))
    with pytest.raises(ConfigError) as caught:
        read_rest(Rest(base_url=stub.url), errors=[rule])
    assert caught.value.code == code
    assert len(stub.seen) == 1
    if "fix" in rule:
        assert caught.value.fix == "wait for Monday"
    if "message" in rule:
        assert "no such account" in caught.value.what


def test_a_200_that_asks_to_come_back_is_tried_again(stub: Stub) -> None:
    answers = iter([{"status": "busy"}, {"rows": [{"id": 1}]}])
    stub.on("/rows", lambda seen: next(answers))
    rule = {"body": {"path": "status", "one_of": ["busy", "later"]}, "then": "retry", "wait_seconds": 0.01}
    assert read_rest(Rest(base_url=stub.url), records="rows", errors=[rule]) == [(1,)]


def test_a_403_that_means_too_fast_is_waited_for(stub: Stub) -> None:
    """GitHub's secondary limit: no rule of a connector is needed."""
    answers = iter([reply(403, b"secondary rate limit", {"Retry-After": "1"}), reply(body=b'[{"id": 1}]')])
    stub.on("/rows", lambda seen: next(answers))
    assert read_rest(Rest(base_url=stub.url)) == [(1,)]
    assert stub.seen[1].at - stub.seen[0].at >= 0.95


def test_a_rule_that_skips_goes_on_with_the_next_parent(stub: Stub) -> None:
    stub.on("/all", lambda seen: [{"n": 1}, {"n": 2}])
    stub.on("/one/1", lambda seen: reply(400, b'{"code": "archived"}'))
    stub.on("/one/2", lambda seen: [{"id": 2}])
    parent = {"endpoint": "all", "values": {"n": "n"}}
    rule = {"status": 400, "body": {"path": "code", "equals": "archived"}, "then": "skip"}
    assert read_rest(Rest(base_url=stub.url), path="one/{n}", parent=parent, errors=[rule]) == [(2,)]


def test_truncated_json_is_asked_for_again(stub: Stub) -> None:
    bodies = iter([b'[{"id": 1}, {"id', b'[{"id": 1}, {"id": 2}]'])
    stub.on("/rows", lambda seen: reply(body=next(bodies)))
    assert read_rest(Rest(base_url=stub.url)) == [(1,), (2,)]


def test_waits_grow_up_to_a_cap_and_are_not_all_the_same() -> None:
    policy = RetryPolicy(retries=50)
    waits = [policy.wait(attempt, None) for attempt in range(12)]
    assert all(wait is not None and wait <= 30 for wait in waits)
    assert len({policy.wait(3, None) for _ in range(20)}) > 1
    assert policy.wait(0, 61) is None  # longer than a run sits and waits
    assert timedelta(seconds=policy.longest_wait) == timedelta(minutes=1)
