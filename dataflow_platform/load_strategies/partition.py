"""partition: replace whole partitions, leave the others alone."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Reach, RowShape, State, Statement, Window
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import find_column, quote


class Partition(LoadStrategy):
    """Replaces exactly the partitions present in the batch, or the partition of a Dagster partition run.

    A partition is all rows with equal values in the columns `by` (NULL is a value). A partition run replaces
    its range of the table, also where it reads no row. A batch must hold its partitions whole: the stream's
    cursor is not used to read. Every row counts as loaded; the rows replaced count as deleted. No key is looked
    at, be it NULL or there twice. An empty batch has no partition and changes nothing.
    """

    reach: ClassVar[Reach | None] = "partition"
    takes_every_row: ClassVar[bool] = True
    shorthand: ClassVar[str | None] = "by"

    by: tuple[str, ...] = Field(
        default=(), description="The column, or columns, whose values make a partition; not needed by partition runs."
    )

    @field_validator("by", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def reads_from(self, stored: State, window: Window | None) -> State:
        """What the source itself counts as new; a cursor would bring partitions in parts."""
        return State(position=stored.position, window=window)

    def check(self, rows: RowShape) -> None:
        """The partition's columns must be there, that of a partition run with the source's values."""
        for name in self.by:
            find_column(name, [column.name for column in rows.columns])
        if rows.partitioned and rows.window_column is None:
            raise ConfigError(
                "partition.column_lost",
                "the column the asset is partitioned by does not survive the steps: its range in the table is unknown",
                where="transform",
                fix="keep it as it is or rename it; put a cast of it into a column of its own (derive)",
            )
        if not rows.partitioned and not self.by:
            raise ConfigError(
                "partition.by",
                "load 'partition' does not know what a partition is",
                where="load.partition.by",
                fix="name the column (load: {partition: day}), or run a partition of the asset",
            )

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Delete the partitions, insert the rows."""
        if plan.window:
            yield Statement(f"DELETE FROM {plan.into} WHERE {plan.window}", counts_as="deleted")
        else:
            by = [find_column(name, plan.columns) for name in self.by]
            same = " AND ".join(f"old.{quote(name)} IS NOT DISTINCT FROM new.{quote(name)}" for name in by)
            yield Statement(
                f"DELETE FROM {plan.into} AS old USING (SELECT DISTINCT {listed(by)} FROM {plan.source}) AS new "
                f"WHERE {same}",
                counts_as="deleted",
            )
        yield plan.insert()

    def partition_columns(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns ``by``."""
        return tuple(find_column(name, columns) for name in self.by)

    def supersedes(self, plan: LoadPlan) -> str | None:
        """A later batch that has the partition, a later partition run whose range it lies in."""
        if plan.window:
            return plan.window
        by = [quote(name) for name in self.partition_columns(plan.columns)]
        same = " AND ".join(f"late.{name} IS NOT DISTINCT FROM new.{name}" for name in by)
        return f"EXISTS (SELECT 1 FROM {plan.stage} AS new WHERE {same})"
