"""One load in a process of its own, so that a test can kill it at a named point."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, LoadStrategy, Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.partition import Partition
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3
from tests.fixtures.rows import Rows, RowsOptions

STRATEGIES: dict[str, LoadStrategy] = {
    "append": Append(),
    "merge": Merge(),
    "replace": Replace(),
    "delta": Delta(),
    "partition": Partition(by=("at",)),
    "scd1": Scd1(),
    "scd2": Scd2(),
    "scd3": Scd3(columns=("v",)),
}


def batch(number: int) -> pa.Table:
    """12,000 rows: the second batch overlaps the first in keys and in its cursor; one row in 100 is bad."""
    first = number * 9_000
    ids = list(range(first, first + 12_000))
    return pa.table(
        {
            "id": ids,
            "at": [value // 10 for value in ids],
            "v": [None if value % 100 == 7 else f"batch {number} row {value}" for value in ids],
        }
    )


def destination(where: Path | dict[str, Any]) -> Destination:
    """The DuckDB file of that path, or the destination these fields describe (``type`` among them)."""
    if isinstance(where, Path):
        return DuckDB(path=str(where))
    fields = dict(where)
    return registry.destination(fields.pop("type"))(**fields)


def load(where: Path | dict[str, Any], how: str, number: int) -> LoadRecord:
    """Load batch ``number`` into the warehouse ``where`` under a load id of its own."""
    return publish(
        stage(
            StreamLoad(
                pipeline="p",
                stream=Stream("t", RowsOptions(), "at", ("id",)),
                source=Rows(one_shot=True).with_rows(batch(number)),
                destination=destination(where),
                target=Table("raw", "t"),
                strategy=STRATEGIES[how],
                strategy_name=how,
                load_id=f"load {number}",
                checks=[NotNull(columns=["v"], severity="warn")],
            )
        )
    )


def load_and_die(where: Path | dict[str, Any], how: str, number: int, point: str) -> None:
    """The same, dying at ``point``."""
    os.environ["DATAFLOW_KILL_AT"] = point
    load(where, how, number)
