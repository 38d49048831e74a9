"""MotherDuck without MotherDuck: what can be said of the wiring. The service itself was never reached."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from dataflow_platform.connectors.motherduck import MotherDuck
from dataflow_platform.core.errors import TransientError
from tests.engine.test_line import ONE, TWO, run, table


def test_it_claims_no_evidence() -> None:
    assert MotherDuck.facts.evidence == "unverified"


def test_a_local_file_in_the_services_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, asked = duckdb.connect, []

    def local(database: str, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        asked.append((database, config.pop("motherduck_token")))
        return connect(str(tmp_path / "local.duckdb"), config=config)

    monkeypatch.setattr(duckdb, "connect", local)
    warehouse = MotherDuck(database="md:shop", token="hunter2")
    run(warehouse, "append", ONE, cursor="at")
    run(warehouse, "merge", TWO, "2", cursor="at")
    assert table(warehouse) == [(1, 30, "A"), (2, 20, "b"), (3, 20, "c")]
    assert set(asked) == {("md:shop", "hunter2")}


def test_without_the_extension_it_says_so_and_not_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException("Failed to download extension 'motherduck' for token hunter2")

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(TransientError, match=r"motherduck\.extension") as caught:
        MotherDuck(database="md:shop", token="hunter2").session()
    assert "hunter2" not in str(caught.value)


def test_another_string_is_no_connection() -> None:
    with pytest.raises(ValidationError):
        MotherDuck(database="shop.duckdb")
