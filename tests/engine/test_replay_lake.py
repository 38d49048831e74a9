"""Replay on a lake: the stories told on PostgreSQL; the history of keys comes and goes in the ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_platform.connectors.delta import DeltaDestination
from tests.engine.replayed import stopped_clock
from tests.engine.test_replay_postgres import test_as_if_the_rule_had_been_right  # noqa: F401  # with this warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeltaDestination]:
    folder: Path = tmp_path_factory.mktemp("replay")
    with stopped_clock():
        yield DeltaDestination(path=str(folder / "lake"))
