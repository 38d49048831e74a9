"""The lineage of the demo after it has run: with what its loads recorded no column is unknown any more."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fixtures.demo_estate import DemoEstate

DATAFLOW = str(Path(sys.executable).parent / "dataflow")


def dataflow(estate: DemoEstate, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [DATAFLOW, *words], cwd=estate.home, env=estate.environment, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip


def ends(found: dict[str, Any], side: str) -> set[str]:
    return {f"{edge[side]['asset']}.{edge[side]['column']}" for edge in found["edges"]}


def test_a_measure_of_a_mart_leads_to_the_database(demo_estate: DemoEstate) -> None:
    done = dataflow(demo_estate, "lineage", "mart.delay_by_route.mean_arrival_delay_minutes", "--up", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert ends(found, "from") == {
        "staging/stg_flights.arrival_delay_minutes",
        "raw/flights.arr_delay",
        "operations_db/public/flights.arr_delay",
    }
    # No column was declared or discovered: the loads have recorded what they found.
    assert [asset["unknown"] for asset in found["assets"]] == [None] * 4


def test_what_hangs_on_a_column_of_the_database(demo_estate: DemoEstate) -> None:
    done = dataflow(demo_estate, "impact", "--column", "operations_db.public.flights.origin", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["columns"]["mart/delay_by_route"] == ["route", "origin"]
    assert set(found["rows"]) == {"mart/delay_by_route", "mart/delay_by_weather"}  # joined and grouped by it
    names = {each["name"] for each in found["guards"] if each["asset"] == "raw/flights"}
    assert any("origin" in name for name in names)  # a rule of the Pandera schema
    assert found["owners"] == ["team:flight-operations"]
    # A column that is not there is known not to be.
    done = dataflow(demo_estate, "impact", "--column", "operations_db.public.flights.orgin")
    assert (done.returncode, "did you mean 'origin'" in done.stderr) == (2, True)
