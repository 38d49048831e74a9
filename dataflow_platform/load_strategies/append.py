"""append: add the rows, change none."""

from collections.abc import Iterator
from typing import ClassVar

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Reach, Statement


class Append(LoadStrategy):
    """Adds the new rows behind those already there."""

    reach: ClassVar[Reach | None] = "row"

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """One INSERT of every staged row."""
        yield plan.insert()
