"""Airbyte sources: airbyte-cdk with a manifest of ours against a server of ours, and a program for every fault."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dataflow_platform.connectors.airbyte import Airbyte, AirbyteStream
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import State, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.registry import load_strategy
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from tests.bridges.conftest import program, version
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.rest_api import Seen, Stub, reply

FIXTURES = Path(__file__).parent.parent / "fixtures"
HOSTILE = FIXTURES / "hostile_airbyte.py"
SECRET = "s3cr3t/of-airbyte"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `discover` prints: without it each load asks first, which is another process."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "config.json").write_text("{}")
    call = [sys.executable, str(HOSTILE), "discover", "--config", str(folder / "config.json")]
    path = folder / "catalog.json"
    path.write_bytes(subprocess.run(call, capture_output=True, check=True).stdout)
    return str(path)


def source(mode: str = "", last: int = 10, **fields: Any) -> Airbyte:
    config = {"mode": mode, "last": last}
    return Airbyte(command=f"{sys.executable} {HOSTILE}", config=config, secrets={"api_key": SECRET}, **fields)


def load(made: Airbyte, warehouse: Path, load_id: str, how: str = "append") -> LoadRecord:
    stream = Stream("orders", AirbyteStream(stream="orders"), None, ("id",))
    strategy, target = load_strategy(how)(), Table("raw", "orders")
    return publish(stage(StreamLoad("p", stream, made, DuckDB(path=str(warehouse)), target, strategy, how, load_id)))


def ask(warehouse: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_rows_and_state(tmp_path: Path, catalog: str) -> None:
    warehouse = tmp_path / "w.duckdb"
    assert load(source(), warehouse, "1").rows_loaded == 10
    # This source sends only what lies beyond its state.
    assert load(source(last=12, catalog=catalog), warehouse, "2").rows_loaded == 2
    assert ask(warehouse, "SELECT count(*), sum(id) FROM raw.orders") == [(12, 78)]


FAULTS: dict[str, tuple[type[DataflowError], str, str]] = {
    "config_error": (ConfigError, "airbyte.failed", "the key *** is refused"),
    "error_and_zero": (TransientError, "airbyte.failed", "half of it is missing"),
    "incomplete": (TransientError, "airbyte.failed", "INCOMPLETE"),
    "exit": (TransientError, "airbyte.failed", "no memory, ***"),
    "garbage": (DataError, "airbyte.message", "no JSON"),
    "other": (DataError, "airbyte.unselected", "customers"),
    "field": (DataError, "airbyte.new_field", "surprise"),
    "value": (DataError, "airbyte.type", "an integer"),
    "kind": (DataError, "airbyte.message", "`type`"),
    "no_catalog": (DataError, "airbyte.catalog", "no CATALOG"),
}


@pytest.mark.parametrize("mode", sorted(FAULTS))
def test_a_fault_is_told_and_nothing_is_loaded(mode: str, catalog: str, tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    load(source(last=4, catalog=catalog), warehouse, "1")
    before = ask(warehouse, "SELECT position FROM raw._dataflow_state")
    kind, code, words = FAULTS[mode]
    fields = {} if mode == "no_catalog" else {"catalog": catalog}
    with pytest.raises(DataflowError) as caught:
        load(source(mode, **fields), warehouse, "2")
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert words in caught.value.what
    assert SECRET not in str(caught.value)
    assert ask(warehouse, "SELECT count(*) FROM raw.orders") == [(4,)]
    assert ask(warehouse, "SELECT position FROM raw._dataflow_state") == before


def test_check_and_discover(catalog: str) -> None:
    assert source().discover() == ["orders"]
    (table,) = source(catalog=catalog).catalogue()
    assert (table.primary_key, [column.type for column in table.columns]) == (("id",), ["BIGINT", "VARCHAR"])
    assert "checked" in source().test_connection()
    with pytest.raises(ConfigError, match=r"key \*\*\* is refused"):
        source("bad").test_connection()
    with duckdb.connect() as connection:
        with pytest.raises(ConfigError, match="unknown stream"):
            source(catalog=catalog).scan(connection, Stream("x", AirbyteStream(stream="order")), State())
        scan = source("control", catalog=catalog).scan(
            connection, Stream("orders", AirbyteStream(stream="orders")), State()
        )
        assert len(scan.relation.fetchall()) == 10
        scan.close()
        assert "changed config" in scan.notes["config"]


@pytest.mark.evidence("airbyte", "source", "own_stub")
def test_a_manifest_run_by_airbyte_cdk(stub: Stub, tmp_path: Path, ran_against: RanAgainst) -> None:
    """Each question of airbyte-cdk takes some seconds to import it, so there are no more than needed."""
    command = program("airbyte-cdk", "source-declarative-manifest")
    days = [{"id": n, "day": f"2026-01-{n:02}", "price": n + 0.5, "of": {"a": n}} for n in range(1, 21)]
    asked: list[str] = []

    def answer(seen: Seen) -> Any:
        if seen.headers.get("Authorization") != f"Bearer {SECRET}":
            return reply(401)
        asked.append(seen.query["since"])
        found = [row for row in days if row["day"] >= seen.query["since"]]
        at = int(seen.query.get("offset", 0))
        return {"rows": found[at : at + 7]}

    stub.on("/orders", answer)
    fields: dict[str, Any] = {
        "command": command,
        "manifest": str(FIXTURES / "airbyte_manifest.yaml"),
        "config": {"url": stub.url},
        "secrets": {"credentials.token": SECRET},
    }
    made, warehouse = Airbyte(**fields), tmp_path / "w.duckdb"
    assert load(made, warehouse, "1", "merge").rows_loaded == 20
    days.append({"id": 21, "day": "2026-01-21", "price": 21.5, "of": {"a": 21}})
    # From its state on: the row of 20 January again, and the new one. A catalog file saves asking.
    schema = yaml.safe_load(Path(fields["manifest"]).read_text())["streams"][0]["schema_loader"]["schema"]
    offered = {"name": "orders", "json_schema": schema, "supported_sync_modes": ["full_refresh", "incremental"]}
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "CATALOG", "catalog": {"streams": [offered]}}))
    made = Airbyte(**fields, catalog=str(tmp_path / "catalog.json"))
    assert load(made, warehouse, "2", "merge").rows_read == 2
    assert asked[-1] == "2026-01-20"
    assert ask(warehouse, "SELECT count(*), sum(price), max(day)::VARCHAR FROM raw.orders") == [
        (21, 241.5, "2026-01-21")
    ]
    ran_against(made, f"airbyte-cdk {version('airbyte-cdk', 'airbyte-cdk')}, a manifest of our own")
