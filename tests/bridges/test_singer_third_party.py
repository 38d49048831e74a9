"""A tap from PyPI, tap-rest-api-msdk, in an environment of its own, against a server of ours."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.singer import Singer, SingerStream
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.core.registry import load_strategy
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from tests.bridges.conftest import program, version
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.rest_api import Seen, Stub, reply

KEY = "tap-key-0123456789"


@pytest.mark.evidence("singer", "source", "own_stub")
def test_a_tap_of_pypi_loads_and_goes_on_from_its_bookmark(stub: Stub, tmp_path: Path, ran_against: RanAgainst) -> None:
    tap = program("tap-rest-api-msdk", "tap-rest-api-msdk")
    days = [{"id": n, "day": f"2026-01-{n:02}", "price": n + 0.5, "of": {"a": n}} for n in range(1, 21)]
    asked: list[str] = []

    def answer(seen: Seen) -> Any:
        if seen.headers.get("X-Key") != KEY:
            return reply(401)
        asked.append(seen.query.get("since", ""))
        return {"rows": [row for row in days if row["day"] >= seen.query.get("since", "")]}

    stub.on("/orders", answer)
    source = Singer(
        command=tap,
        config={
            "api_url": stub.url,
            "headers": {},
            "streams": [
                {
                    "name": "orders",
                    "path": "/orders",
                    "records_path": "$.rows[*]",
                    "primary_keys": ["id"],
                    "replication_key": "day",
                    "source_search_field": "since",
                    "source_search_query": "$last_run_date",
                    "num_inference_records": 20,
                }
            ],
        },
        secrets={"headers.X-Key": KEY},
    )
    warehouse = tmp_path / "w.duckdb"

    def load(load_id: str) -> tuple[int, int]:
        stream = Stream("orders", SingerStream(stream="orders"), None, ("id",))
        made = StreamLoad(
            "p", stream, source, DuckDB(path=str(warehouse)), Table("raw", "orders"), load_strategy("merge")(), "merge",
            load_id,
        )  # fmt: skip
        record = publish(stage(made))
        return record.rows_read, record.rows_loaded

    assert source.discover() == ["orders"]
    assert load("1") == (20, 20)
    days.append({"id": 21, "day": "2026-01-21", "price": 21.5, "of": {"a": 21}})
    # From its bookmark on: the row of 20 January again, and the new one.
    assert load("2")[0] == 2
    assert asked[-1].startswith("2026-01-20")
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT id), sum(price) FROM raw.orders").fetchall()
    assert found == [(21, 21, sum(range(1, 22)) + 21 * 0.5)]
    ran_against(source, f"tap-rest-api-msdk {version('tap-rest-api-msdk', 'tap-rest-api-msdk')}")
