"""The demo's numbers against an independent count of the packages' own files with the csv module."""

import csv
import gzip
import io
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from dotenv import dotenv_values

from tests.fixtures.demo_estate import DemoEstate
from tests.fixtures.nyc_flights import package_folder, read_rows, read_texts

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def query(demo_estate: DemoEstate) -> Query:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(demo_estate.warehouse)) as connection:
            return connection.execute(sql).fetchall()

    return ask


def first_load(query: Query, stream: str) -> tuple[int, int, int, int]:
    """Rows read, loaded, quarantined and filtered by the first load of a stream."""
    sql = (
        "SELECT rows_read, rows_loaded, rows_quarantined, rows_filtered FROM raw._dataflow_loads "
        f"WHERE stream = '{stream}' ORDER BY committed_at LIMIT 1"
    )
    read, loaded, quarantined, filtered = query(sql)[0]
    return read, loaded, quarantined, filtered


def test_flights(query: Query) -> None:
    texts = read_texts()
    flights = read_rows(texts["flights"])
    listed = {row["faa"] for row in read_rows(texts["airports"])}
    unknown = {n for n, row in enumerate(flights) if row["dest"] not in listed}
    no_tail = {n for n, row in enumerate(flights) if row["tailnum"] == "NA"}
    cancelled = {n for n, row in enumerate(flights) if row["dep_time"] == "NA"}
    # The package documents 336,776 flights; 7,602 go to places the FAA list lacks (San Juan and others),
    # 2,512 have no tail number and 8,255 never left. A row with two faults is quarantined once.
    assert (len(flights), len(unknown), len(no_tail), len(cancelled)) == (336_776, 7_602, 2_512, 8_255)
    bad = len(unknown | no_tail | cancelled)
    assert first_load(query, "flights") == (336_776, 336_776 - bad, bad, 0)
    reasons = query(
        'SELECT reason.rule, count(*) FROM (SELECT unnest(from_json(reasons, \'[{"rule": "VARCHAR"}]\')) AS reason '
        "FROM raw._dataflow_quarantine WHERE stream = 'flights') GROUP BY 1"
    )
    assert sorted(count for _, count in reasons) == [2_512, 7_602, 8_255]


def test_flights_are_loaded_value_by_value(query: Query) -> None:
    texts = read_texts()
    listed = {row["faa"] for row in read_rows(texts["airports"])}
    good = [
        row
        for row in read_rows(texts["flights"])
        if row["dest"] in listed and row["tailnum"] != "NA" and row["dep_time"] != "NA"
    ]
    sums = ", ".join(
        f"sum({name})" for name in ("dep_time", "dep_delay", "arr_delay", "air_time", "distance", "flight")
    )
    expected = tuple(
        sum(int(row[name]) for row in good if row[name] != "NA")
        for name in ("dep_time", "dep_delay", "arr_delay", "air_time", "distance", "flight")
    )
    assert query(f"SELECT {sums} FROM raw.flights") == [expected]
    assert query("SELECT min(time_hour)::VARCHAR, max(time_hour)::VARCHAR FROM raw.flights") == [
        (min(row["time_hour"] for row in good).replace("T", " ").replace("Z", "+00"),
         max(row["time_hour"] for row in good).replace("T", " ").replace("Z", "+00")),
    ]  # fmt: skip


@pytest.mark.parametrize(("stream", "rows"), [("planes", 3_322), ("airlines", 16), ("airports", 1_458)])
def test_clean_tables(query: Query, stream: str, rows: int) -> None:
    assert len(read_rows(read_texts()[stream])) == rows
    assert first_load(query, stream) == (rows, rows, 0, 0)
    assert query(f"SELECT count(*) FROM raw.{stream}") == [(rows,)]


def test_weather(query: Query) -> None:
    weather = read_rows(read_texts()["weather"])
    # One hour at Newark reports 1,048 miles an hour of wind; nothing else is out of range.
    wild = [row for row in weather if row["wind_speed"] != "NA" and float(row["wind_speed"]) > 120]
    assert (len(weather), len(wild)) == (26_115, 1)
    assert first_load(query, "weather") == (26_115, 26_114, 1, 0)


def test_world_airports(query: Query) -> None:
    file = package_folder("airportsdata") / "airports.csv"
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert first_load(query, "world_airports") == (len(rows), len(rows), 0, 0)
    assert query("SELECT count(DISTINCT icao) FROM raw.world_airports") == [(len({row["icao"] for row in rows}),)]


def test_read_is_loaded_plus_quarantined_plus_filtered_for_every_load(query: Query) -> None:
    loads = query("SELECT stream, rows_read, rows_loaded, rows_quarantined, rows_filtered FROM raw._dataflow_loads")
    assert {stream for stream, *_ in loads} == {
        "flights",
        "planes",
        "weather",
        "airlines",
        "airports",
        "world_airports",
    }
    for stream, read, loaded, quarantined, filtered in loads:
        assert read == loaded + quarantined + filtered, stream


def secrets(estate: DemoEstate) -> list[str]:
    """The passwords and the key of the estate, from its .env."""
    settings = dotenv_values(estate.home / ".env")
    found = [settings[name] or "" for name in ("NYC_DB_PASSWORD", "NYC_DB_ADMIN_PASSWORD", "NYC_API_KEY")]
    assert all(len(secret) > 20 for secret in found)
    return found


def test_what_the_run_printed(demo_estate: DemoEstate) -> None:
    for line in ("raw/flights", "336,776", "320,960", "15,816", "mart/delay_by_weather"):
        assert line in demo_estate.output
    assert not any(secret in demo_estate.output for secret in secrets(demo_estate))


def test_no_secret_lies_anywhere_but_in_its_own_files(demo_estate: DemoEstate) -> None:
    """Invariant 5: Dagster's history, logs, warehouse and metadata hold no password and no key."""
    searched = 0
    for file in (demo_estate.home / ".dataflow").rglob("*"):
        if file.is_file() and "postgres" not in file.parts and file.suffix != ".pwfile":
            content = file.read_bytes()
            searched += len(content)
            assert not any(secret.encode() in content for secret in secrets(demo_estate)), file
    assert searched > 1_000_000  # the warehouse and the run history were among them


def test_inbox_holds_what_was_loaded(demo_estate: DemoEstate) -> None:
    inbox = demo_estate.home / ".dataflow" / "inbox"
    with gzip.open(next((inbox / "faa").glob("*.csv.gz")), "rt", encoding="utf-8") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 1_458
