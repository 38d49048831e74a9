"""dlt sources: its own rest_api source against a server of ours, and resources of ours for every fault."""

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

dlt = pytest.importorskip("dlt", reason="the extra `dlt` is not installed")

from dataflow_platform.connectors.dlt import Dlt, DltStream  # noqa: E402
from dataflow_platform.connectors.duckdb import DuckDB  # noqa: E402
from dataflow_platform.core.base import State, Stream, Table  # noqa: E402
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError  # noqa: E402
from dataflow_platform.core.registry import load_strategy  # noqa: E402
from dataflow_platform.engine.load import publish  # noqa: E402
from dataflow_platform.engine.stage import stage  # noqa: E402
from dataflow_platform.engine.state import LoadRecord  # noqa: E402
from dataflow_platform.engine.stream_load import StreamLoad  # noqa: E402
from tests.fixtures import dlt_resources  # noqa: E402
from tests.fixtures.evidence import RanAgainst  # noqa: E402
from tests.fixtures.rest_api import Seen, Stub, reply  # noqa: E402

SECRET = "s3cr3t-of-dlt"
ROOT = Path(__file__).parent.parent.parent


def shop(function: str = "shop", **arguments: Any) -> Dlt:
    secrets = {"api_key": SECRET} if function == "shop" else {}
    return Dlt(source=f"tests.fixtures.dlt_resources:{function}", arguments=arguments, secrets=secrets)


def load(source: Dlt, warehouse: Path, load_id: str, resource: str = "orders", how: str = "append") -> LoadRecord:
    stream = Stream(resource, DltStream(resource=resource))
    strategy = load_strategy(how)()
    target = Table("raw", resource)
    return publish(stage(StreamLoad("p", stream, source, DuckDB(path=str(warehouse)), target, strategy, how, load_id)))


def ask(warehouse: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


@pytest.fixture(autouse=True)
def _ten_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dlt_resources.ORDERS, "last", 10)


def test_rows_types_and_the_state(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    assert load(shop(), warehouse, "1").rows_loaded == 10
    kinds = dict(ask(warehouse, "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'orders'"))
    assert kinds == {
        "id": "BIGINT", "at": "TIMESTAMP WITH TIME ZONE", "price": "DECIMAL(20,2)", "tags": "VARCHAR",
        "note": "VARCHAR", "code": "VARCHAR", "raw": "BLOB",
    }  # fmt: skip
    row = ask(warehouse, 'SELECT id, "at"::VARCHAR, price, tags, note, code, raw FROM raw.orders WHERE id = 7')
    code = "00000000-0000-0000-0000-000000000007"
    assert row == [(7, "2026-01-08 00:00:00+00", Decimal("0.07"), '["a",{"n":7}]', None, code, b"\7")]
    # dlt's incremental leaves out what it has seen; an append takes nothing twice.
    dlt_resources.ORDERS["last"] = 12
    assert load(shop(), warehouse, "2").rows_read == 2
    assert load(shop(), warehouse, "3").rows_read == 0
    assert ask(warehouse, "SELECT count(*), sum(id) FROM raw.orders") == [(12, 78)]


def test_any_state_of_a_resource_is_kept_with_its_rows(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    for number in range(3):
        load(shop(), warehouse, str(number), "counted")
    assert ask(warehouse, "SELECT run FROM raw.counted ORDER BY run") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("resource", "mode", "kind", "code"),
    [
        ("orders", "break", TransientError, "dlt.failed"),
        ("faulty", "", DataError, "dlt.item"),
        ("faulty", "mixed", DataError, "dlt.type"),
        ("late", "", DataError, "dlt.new_field"),
        ("nothing", "", ConfigError, "dlt.stream"),
    ],
)
def test_a_fault_is_told_and_nothing_is_loaded(
    resource: str, mode: str, kind: type[DataflowError], code: str, tmp_path: Path
) -> None:
    warehouse = tmp_path / "w.duckdb"
    load(shop(), warehouse, "1")
    before = ask(warehouse, "SELECT position FROM raw._dataflow_state")
    dlt_resources.ORDERS["last"] = 3000
    with pytest.raises(DataflowError) as caught:
        load(shop(mode=mode), warehouse, "2", resource)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert SECRET not in str(caught.value)
    assert ask(warehouse, "SELECT count(*) FROM raw.orders") == [(10,)]
    assert ask(warehouse, "SELECT position FROM raw._dataflow_state") == before


def test_arrow_tables_and_a_resource_alone(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    load(shop(), warehouse, "1", "arrow")
    assert ask(warehouse, "SELECT id, day::VARCHAR FROM raw.arrow ORDER BY id") == [(1, "2026-01-01"), (2, None)]
    load(shop("alone"), warehouse, "2", "alone")
    assert ask(warehouse, "FROM raw.alone") == [(1,)]
    assert shop().discover() == ["arrow", "counted", "faulty", "late", "orders"]
    assert "5 resources" in shop().test_connection()


@pytest.mark.parametrize("function", ["no_source", "shop_nobody_knows"])
def test_what_is_no_source(function: str) -> None:
    with pytest.raises(ConfigError):
        shop(function).discover()
    with pytest.raises(ConfigError) as caught:
        Dlt(source="tests.fixtures.dlt_resources:shop", arguments={"colour": SECRET}).discover()
    assert caught.value.code == "dlt.config"


def test_an_upper_bound_is_refused() -> None:
    with duckdb.connect() as connection, pytest.raises(ConfigError, match="upper bound"):
        shop().scan(connection, Stream("orders", DltStream(resource="orders")), State(until=Decimal(5)))


@pytest.mark.evidence("dlt", "source", "own_stub")
def test_the_rest_api_source_of_dlt(stub: Stub, tmp_path: Path, ran_against: RanAgainst) -> None:
    days = [{"id": n, "day": f"2026-01-{n:02}T00:00:00Z", "price": n + 0.5} for n in range(1, 21)]

    def answer(seen: Seen) -> Any:
        if seen.headers.get("Authorization") != f"Bearer {SECRET}":
            return reply(401)
        found = [row for row in days if row["day"] >= seen.query.get("since", "")]
        at = int(seen.query.get("offset", 0))
        return {"rows": found[at : at + 7], "total": len(found)}

    stub.on("/orders", answer)
    endpoint = {
        "path": "orders",
        "data_selector": "rows",
        "params": {"since": "{incremental.start_value}"},
        "incremental": {"cursor_path": "day", "initial_value": "2026-01-01T00:00:00Z"},
        "paginator": {"type": "offset", "limit": 7, "total_path": "total"},
    }
    source = Dlt(
        source="dlt.sources.rest_api:rest_api_source",
        arguments={
            "config": {
                "client": {"base_url": stub.url, "auth": {"type": "bearer"}},
                "resources": [{"name": "orders", "endpoint": endpoint}],
            }
        },
        secrets={"config.client.auth.token": SECRET},
    )
    warehouse = tmp_path / "w.duckdb"
    assert load(source, warehouse, "1").rows_loaded == 20
    days.append({"id": 21, "day": "2026-01-21T00:00:00Z", "price": 21.5})
    assert load(source, warehouse, "2").rows_loaded == 1
    assert stub.seen[-1].query["since"] == "2026-01-20T00:00:00Z"
    assert ask(warehouse, "SELECT count(*), count(DISTINCT id), sum(price) FROM raw.orders") == [(21, 21, 241.5)]
    ran_against(source, f"dlt {dlt.__version__}, rest_api")


LOAD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.bridges.test_dlt_source import dlt_resources, load, shop
dlt_resources.ORDERS["last"] = 25_000
load(shop(), Path(sys.argv[2]), "2")
"""


@pytest.mark.kill
def test_a_killed_load_resumes_where_the_last_committed_one_ended(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    load(shop(), warehouse, "1")
    call = [sys.executable, "-c", LOAD, str(ROOT), str(warehouse)]
    killed = subprocess.run(
        call, env={**os.environ, "DATAFLOW_KILL_AT": "state_written"}, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    dlt_resources.ORDERS["last"] = 25_000
    load(shop(), warehouse, "2")
    assert ask(warehouse, "SELECT count(*), count(DISTINCT id) FROM raw.orders") == [(25_000, 25_000)]
