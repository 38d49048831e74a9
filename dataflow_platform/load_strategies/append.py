"""append: add the rows, change none."""

from collections.abc import Iterator
from typing import ClassVar

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Reach, Statement


class Append(LoadStrategy):
    """Adds the new rows behind those already there.

    Rows are taken as they come: no key is looked at, be it NULL or there twice. An empty batch adds nothing; a
    first one makes the table.
    """

    reach: ClassVar[Reach | None] = "row"
    takes_every_row: ClassVar[bool] = True

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """One INSERT of every staged row."""
        yield plan.insert()
