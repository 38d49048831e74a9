"""replace: the rows become the whole table."""

from collections.abc import Iterator

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Statement
from dataflow_platform.core.sql import qualified, quote


class Replace(LoadStrategy):
    """Replaces the whole table; the old rows stay readable until the new ones are complete."""

    def replaces_target(self) -> bool:
        """Always: every run reads the stream in full."""
        return True

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Empty the target, then insert every staged row."""
        target = qualified(plan.target.schema, plan.target.name)
        columns = ", ".join(quote(name) for name in plan.columns)
        if not plan.target_is_new:
            yield Statement(f"DELETE FROM {target}", counts_as="deleted")
        incoming = qualified(plan.incoming.schema, plan.incoming.name)
        yield Statement(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {incoming}", counts_as="inserted")
