"""Two stories of one stream: under a rule that was wrong, then replayed; and under the right rule from the start."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from dataflow_platform.checks.expression import Expression
from dataflow_platform.core.base import Destination, LoadStrategy, Stream, Table, Window
from dataflow_platform.engine import load as engine_load
from dataflow_platform.engine import replay as engine_replay
from dataflow_platform.engine import stage as engine_stage
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.replay import Replayed, Selection, replay
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord, reset_state
from dataflow_platform.engine.stream_load import StreamLoad
from tests.fixtures.rows import Rows, RowsOptions

Row = dict[str, Any]
RIGHT = [Expression(sql="v is not null", severity="warn", name="v_known")]
WRONG = [*RIGHT, Expression(sql="coalesce(v, 'a') = 'a' and coalesce(w, 0) = 0", severity="warn", name="too_strict")]
_numbers = count()


class Clock(datetime):
    """A clock that stands at an hour a test names."""

    hour = 0

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2050, 1, 1, tzinfo=UTC) + timedelta(hours=cls.hour)


@contextmanager
def stopped_clock() -> Iterator[None]:
    with (
        patch.object(engine_stage, "datetime", Clock),
        patch.object(engine_load, "datetime", Clock),
        patch.object(engine_replay, "datetime", Clock),
    ):
        yield


@dataclass
class Told:
    """One story: a stream of its own into a table of its own."""

    warehouse: Destination
    how: str
    strategy: LoadStrategy
    cursor: bool = True
    clock: bool = False
    from_the_start: bool = False
    """Every load finds no state: rows that are late reach the strategy too."""
    contract: Contract = field(default_factory=Contract)
    name: str = field(default_factory=lambda: f"r{next(_numbers)}")
    loads: int = 0

    def arrow(self, rows: Sequence[Row]) -> pa.Table:
        """The rows of a batch as the source gives them."""
        at = pa.timestamp("us") if self.clock else pa.int32()
        kinds = {"id": pa.int64(), "at": at, "v": pa.string(), "w": pa.decimal128(6, 2), "gone": pa.bool_()}
        return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})

    def stream_load(self, rows: Sequence[Row], checks: Sequence[Expression], window: Window | None) -> StreamLoad:
        return StreamLoad(
            pipeline=self.name,
            stream=Stream("t", RowsOptions(), "at" if self.cursor else None, ("id",)),
            source=Rows().with_rows(self.arrow(rows)),
            destination=self.warehouse,
            target=Table("raw", self.name),
            strategy=self.strategy,
            strategy_name=self.how,
            load_id=f"{self.name} {self.loads}",
            checks=checks,
            contract=self.contract,
            window=window,
        )

    def load(self, rows: Sequence[Row], checks: Sequence[Expression], window: Window | None = None) -> LoadRecord:
        Clock.hour = self.loads
        if self.from_the_start and self.loads:
            session = self.warehouse.session()
            reset_state(session, "raw", self.name, "t")
            session.commit()
            session.close()
        record = publish(stage(self.stream_load(rows, checks, window)))
        self.loads += 1
        assert record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered
        return record

    def replay(self, selection: Selection | None = None, checks: Sequence[Expression] = RIGHT) -> Replayed:
        # The clock of a replay is far off: nothing of it may be seen in the table.
        Clock.hour = 100_000 + self.loads
        load = replace(self.stream_load([], checks, None), load_id="")
        found = replay(load, selection or Selection(), "somebody")
        if found.record:
            assert found.selected == found.loaded + found.record.rows_quarantined + found.left_out
        return found

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        session = self.warehouse.session()
        try:
            return session.query(sql)
        finally:
            session.close()

    def open_ids(self) -> list[str]:
        """The open rows, in an order that does not hang on their ids."""
        rows = self.query(
            "SELECT quarantine_id FROM raw._dataflow_quarantine "
            f"WHERE pipeline = '{self.name}' AND status = 'open' ORDER BY row_values, load_id, quarantine_id"
        )
        return [row for (row,) in rows]

    def columns(self) -> list[str]:
        """The names of the table's columns, sorted."""
        session = self.warehouse.session()
        try:
            return sorted(column.name for column in session.columns(Table("raw", self.name)) or ())
        finally:
            session.close()

    def table(self) -> list[tuple[Any, ...]]:
        """All columns of the table in the order of their names; the rows sorted as text."""
        names = ", ".join(f'"{name}"' for name in self.columns())
        return sorted((tuple(row) for row in self.query(f"SELECT {names} FROM raw.{self.name}")), key=repr)
