"""merge: update the rows whose key is known, insert the others."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Reach, RowShape, Statement
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import find_column, quote


class Merge(LoadStrategy):
    """Upsert by primary key: the row with the greatest cursor wins, within the batch and against the table.

    Equal cursors: within a batch the greatest remaining values win, so a rerun gives the same table; against
    the table the newest batch wins. A row that lost counts as filtered. With `delete_marker`, a row whose
    marker is true deletes its key (at equal cursors the deletion wins); the marker row counts as filtered
    and the row it removed as deleted. A deleted key leaves no trace: an older row that comes later brings
    it back.

    A row whose key is NULL, or NULL in one part, goes to quarantine. An empty batch changes nothing. A known
    key is written again and counts as loaded and updated, also where the row says nothing new.
    """

    reach: ClassVar[Reach | None] = "key"
    needs_primary_key: ClassVar[bool] = True

    delete_marker: str | None = Field(
        default=None, description="A BOOLEAN column: a row in which it is true deletes the row with its key."
    )

    def check(self, rows: RowShape) -> None:
        """The marker must be there and be BOOLEAN."""
        if self.delete_marker is None:
            return
        name = find_column(self.delete_marker, [column.name for column in rows.columns])
        if rows.type_of(name) != "BOOLEAN":
            raise ConfigError(
                "merge.delete_marker",
                f"column '{name}' is {rows.type_of(name)}, a delete marker is BOOLEAN",
                where="load.merge.delete_marker",
                fix=f"cast it (transform: - cast: {{{name}: boolean}}) or derive a BOOLEAN column",
            )

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Drop superseded rows of the batch, delete what they replace, insert.

        Delete and insert costs half of MERGE on a table without an index, and needs no index.
        """
        marker = find_column(self.delete_marker, plan.columns) if self.delete_marker else None
        yield plan.keep_newest(first=(marker,) if marker else ())
        if plan.target_is_new and marker:
            yield Statement(f"DELETE FROM {plan.stage} WHERE {quote(marker)}", on="stage", counts_as="filtered")
        yield from plan.drop_late()
        matching = f"DELETE FROM {plan.into} AS old USING {plan.source} AS new WHERE {plan.same_key()}"
        if marker:
            yield Statement(f"{matching} AND new.{quote(marker)}", counts_as="deleted")
            yield Statement(f"DELETE FROM {plan.source} WHERE {quote(marker)}", counts_as="filtered")
        yield Statement(matching, counts_as="replaced")
        yield plan.insert()

    def supersedes(self, plan: LoadPlan) -> str | None:
        """A row of the same key whose cursor is at least as great."""
        return plan.newer_came()

    def forgets_keys(self) -> bool:
        """Where rows may be markers of a deletion."""
        return self.delete_marker is not None
