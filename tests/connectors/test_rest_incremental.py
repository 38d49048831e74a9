"""What is asked for after the first load: cursors in every form, slices of time, tokens, deleted records."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataflow_platform.connectors.rest import Rest, bounds
from dataflow_platform.connectors.rest.cursor import Cursor
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.core.base import State, Window
from dataflow_platform.core.errors import ConfigError
from tests.fixtures.rest_api import Seen, Stub, read_dicts, reply

MOMENT = "2024-03-01 10:20:30.5"  # as DuckDB writes a TIMESTAMP
UNIX = int(datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC).timestamp())


def read(stub: Stub, state: State | None = None, left: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    options = {"path": "rows", **options}
    return read_dicts(Rest(base_url=stub.url, max_retries=0), Endpoint.model_validate(options), state, left)


@pytest.mark.parametrize(
    ("text", "format", "exclusive", "expected"),
    [
        (MOMENT, "text", False, MOMENT),
        (MOMENT, "iso", False, "2024-03-01T10:20:30Z"),  # rounded down: nothing between is missed
        (MOMENT, "iso_ms", False, "2024-03-01T10:20:30.500Z"),
        (MOMENT, "date", False, "2024-03-01"),
        (MOMENT, "unix", False, str(UNIX)),
        (MOMENT, "unix_ms", False, str(UNIX * 1000 + 500)),
        (MOMENT, "http_date", False, "Fri, 01 Mar 2024 10:20:30 GMT"),
        (MOMENT, "%Y/%m/%d %H", False, "2024/03/01 10"),
        ("2024-03-01 12:20:30+02", "iso", False, "2024-03-01T10:20:30Z"),  # a TIMESTAMPTZ in a session of another zone
        (str(UNIX), "iso", False, "2024-03-01T10:20:30Z"),
        (str(UNIX * 1000), "unix", False, str(UNIX)),
        (str(UNIX), "text", False, str(UNIX)),
        (str(UNIX), "text", True, str(UNIX - 1)),
        (MOMENT, "iso", True, "2024-03-01T10:20:29Z"),
        (MOMENT, "date", True, "2024-02-29"),
        ("abc-17", "text", False, "abc-17"),
    ],
)
def test_the_cursor_is_written_as_the_api_wants_it(
    stub: Stub, text: str, format: str, exclusive: bool, expected: str
) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}])
    read(stub, State(cursor=text), cursor={"param": "since", "format": format, "exclusive": exclusive})
    assert stub.seen[0].query == {"since": expected}


def test_a_cursor_that_is_no_time_is_told(stub: Stub) -> None:
    with pytest.raises(ConfigError, match=r"rest\.cursor_value"):
        read(stub, State(cursor="abc"), cursor={"param": "since", "format": "iso"})


def test_places_of_the_cursor(stub: Stub) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}])
    state = State(cursor=MOMENT)
    read(stub, state, cursor={"param": "If-Modified-Since", "place": "header", "format": "http_date"})  # Xero
    read(stub, state, body={"filter": {"a": 1}}, cursor={"param": "filter.since", "place": "body", "format": "unix"})
    read(
        stub, state, cursor={"format": "iso"}, params={"filter": "greater-than(updated,{cursor})", "page": 1}
    )  # Klaviyo
    read(stub, cursor={"format": "iso"}, params={"filter": "greater-than(updated,{cursor})", "page": 1})
    read(stub, cursor={"format": "date", "start": "2020-01-01"}, params={"q": "SELECT Id FROM A WHERE d >= {cursor}"})
    header, body, filled, before_the_first_load, from_the_start = stub.seen
    assert header.headers["If-Modified-Since"] == "Fri, 01 Mar 2024 10:20:30 GMT"
    assert body.json == {"filter": {"a": 1, "since": str(UNIX)}}
    assert filled.query == {"filter": "greater-than(updated,2024-03-01T10:20:30Z)", "page": "1"}
    assert before_the_first_load.query == {"page": "1"}
    assert from_the_start.query == {"q": "SELECT Id FROM A WHERE d >= 2020-01-01"}


def test_a_partition_asks_for_its_range(stub: Stub) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}])
    window = Window("at", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
    cursor = {"param": "from", "end_param": "to", "format": "unix"}
    read(stub, State(cursor="2025-01-01", window=window), cursor=cursor)
    assert stub.seen[0].query == {"from": "1704067200", "to": "1706745600"}  # midnights of 1 January and 1 February


def events(total: int = 240, inclusive_end: bool = True) -> Any:
    """An API with an event each half day since 1 January 2024, asked by a range of unix seconds."""
    first = datetime(2024, 1, 1, tzinfo=UTC).timestamp()

    def answer(seen: Seen) -> Any:
        start, end = float(seen.query["from"]), float(seen.query["to"])
        found = [{"id": number, "at": first + 43_200 * number} for number in range(total)]
        return [row for row in found if start <= row["at"] and (row["at"] <= end if inclusive_end else row["at"] < end)]

    return answer


@pytest.mark.parametrize("inclusive_end", [True, False])
@pytest.mark.parametrize("parallel", [1, 4])
def test_slices_give_every_row_once(stub: Stub, inclusive_end: bool, parallel: int) -> None:
    stub.on("/rows", events(inclusive_end=inclusive_end))
    cursor = {"field": "at", "param": "from", "end_param": "to", "format": "unix", "start": "2024-01-01",
              "slice": "10d", "parallel": parallel}  # fmt: skip
    rows = read(stub, cursor=cursor, columns={"at": "DOUBLE"})
    assert sorted(row["id"] for row in rows) == list(range(240))  # 120 days; every twentieth stands on an edge
    asked = (datetime.now(UTC) - datetime(2024, 1, 1, tzinfo=UTC)) / timedelta(days=10)
    assert len(stub.seen) == int(asked) + 1


def test_slices_begin_at_the_stored_cursor() -> None:
    now = datetime(2024, 1, 10, 12, tzinfo=UTC)
    cursor = {"field": "at", "param": "a", "end_param": "b", "format": "date", "start": "2020-01-01", "slice": "3d"}
    parts = bounds.spans(
        Endpoint(path="x", cursor=Cursor.model_validate(cursor)), State(cursor="2024-01-05 08:00:00"), now
    )
    # Whole days of what the API is told; the last one reaches beyond now, so that today is in it.
    assert [(part.start, part.end) for part in parts] == [
        ("2024-01-05", "2024-01-08"), ("2024-01-08", "2024-01-11"),
    ]  # fmt: skip
    assert [part.end_before for part in parts] == [datetime(2024, 1, 8, tzinfo=UTC), None]


@pytest.mark.parametrize(("slice", "format"), [("12h", "date"), ("10", "iso")])
def test_slices_that_cannot_be_are_told(slice: str, format: str) -> None:
    cursor = Cursor(field="at", param="a", start="2020-01-01", slice=slice, format=format)
    with pytest.raises(ConfigError, match=r"rest\.slice"):
        bounds.spans(Endpoint(path="x", cursor=cursor), State())


def test_newest_first_ends_with_the_first_page_that_is_wholly_older(stub: Stub) -> None:
    def answer(seen: Seen) -> Any:
        page = int(seen.query["page"])
        return [{"id": number, "at": f"2024-01-{30 - number:02}"} for number in range((page - 1) * 5, page * 5)]

    stub.on("/rows", answer)
    cursor = {"field": "at", "sorted": "descending"}
    read(stub, State(cursor="2024-01-22"), cursor=cursor, paging={"type": "page_number"})
    # Pages hold days 30-26, 25-21, 20-16: the third is the first without a day from the 22nd on.
    assert len(stub.seen) == 3


def test_a_token_stands_for_all_that_was_read(stub: Stub) -> None:
    """Google Calendar: pages by pageToken, and on the last one a nextSyncToken."""

    def answer(seen: Seen) -> Any:
        if seen.query.get("syncToken") == "s1":
            return {"items": [{"id": 2, "status": "cancelled"}], "nextSyncToken": "s2"}
        if "pageToken" in seen.query:
            return {"items": [{"id": 2, "status": "ok"}], "nextSyncToken": "s1"}
        return {"items": [{"id": 1, "status": "ok"}], "nextPageToken": "p"}

    stub.on("/rows", answer)
    options: dict[str, Any] = {
        "records": "items",
        "params": {"orderBy": "x"},
        "paging": {"type": "next_cursor", "body_path": "nextPageToken", "param": "pageToken"},
        "delta": {"body_path": "nextSyncToken", "param": "syncToken", "drop_params": ["orderBy"]},
        "deleted": {"field": "status", "equals": "cancelled"},
    }
    left: dict[str, Any] = {}
    rows = read(stub, None, left, **options)
    assert [(row["id"], row["deleted"]) for row in rows] == [(1, False), (2, False)]
    assert left["delta"] == {"": "s1"}
    rows = read(stub, State(position=dict(left)), left, **options)
    assert [(row["id"], row["deleted"]) for row in rows] == [(2, True)]
    assert left["delta"] == {"": "s2"}
    assert stub.seen[-1].query == {"syncToken": "s1"}


def test_a_token_too_old_begins_anew(stub: Stub) -> None:
    stub.on("/rows", lambda seen: reply(410) if "token" in seen.query else {"items": [{"id": 1}], "next": "t9"})
    left: dict[str, Any] = {}
    options = {"records": "items", "delta": {"body_path": "next", "param": "token"}}
    assert read(stub, State(position={"delta": {"": "t0"}}), left, **options) == [{"id": 1}]
    assert left["delta"] == {"": "t9"}
    assert [seen.query for seen in stub.seen] == [{"token": "t0"}, {}]


def test_added_changed_and_removed_beside_each_other(stub: Stub) -> None:
    """Plaid: the cursor of the pages is the token of the next load."""
    pages = {
        None: {"added": [{"id": 1}], "modified": [], "removed": [], "next_cursor": "a", "has_more": True},
        "a": {"added": [], "modified": [{"id": 2}], "removed": [{"id": 3}], "next_cursor": "b", "has_more": False},
        "b": {"added": [{"id": 4}], "modified": [], "removed": [], "next_cursor": "c", "has_more": False},
    }
    stub.on("/rows", lambda seen: pages[seen.json.get("cursor")])
    options: dict[str, Any] = {
        "method": "POST",
        "body": {"count": 500},
        "records": ["added", "modified"],
        "deleted": {"records": "removed"},
        "paging": {"type": "next_cursor", "body_path": "next_cursor", "param": "cursor", "place": "body",
                   "has_more": "has_more"},
        "delta": {"body_path": "next_cursor", "param": "cursor", "place": "body"},
    }  # fmt: skip
    options["records"] = {"path": options["records"]}
    left: dict[str, Any] = {}
    assert [(row["id"], row["deleted"]) for row in read(stub, None, left, **options)] == [
        (1, False),
        (2, False),
        (3, True),
    ]
    assert left["delta"] == {"": "b"}
    assert [row["id"] for row in read(stub, State(position=dict(left)), left, **options)] == [4]


def test_each_parent_is_read_from_its_own_cursor(stub: Stub) -> None:
    stub.on("/channels", lambda seen: [{"id": name} for name in channels])
    channels = {"a": [10, 20], "b": [5]}

    def history(seen: Seen) -> Any:
        oldest = int(seen.query.get("oldest", 0))
        return [{"ts": ts} for ts in channels[seen.path[-1]] if ts >= oldest]

    for name in ("a", "b", "c"):
        stub.on(f"/history/{name}", history)
    options: dict[str, Any] = {
        "path": "history/{channel}",
        "parent": {
            "endpoint": "channels",
            "values": {"channel": "id"},
            "columns": {"channel": "id"},
            "cursor_each": True,
        },
        "cursor": {"field": "ts", "param": "oldest"},
    }
    left: dict[str, Any] = {}
    rows = read(stub, None, left, **options)
    assert sorted((row["channel"], row["ts"]) for row in rows) == [("a", 10), ("a", 20), ("b", 5)]
    channels["b"].append(7)
    channels["c"] = [1, 2]  # new, and older than everything: one cursor for all would lose it
    rows = read(stub, State(position=dict(left)), left, **options)
    assert sorted((row["channel"], row["ts"]) for row in rows) == [("a", 20), ("b", 5), ("b", 7), ("c", 1), ("c", 2)]
    assert left["parents"] == {'{"channel": "a"}': "20", '{"channel": "b"}': "7", '{"channel": "c"}': "2"}


def test_each_parent_has_a_token_of_its_own(stub: Stub) -> None:
    stub.on("/calendars", lambda seen: [{"id": "a"}, {"id": "b"}])

    def events_of(seen: Seen) -> Any:
        name, token = seen.path[-1], int(seen.query.get("syncToken", "x0")[1:])
        return {"items": [{"id": f"{name}{token}"}], "next": f"{name}{token + 1}"}

    stub.on("/events/a", events_of)
    stub.on("/events/b", events_of)
    options: dict[str, Any] = {
        "path": "events/{calendar}",
        "records": "items",
        "parent": {"endpoint": "calendars", "values": {"calendar": "id"}},
        "delta": {"body_path": "next", "param": "syncToken"},
    }
    left: dict[str, Any] = {}
    assert sorted(row["id"] for row in read(stub, None, left, **options)) == ["a0", "b0"]
    assert left["delta"] == {'{"calendar": "a"}': "a1", '{"calendar": "b"}': "b1"}
    assert sorted(row["id"] for row in read(stub, State(position=dict(left)), left, **options)) == ["a1", "b1"]
