"""delta: compare the table with a full snapshot and change only what differs."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from dataflow_platform.core.base import AddedColumn, LoadPlan, LoadStrategy, Reach, RowShape, State, Statement, Window
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import literal, quote

_CHANGES = quote("_dataflow_changes")
_CHANGE = quote("_dataflow_change")


class Delta(LoadStrategy):
    """Makes the table equal to a full snapshot: inserts, updates rows that differ, deletes keys that are gone.

    Every run reads the stream in full. Of several rows with one key the one with the greatest cursor
    counts, as under `merge`. A row counts as loaded where it changed the table and as filtered where the
    table says the same already: a second run loads 0 rows. A row whose key is NULL, or NULL in one part, goes to
    quarantine. A row in quarantine is no part of the snapshot. An empty snapshot deletes every row: guard it with
    the check `row_count`.
    """

    reach: ClassVar[Reach | None] = "key"
    needs_primary_key: ClassVar[bool] = True

    deletes: Literal["hard", "soft"] = Field(
        default="hard",
        description="A key that is gone: `hard` removes its row, `soft` keeps it and says when in `deleted_at`.",
    )
    deleted_at: str = Field(
        default="_deleted_at",
        description="The column a soft delete sets to the load's time; NULL while the key is there.",
    )

    def reads_from(self, stored: State, window: Window | None) -> State:
        """The beginning: every run reads the stream in full."""
        return State()

    def added_columns(self, rows: RowShape) -> tuple[AddedColumn, ...]:
        """The time of a soft delete."""
        return (AddedColumn(self.deleted_at, "TIMESTAMP WITH TIME ZONE", "NULL"),) if self.deletes == "soft" else ()

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Join the two once and keep what differs; then delete and insert by that short list.

        The rows left alone are counted between the two, so that nothing is derived from what it proves.
        """
        gone = quote(self.deleted_at)
        soft = self.deletes == "soft"
        yield plan.keep_newest()
        first = plan.primary_key[0]
        no_old, no_new = f"old.{quote(first)} IS NULL", f"new.{quote(first)} IS NULL"
        keys = ", ".join(f"coalesce(new.{quote(k)}, old.{quote(k)}) AS {quote(k)}" for k in plan.primary_key)
        others = listed([name for name in plan.columns if name not in plan.primary_key], "new")
        back = f" OR old.{gone} IS NOT NULL" if soft else ""
        lost = f"({no_new} AND old.{gone} IS NULL)" if soft else no_new
        changed = f"(old.{quote(first)} = new.{quote(first)} AND ({plan.differs()}{back}))"
        yield Statement(
            f"CREATE TEMP TABLE {_CHANGES} AS SELECT {keys}, {others + ', ' if others else ''}"
            f"CASE WHEN {no_old} THEN 'insert' WHEN {no_new} THEN 'delete' ELSE 'update' END AS {_CHANGE} "
            f"FROM {plan.source} AS new FULL JOIN {plan.into} AS old ON {plan.same_key()} "
            f"WHERE {no_old} OR {lost} OR {changed}"
        )
        same = f"{plan.same_key()} AND new.{_CHANGE} ="
        delete = f"DELETE FROM {plan.into} AS old USING {_CHANGES} AS new WHERE {same}"
        if soft:
            yield Statement(
                f"UPDATE {plan.into} AS old SET {gone} = {literal(plan.loaded_at)} FROM {_CHANGES} AS new "
                f"WHERE {same} 'delete'",
                counts_as="deleted",
            )
        else:
            yield Statement(f"{delete} 'delete'", counts_as="deleted")
        yield Statement(f"{delete} 'update'", counts_as="replaced")
        there = f" WHERE {gone} IS NULL" if soft else ""
        yield Statement(f"SELECT count(*) FROM {plan.into}{there}", counts_as="filtered", asks=True)
        yield plan.insert(_CHANGES, f"{_CHANGE} <> 'delete'")
        yield Statement(f"DROP TABLE {_CHANGES}")

    def supersedes(self, plan: LoadPlan) -> str | None:
        """Every later snapshot; where deletions are soft, one that has the key."""
        return "TRUE" if self.deletes == "hard" else plan.key_came()
