"""The last verdict of each check and since when it fails, out of the history that loads keep."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine import state
from dataflow_platform.governance.quality_verdicts import verdicts_of

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    if request.param == "duckdb":
        yield registry.destination("duckdb")(path=str(tmp_path / "w.duckdb"), wait_seconds=0.3)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"quality_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=server.port, database=name, user="postgres", password=server.password, wait_seconds=0.3
    )
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Loads in turn: which of two checks of two streams each looked at, and whether they passed.
HISTORIES = st.lists(
    st.tuples(st.sampled_from(["orders", "items"]), st.dictionaries(st.sampled_from(["a", "b"]), st.booleans())),
    max_size=8,
)


@given(history=HISTORIES)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_check_fails_since_the_first_load_after_it_last_passed(
    history: list[tuple[str, dict[str, bool]]], warehouse: Destination
) -> None:
    session = warehouse.session()
    try:
        assert verdicts_of(session, "shop", "shop").checks == {}  # no table yet
        state.ensure_tables(session, "shop", quality=True)
        expected: dict[tuple[str, str], list[tuple[bool, str]]] = {}
        rows = []
        for number, (stream, outcomes) in enumerate(history):
            at, run = START + timedelta(hours=number), f"run {number}"
            for name, passed in outcomes.items():
                kept = expected.setdefault((stream, name), [])
                expected[stream, name] = (
                    [(passed, run)] if passed else [*(each for each in kept if not each[0]), (passed, run)]
                )
                said = (at, passed, "check", name, None, 0.5, passed, "error", 1, 2, f"at {number}", "{}")
                rows.append(("shop", stream, f"shop.{stream}", f"load {number}", run, *said))
            rows.append(("other", stream, "", "", "", at, True, "check", "a", None, 1, False, "error", 1, 1, "", "{}"))
        if rows:
            state.insert(session, "shop", state.QUALITY, rows)
        found = verdicts_of(session, "shop", "shop").checks
        told = {
            (stream, name): (verdict.outcome, verdict.times, verdict.first_run)
            for stream, verdicts in found.items()
            for name, verdict in verdicts.items()
        }
        assert told == {
            key: ("pass", 0, None) if kept[-1][0] else ("fail", len(kept), kept[0][1]) for key, kept in expected.items()
        }
    finally:
        session.close()
