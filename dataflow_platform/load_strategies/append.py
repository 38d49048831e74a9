"""append: add the rows, change none."""

from collections.abc import Iterator

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Statement
from dataflow_platform.core.sql import qualified, quote


class Append(LoadStrategy):
    """Adds the new rows behind those already there."""

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """One INSERT of every staged row."""
        columns = ", ".join(quote(name) for name in plan.columns)
        yield Statement(
            f"INSERT INTO {qualified(plan.target.schema, plan.target.name)} ({columns}) "
            f"SELECT {columns} FROM {qualified(plan.incoming.schema, plan.incoming.name)}",
            counts_as="inserted",
        )
