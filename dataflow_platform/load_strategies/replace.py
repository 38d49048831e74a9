"""replace: the rows become the whole table."""

from collections.abc import Iterator
from typing import ClassVar

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Reach, State, Statement, Window


class Replace(LoadStrategy):
    """Replaces the whole table; the old rows stay readable until the new ones are complete.

    Rows are taken as they come: no key is looked at, be it NULL or there twice. An empty stream empties the
    table: guard it with the check `row_count`.
    """

    reach: ClassVar[Reach | None] = "table"
    takes_every_row: ClassVar[bool] = True

    def replaces_target(self) -> bool:
        """Always."""
        return True

    def reads_from(self, stored: State, window: Window | None) -> State:
        """The beginning: every run reads the stream in full."""
        return State()

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Empty the target, then insert every staged row."""
        if not plan.target_is_new:
            yield Statement(f"DELETE FROM {plan.into}", counts_as="deleted")
        yield plan.insert()

    def supersedes(self, plan: LoadPlan) -> str | None:
        """Every load makes what came before it moot."""
        return "TRUE"
