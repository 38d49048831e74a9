"""Every type of every source into every destination: exact, widened as docs/types.md says, or refused in words."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.rest_api import serve
from tests.types.case import Case, Origin
from tests.types.conftest import ARRIVALS, ORIGINS, Place
from tests.types.matrix import Cell, cells
from tests.types.page import PAGE, rendered

Found = dict[str, dict[str, list[tuple[Case, Cell]]]]


@pytest.fixture(scope="module")
def origins(
    postgres_server: PostgresServer, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Origin]]:
    with serve() as server:
        place = Place(tmp_path_factory.mktemp("from"), postgres_server, database, server)
        yield {name: make(place) for name, make in ORIGINS.items()}


@pytest.fixture(scope="module")
def results() -> Found:
    """What the tests of this module found, for the page."""
    return {}


@pytest.mark.parametrize("arrival", ARRIVALS)
@pytest.mark.parametrize("origin", ORIGINS)
def test_no_value_changes_silently(
    origins: dict[str, Origin], origin: str, arrival: str, postgres_server: PostgresServer, database: str,
    tmp_path: Path, results: Found,
) -> None:  # fmt: skip
    found = list(cells(origins[origin], ARRIVALS[arrival](tmp_path, postgres_server, database)))
    assert [f"{case.label}: {cell.words}" for case, cell in found if cell.outcome == "CHANGED SILENTLY"] == []
    # A refusal nobody wrote a text for would start with the driver's own class of error.
    results.setdefault(origin, {})[arrival] = found


def test_the_page_says_what_was_found(results: Found) -> None:
    if any(arrival not in results.get(origin, {}) for origin in ORIGINS for arrival in ARRIVALS):
        pytest.skip("not every pair was run")
    page = rendered(results)
    if os.environ.get("DATAFLOW_WRITE_TYPES") == "1":
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, (
        "docs/types.md is stale: run `make types`, and look at what changed"
    )


def test_there_are_enough_types(origins: dict[str, Origin]) -> None:
    # The promise is 40 types; PostgreSQL and DuckDB alone have more each.
    assert min(len(origins[name].cases) for name in ("PostgreSQL", "DuckDB", "Parquet")) >= 40
