"""Every type of every source into every destination: exact, widened as docs/types.md says, or refused in words."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.rest_api import serve
from tests.types.case import Case, Origin
from tests.types.conftest import ARRIVALS, MARIADB, ORIGINS, Place
from tests.types.from_mariadb import FromMariaDB
from tests.types.matrix import Cell, cells
from tests.types.page import PAGE, rendered

Found = dict[str, dict[str, list[tuple[Case, Cell]]]]
EACH_ORIGIN = [pytest.param(name, marks=[pytest.mark.mariadb] if name == MARIADB else []) for name in ORIGINS]


@pytest.fixture(scope="module")
def origin_of(
    postgres_server: PostgresServer, database: str, tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[str], Origin]]:  # fmt: skip
    """Each origin, made when it is first asked for."""
    with serve() as server:
        place = Place(
            tmp_path_factory.mktemp("from"), postgres_server, database, server,
            lambda: request.getfixturevalue("mariadb_server"),
        )  # fmt: skip
        yield cache(lambda name: ORIGINS[name](place))


@pytest.fixture(scope="module")
def results() -> Found:
    """What the tests of this module found, for the page."""
    return {}


@pytest.mark.parametrize("arrival", ARRIVALS)
@pytest.mark.parametrize("origin", EACH_ORIGIN)
def test_no_value_changes_silently(
    origin_of: Callable[[str], Origin], origin: str, arrival: str, postgres_server: PostgresServer, database: str,
    tmp_path: Path, results: Found,
) -> None:  # fmt: skip
    found = list(cells(origin_of(origin), ARRIVALS[arrival](tmp_path, postgres_server, database)))
    assert [f"{case.label}: {cell.words}" for case, cell in found if cell.outcome == "CHANGED SILENTLY"] == []
    # A refusal nobody wrote a text for would start with the driver's own class of error.
    results.setdefault(origin, {})[arrival] = found


def test_the_page_says_what_was_found(results: Found) -> None:
    missing = {origin for origin in ORIGINS for arrival in ARRIVALS if arrival not in results.get(origin, {})}
    if missing - {MARIADB}:
        pytest.skip("not every pair was run")
    # Without MariaDB's server its section stays what the last run with one wrote; all the rest is held against it.
    page = rendered({name: results[name] for name in ORIGINS if name not in missing}, {MARIADB: FromMariaDB.cases})
    if os.environ.get("DATAFLOW_WRITE_TYPES") == "1":
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, (
        "docs/types.md is stale: run `make types`, and look at what changed"
    )
    if missing:
        pytest.skip("not every pair of MariaDB's was run: its section of the page was not looked at, the others agree")


def test_there_are_enough_types(origin_of: Callable[[str], Origin]) -> None:
    # The promise is 40 types a source that has so many.
    assert min(len(origin_of(name).cases) for name in ("PostgreSQL", "DuckDB", "Parquet")) >= 40
    assert len(FromMariaDB.cases) >= 40
