"""What every round loads: three batches of one stream, each with something the strategies treat differently.

batch 0  a new table, 6,000 rows
batch 1  overlaps batch 0 in a quarter of its keys and in its cursor, and brings a new column
batch 2  overlaps batch 1 in the same way; a column is wider than before (INTEGER -> BIGINT)

One key in a hundred is bad and goes to quarantine, every tenth comes twice (a second later), one in fifty is dropped
by a step. Ten keys share a minute of the cursor.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, LoadStrategy, Stream, Table
from dataflow_platform.engine import load as line
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
from dataflow_platform.transformations.filter import Filter
from tests.reliability.paged_source import Paged, PagedOptions

STRATEGIES: dict[str, LoadStrategy] = {
    "append": Append(),
    "replace": Replace(),
    "merge": Merge(),
    "delta": Delta(),
    "partition": Partition(by=("at",)),
    "scd1": Scd1(),
    "scd2": Scd2(),
    "scd3": Scd3(columns=("v",)),
}
KEYED = ("merge", "delta", "scd1", "scd2", "scd3")
"""Strategies that end with the same rows when the source sends a page twice."""
LOADS = 3
KEYS = 6_000
PAGES = 6
TARGET = Table("raw", "t")


def batch(number: int) -> pa.Table:
    """The rows of load ``number``: keys ``4,500 * number`` and the 5,999 after it, some of them twice."""
    ids = [number * KEYS * 3 // 4 + place for place in range(KEYS)]
    ids = [key for key in ids for _ in range(2 if key % 10 == 3 else 1)]
    again = [place > 0 and ids[place - 1] == key for place, key in enumerate(ids)]
    epoch = datetime(2026, 1, 1, tzinfo=UTC)
    columns: dict[str, Any] = {
        "id": ids,
        "at": [
            epoch + timedelta(minutes=key // 10, seconds=repeated) for key, repeated in zip(ids, again, strict=True)
        ],
        "v": [None if key % 100 == 7 else f"batch {number} row {key}" for key in ids],
        "n": pa.array([key % 50 for key in ids], pa.int64() if number == 2 else pa.int32()),
    }
    if number:
        columns["note"] = [
            f"{'again' if repeated else 'first'} {key % 7}" for key, repeated in zip(ids, again, strict=True)
        ]
    return pa.table(columns)


BATCHES = [batch(number) for number in range(LOADS)]
"""Made once, in the server that the loads' processes are forked from."""


def destination(fields: dict[str, Any]) -> Destination:
    """The destination that ``fields`` describe, ``type`` among them."""
    rest = dict(fields)
    return registry.destination(rest.pop("type"))(**rest)


def stream_load(fields: dict[str, Any], how: str, number: int, repeats: int | None = None) -> StreamLoad:
    """Load ``number`` by strategy ``how``, under an id of its own; page ``repeats`` of the source comes twice."""
    return StreamLoad(
        pipeline="p",
        stream=Stream("t", PagedOptions(), "at", ("id",)),
        source=Paged(pages=PAGES, repeats=repeats).with_rows(BATCHES[number]),
        destination=destination(fields),
        target=TARGET,
        strategy=STRATEGIES[how],
        strategy_name=how,
        load_id=f"load {number}",
        steps=[Filter("n <> 49")],
        checks=[NotNull(columns=["v"], severity="warn")],
    )


def load(fields: dict[str, Any], how: str, number: int, repeats: int | None = None) -> LoadRecord:
    """Run the engine's line once."""
    return line.publish(stage(stream_load(fields, how, number, repeats)))
