"""scd1: keep the newest values of every key, touching only rows that differ."""

from collections.abc import Iterator
from typing import ClassVar

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Reach, Statement


class Scd1(LoadStrategy):
    """Slowly changing dimension, type 1: updates rows that differ, inserts new keys, leaves the rest alone.

    The row with the greatest cursor wins, as under `merge`. A row counts as loaded where it changed the
    table; one that says what the table says already counts as filtered, so a second run loads 0 rows. A row whose
    key is NULL, or NULL in one part, goes to quarantine. An empty batch changes nothing.
    """

    reach: ClassVar[Reach | None] = "key"
    needs_primary_key: ClassVar[bool] = True

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Leave out late and unchanged rows, then delete what the others replace and insert them."""
        yield plan.keep_newest()
        yield from plan.drop_late()
        yield plan.drop_unchanged()
        yield Statement(
            f"DELETE FROM {plan.into} AS old USING {plan.source} AS new WHERE {plan.same_key()}",
            counts_as="replaced",
        )
        yield plan.insert()

    def supersedes(self, plan: LoadPlan) -> str | None:
        """A row of the same key whose cursor is at least as great."""
        return plan.newer_came()
