"""Generated batches, and the engine that loads them as one stream whose rows may come late."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import LoadStrategy, Stream, Table, Window
from dataflow_platform.core.sql import quote
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from tests.fixtures.rows import Rows, RowsOptions

Row = dict[str, Any]
PLAIN = {"id": "id", "at": "at", "v": "v", "w": "w", "gone": "gone"}
HOSTILE = {"id": 'i "d', "at": "a't; --", "v": "select", "w": "🛩 1st", "gone": "{x}"}
_TYPES = {"id": pa.int64(), "at": pa.int32(), "v": pa.string(), "w": pa.decimal128(6, 2), "gone": pa.bool_()}
_numbers = count()

# The slowest example loads four batches; how long that takes is not what is tested.
many = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def batches(cursors: Sequence[Any] = (None, 1, 2, 3, 4, 5), longest: int = 6) -> st.SearchStrategy[list[list[Row]]]:
    """One to three batches of rows: few keys and few values, so that keys repeat, cursors tie and rows come late."""
    row = st.fixed_dictionaries(
        {
            "id": st.sampled_from([None, 1, 1, 2, 2, 3]),
            "at": st.sampled_from(cursors),
            "v": st.sampled_from([None, "a", "b"]),
            "w": st.sampled_from([None, 0, 1]),
            "gone": st.sampled_from([None, False, False, True]),
        }
    )
    return st.lists(st.lists(row, max_size=longest), min_size=1, max_size=3)


names = st.sampled_from([PLAIN, HOSTILE])


@dataclass
class Loader:
    """Loads batches of one generated example into a table of its own.

    Each load has a pipeline of its own and so finds no state: every row of the batch reaches the strategy,
    late ones too (as they do after a backfill or a reset).
    """

    warehouse: DuckDB
    how: str
    strategy: LoadStrategy
    names: dict[str, str] = field(default_factory=lambda: PLAIN)
    cursor: bool = True
    key: bool = True
    clock: bool = False
    """The cursor is a timestamp, not a number."""
    without: tuple[str, ...] = ("gone",)
    table: str = field(default_factory=lambda: f"t{next(_numbers)}")

    def load(self, rows: Sequence[Row], window: Window | None = None) -> LoadRecord:
        """Load one batch; the record balances, or the engine refuses it."""
        number = next(_numbers)
        record = publish(
            stage(
                StreamLoad(
                    pipeline=f"p{number}",
                    stream=Stream(
                        "t",
                        RowsOptions(),
                        self.names["at"] if self.cursor else None,
                        (self.names["id"],) if self.key else (),
                    ),
                    source=Rows().with_rows(self.arrow(rows)),
                    destination=self.warehouse,
                    target=Table("raw", self.table),
                    strategy=self.strategy,
                    strategy_name=self.how,
                    load_id=str(number),
                    window=window,
                )
            )
        )
        assert record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered
        if self.how not in ("append", "partition", "scd2"):
            assert record.rows_loaded == record.rows_inserted + record.rows_updated
        return record

    def arrow(self, rows: Sequence[Row]) -> pa.Table:
        """The batch as the source hands it out."""
        kinds = {**_TYPES, "at": pa.timestamp("us") if self.clock else pa.int32()}
        kept = [name for name in kinds if name not in self.without]
        return pa.table(
            {self.names[name]: pa.array([row[name] for row in rows], kinds[name]) for name in kept},
        )

    def found(self, *extra: str, of: Sequence[str] = ("id", "at", "v", "w")) -> list[tuple[Any, ...]]:
        """The rows of the table: the columns by their plain names, then ``extra`` SQL; sorted as text."""
        columns = ", ".join([*(quote(self.names[name]) for name in of), *extra])
        with self.warehouse.reader() as connection:
            return as_set(connection.execute(f"SELECT {columns} FROM raw.{self.table}").fetchall())

    def drop(self) -> None:
        """Leave the file small for the next example."""
        with self.warehouse.reader() as connection:
            connection.execute(f"DROP TABLE raw.{self.table}")


def as_set(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The rows in an order that is theirs: duplicates stay."""
    return sorted((tuple(row) for row in rows), key=repr)


def good(rows: Sequence[Row], *needed: str) -> list[Row]:
    """The rows that have a value in each of ``needed``: the others go to quarantine."""
    return [row for row in rows if all(row[name] is not None for name in needed)]


def greatness(row: Row, *columns: str) -> tuple[Any, ...]:
    """What decides between two rows: NULL is least, values after the cursor compare as text."""
    first, *others = columns
    at = row[first]
    return (at is not None, at if at is not None else 0, *((row[o] is not None, str(row[o])) for o in others))


def newest(rows: Sequence[Row], *columns: str) -> dict[Any, Row]:
    """The row of each key that wins within its batch."""
    return {row["id"]: row for row in sorted(rows, key=lambda row: greatness(row, *(columns or ("at", "v", "w"))))}


def is_late(old: Row | None, new: Row) -> bool:
    """True where the table holds a row with a greater cursor."""
    return bool(old and old["at"] is not None and (new["at"] is None or old["at"] > new["at"]))


def hours(*numbers: int) -> list[datetime]:
    """Moments of 2020 (below 100) and of 2100: before and after any load of a test."""
    past, future = datetime(2020, 1, 1), datetime(2100, 1, 1)
    return [(past if number < 100 else future) + timedelta(hours=number) for number in numbers]
