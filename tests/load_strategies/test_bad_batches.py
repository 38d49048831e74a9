"""Batches nobody wants, by every load strategy into every destination: the same rows and the same counts everywhere.

Keys that are NULL or come twice in one batch, batches without a row, rows without a column, rows that are nothing but
their key. What each strategy makes of them is said in its docstring and, number by number, in the tables here.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, LoadStrategy, Stream, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import qualified
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.io_manager import WarehouseIOManager
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

Values = list[tuple[Any, ...]]
Counts = tuple[int, int, int, int]
"""Rows loaded, quarantined, filtered, deleted."""

WAREHOUSES = ("duckdb", "postgres", "delta", "parquet_dataset")
HOW: dict[str, LoadStrategy] = {
    "append": Append(),
    "replace": Replace(),
    "merge": Merge(),
    "delta": Delta(),
    "delta soft": Delta(deletes="soft"),
    "partition": Partition(by=("part",)),
    "scd1": Scd1(),
    "scd2": Scd2(),
    "scd2 close": Scd2(deletes="close"),
    "scd3": Scd3(columns=("v",)),
}
SHOWN = {
    "delta soft": ", _deleted_at IS NULL",
    "scd2": ", _is_current",
    "scd2 close": ", _is_current",
    "scd3": ", previous_v",
}
"""What a strategy's own columns say of a row, without the clock."""
TYPES = {"k": pa.int64(), "part": pa.string(), "at": pa.timestamp("us"), "v": pa.string()}


@dataclass(frozen=True)
class Expected:
    """What is counted of each batch, and the rows that stand in the table after the last."""

    counts: Sequence[Counts]
    rows: Values


@pytest.fixture(scope="module")
def warehouses(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Destination]]:
    """One warehouse of each kind; every case has a table of its own in it."""
    folder, database = tmp_path_factory.mktemp("bad"), f"bad_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {database}")
    server = {"host": "127.0.0.1", "port": postgres_server.port, "user": "postgres"}
    kinds: dict[str, dict[str, Any]] = {
        "duckdb": {"path": str(folder / "w.duckdb")},
        "postgres": {**server, "database": database, "password": postgres_server.password},
        "delta": {"path": str(folder / "delta")},
        "parquet_dataset": {"path": str(folder / "dataset")},
    }
    found = {kind: registry.destination(kind)(**fields) for kind, fields in kinds.items()}
    # While one connection is open, the many short ones need not open and checkpoint the file each.
    with found["duckdb"].reader():
        yield found
    postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")


@dataclass(frozen=True)
class Case:
    """A stream whose batches are loaded one after the other by one strategy into one warehouse."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    warehouse: Destination
    how: str
    strategy: LoadStrategy
    cursor: str | None = None

    @property
    def target(self) -> Table:
        return Table(self.name, self.how.replace(" ", "_"))

    def load(self, rows: Values, one_shot: bool = False) -> LoadRecord:
        """Load one batch of rows."""
        columns = zip(*rows, strict=True) if rows else [()] * len(self.columns)
        named = zip(self.columns, columns, strict=True)
        return self.load_arrow(pa.table({name: pa.array(values, TYPES[name]) for name, values in named}), one_shot)

    def load_arrow(self, rows: pa.Table, one_shot: bool = False) -> LoadRecord:
        name = f"{self.name} {self.how}"
        load = StreamLoad(
            pipeline=name,
            stream=Stream(name, RowsOptions(), self.cursor, self.key),
            source=Rows(one_shot=one_shot).with_rows(rows),
            destination=self.warehouse,
            target=self.target,
            strategy=self.strategy,
            strategy_name=self.how.partition(" ")[0],
            load_id=uuid.uuid4().hex,
        )
        return publish(stage(load))

    def asked(self, sql: str) -> Values:
        session = self.warehouse.session()
        try:
            return sorted(session.query(sql), key=repr)
        finally:
            session.close()

    def found(self) -> Values:
        """The rows of the table, with what the strategy's own columns say of them."""
        shown = listed(self.columns) + SHOWN.get(self.how, "")
        return self.asked(f"SELECT {shown} FROM {qualified(self.target.schema, self.target.name)}")

    def matches(self, records: Sequence[LoadRecord], expected: Expected) -> None:
        """Counts and rows are those expected, and every row read is in the counts."""
        assert [counted(record) for record in records] == list(expected.counts)
        assert self.found() == sorted(expected.rows, key=repr)


def counted(record: LoadRecord) -> Counts:
    assert record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered
    return record.rows_loaded, record.rows_quarantined, record.rows_filtered, record.rows_deleted


every = pytest.mark.parametrize("how", HOW)
everywhere = pytest.mark.parametrize("kind", WAREHOUSES)

BROKEN = [
    (1, "a", "x"),
    (None, "a", "x"), (1, None, "x"), (None, None, "x"),  # no key, in either part or both
    (2, "a", "x"), (2, "a", "x"),  # one row twice
    (3, "a", "x"), (3, "a", "y"),  # one key twice, with different values
    (3, "b", "z"),  # half of a key that is there: another key
]  # fmt: skip
AGAIN = [
    (None, None, "w"),
    (1, "a", "x"), (1, "a", "x"),  # what is there already, twice
    (2, "a", "p"), (2, "a", "q"),  # changed twice at once
    (4, "a", "n"), (4, "a", "n"),  # new, twice
]  # fmt: skip

# Under the strategies with a key: 3 + 1 rows without one go to quarantine; of each key that came twice the row with
# the greatest values stays, so 2 rows of the first batch and 3 of the second are filtered.
UPSERTED: Values = [(1, "a", "x"), (2, "a", "q"), (3, "a", "y"), (3, "b", "z"), (4, "a", "n")]
KEYS: dict[str, Expected] = {
    # No key is looked at: 9 + 7 rows.
    "append": Expected([(9, 0, 0, 0), (7, 0, 0, 0)], [*BROKEN, *AGAIN]),
    "replace": Expected([(9, 0, 0, 0), (7, 0, 0, 0)], AGAIN),
    # The second batch has the partitions 'a' (6 rows of the first) and NULL (2 rows); 'b' stays.
    "partition": Expected([(9, 0, 0, 0), (7, 0, 0, 8)], [(3, "b", "z"), *AGAIN]),
    # Loaded first: 4 keys; then 1 (the same again), 2 (changed) and 4 (new).
    "merge": Expected([(4, 3, 2, 0), (3, 1, 3, 0)], UPSERTED),
    # As merge, but key 1 says nothing new: it is filtered.
    "scd1": Expected([(4, 3, 2, 0), (2, 1, 4, 0)], UPSERTED),
    # Key 2 held x before the load; its p was never in the table.
    "scd3": Expected([(4, 3, 2, 0), (2, 1, 4, 0)], [(*row, "x" if row[0] == 2 else None) for row in UPSERTED]),
    # The version x of key 2 is closed, nothing else: p never held.
    "scd2": Expected([(4, 3, 2, 0), (2, 1, 4, 0)], [(2, "a", "x", False), *((*row, True) for row in UPSERTED)]),
    # The snapshot lacks both keys of 3; the rows in quarantine are no part of it.
    "delta": Expected([(4, 3, 2, 0), (2, 1, 4, 2)], [row for row in UPSERTED if row[0] != 3]),
    "delta soft": Expected([(4, 3, 2, 0), (2, 1, 4, 2)], [(*row, row[0] != 3) for row in UPSERTED]),
    "scd2 close": Expected(
        [(4, 3, 2, 0), (2, 1, 4, 2)], [(2, "a", "x", False), *((*row, row[0] != 3) for row in UPSERTED)]
    ),
}


@everywhere
@every
def test_keys_that_are_missing_or_come_twice(warehouses: dict[str, Destination], kind: str, how: str) -> None:
    case = Case("keys", ("k", "part", "v"), ("k", "part"), warehouses[kind], how, HOW[how])
    case.matches([case.load(BROKEN), case.load(AGAIN, one_shot=True)], KEYS[how])
    reasons = case.asked(f"SELECT reasons FROM keys._dataflow_quarantine WHERE pipeline = 'keys {how}'")
    assert len(reasons) == sum(quarantined for _, quarantined, _, _ in KEYS[how].counts)
    assert all("the primary key (k, part) has a missing part" in str(reason) for (reason,) in reasons)


NOON, ONE, TWO = (datetime(2024, 1, 1, hour) for hour in (12, 13, 14))
TIES = [(1, NOON, "x"), (1, TWO, "y"), (1, TWO, "z"), (1, ONE, "x"), (2, None, "x"), (2, None, "y")]
# Key 1: TWO is the greatest cursor, z the greater value at it. Key 2 has no cursor: y is the greater value.
NEWEST: Values = [(1, TWO, "z"), (2, None, "y")]
NOTHING: Counts = (0, 0, 0, 0)
# A batch without rows, then TIES, then one without rows again: that adds nothing, has no key and no partition.
EMPTY: dict[str, Expected] = {
    "append": Expected([NOTHING, (6, 0, 0, 0), NOTHING], TIES),
    "partition": Expected([NOTHING, (6, 0, 0, 0), NOTHING], TIES),
    "merge": Expected([NOTHING, (2, 0, 4, 0), NOTHING], NEWEST),
    "scd1": Expected([NOTHING, (2, 0, 4, 0), NOTHING], NEWEST),
    "scd3": Expected([NOTHING, (2, 0, 4, 0), NOTHING], [(*row, None) for row in NEWEST]),
    # Each time of key 1 is a version, but ONE says what NOON said: filtered like the y at TWO. Key 2 has no place in
    # a history: both rows go to quarantine.
    "scd2": Expected([NOTHING, (2, 2, 2, 0), NOTHING], [(1, NOON, "x", False), (1, TWO, "z", True)]),
    # The batch is the whole stream: no row is left, or every key is gone.
    "replace": Expected([NOTHING, (6, 0, 0, 0), NOTHING], []),
    "delta": Expected([NOTHING, (2, 0, 4, 0), (0, 0, 0, 2)], []),
    "delta soft": Expected([NOTHING, (2, 0, 4, 0), (0, 0, 0, 2)], [(*row, False) for row in NEWEST]),
    "scd2 close": Expected([NOTHING, (2, 2, 2, 0), (0, 0, 0, 1)], [(1, NOON, "x", False), (1, TWO, "z", False)]),
}
IN_FULL = ("replace", "partition", "delta", "delta soft", "scd2 close")
"""Strategies that read from the beginning whatever the cursor."""


@everywhere
@every
def test_batches_without_rows_or_columns_and_one_key_at_several_times(
    warehouses: dict[str, Destination], kind: str, how: str
) -> None:
    strategy = Partition(by=("k",)) if how == "partition" else HOW[how]
    case = Case("empty", ("k", "at", "v"), ("k",), warehouses[kind], how, strategy, "at")
    # The table is made by the first batch, though it has no row.
    records = [case.load([]), case.load(TIES)]
    with pytest.raises(ConfigError, match=r"\[stream\.columns\] the rows have no column"):
        case.load_arrow(pa.table({}))
    records.append(case.load([], one_shot=True))
    case.matches(records, EMPTY[how])
    # No row, no progress: the next load reads on from where the last row stood.
    stood = "2024-01-01 14:00:00"
    assert [record.cursor_after for record in records] == [None, stood, None if how in IN_FULL else stood]


@everywhere
def test_a_first_batch_without_columns_makes_no_table(warehouses: dict[str, Destination], kind: str) -> None:
    case = Case("bare", ("k",), (), warehouses[kind], "append", Append())
    with pytest.raises(ConfigError, match=r"\[stream\.columns\] the rows have no column"):
        case.load_arrow(pa.table({}), one_shot=True)
    assert case.load([(1,)]).rows_loaded == 1
    assert case.found() == [(1,)]


@everywhere
def test_an_asset_without_columns_is_refused(warehouses: dict[str, Destination], kind: str) -> None:
    context = dg.build_output_context(asset_key=dg.AssetKey(["bare", "asset"]))
    with pytest.raises(dg.Failure, match=r"\[stream\.columns\] the rows have no column"):
        WarehouseIOManager(destination=warehouses[kind]).handle_output(context, pa.table({}))


# Two batches: keys 1 and 2, then 2 and 3.
ONLY_KEYS: dict[str, Expected] = {
    "append": Expected([(2, 0, 0, 0), (2, 0, 0, 0)], [(1,), (2,), (2,), (3,)]),
    "replace": Expected([(2, 0, 0, 0), (2, 0, 0, 0)], [(2,), (3,)]),
    # By k: the one row of key 2 makes room for another.
    "partition": Expected([(2, 0, 0, 0), (2, 0, 0, 1)], [(1,), (2,), (3,)]),
    "merge": Expected([(2, 0, 0, 0), (2, 0, 0, 0)], [(1,), (2,), (3,)]),
    # There is no value that could differ: a known key is filtered.
    "scd1": Expected([(2, 0, 0, 0), (1, 0, 1, 0)], [(1,), (2,), (3,)]),
    "scd2": Expected([(2, 0, 0, 0), (1, 0, 1, 0)], [(1, True), (2, True), (3, True)]),
    # Key 1 is gone.
    "delta": Expected([(2, 0, 0, 0), (1, 0, 1, 1)], [(2,), (3,)]),
    "delta soft": Expected([(2, 0, 0, 0), (1, 0, 1, 1)], [(1, False), (2, True), (3, True)]),
    "scd2 close": Expected([(2, 0, 0, 0), (1, 0, 1, 1)], [(1, False), (2, True), (3, True)]),
}


@everywhere
@pytest.mark.parametrize("how", ONLY_KEYS)
def test_rows_that_are_nothing_but_their_key(warehouses: dict[str, Destination], kind: str, how: str) -> None:
    strategy = Partition(by=("k",)) if how == "partition" else HOW[how]
    case = Case("only", ("k",), ("k",), warehouses[kind], how, strategy)
    case.matches([case.load([(1,), (2,)]), case.load([(2,), (3,)])], ONLY_KEYS[how])


@everywhere
def test_scd3_has_nothing_to_keep_of_a_key(warehouses: dict[str, Destination], kind: str) -> None:
    case = Case("only", ("k",), ("k",), warehouses[kind], "scd3", Scd3(columns=("k",)))
    with pytest.raises(ConfigError, match=r"\[scd3\.columns\] 'k' is part of the primary key"):
        case.load([(1,)])
