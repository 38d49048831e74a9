"""merge: update the rows whose key is known, insert the others."""

from collections.abc import Iterator
from typing import ClassVar

from dataflow_platform.core.base import LoadPlan, LoadStrategy, Statement
from dataflow_platform.core.sql import qualified, quote


class Merge(LoadStrategy):
    """Upsert by primary key. Of several rows with one key the one with the greatest cursor wins;
    equal cursors are settled by the greatest remaining values, so a rerun gives the same table."""

    needs_primary_key: ClassVar[bool] = True

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Drop superseded rows of the batch, delete what they replace, insert.

        Delete and insert costs half of MERGE on a table without an index, and needs no index.
        """
        staged = qualified(plan.staged.schema, plan.staged.name)
        incoming = qualified(plan.incoming.schema, plan.incoming.name)
        target = qualified(plan.target.schema, plan.target.name)
        keys = ", ".join(quote(name) for name in plan.primary_key)
        yield Statement(
            f"DELETE FROM {staged} WHERE rowid IN (SELECT loser FROM (SELECT rowid AS loser, row_number() OVER "
            f"(PARTITION BY {keys} ORDER BY {_newest_first(plan)}) AS place FROM {staged} WHERE ({keys}) IN "
            f"(SELECT ({keys}) FROM {staged} GROUP BY {keys} HAVING count(*) > 1)) WHERE place > 1)",
            on="stage",
            counts_as="superseded",
        )
        if not plan.target_is_new:
            same = " AND ".join(f"old.{quote(name)} = new.{quote(name)}" for name in plan.primary_key)
            yield Statement(f"DELETE FROM {target} AS old USING {incoming} AS new WHERE {same}", counts_as="updated")
        columns = ", ".join(quote(name) for name in plan.columns)
        yield Statement(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {incoming}", counts_as="inserted")


def _newest_first(plan: LoadPlan) -> str:
    others = [name for name in plan.columns if name not in plan.primary_key and name != plan.cursor]
    first = [f"{quote(plan.cursor)} DESC NULLS LAST"] if plan.cursor in plan.columns and plan.cursor else []
    tie = [f"{quote(name)}::VARCHAR DESC NULLS LAST" for name in others]
    return ", ".join([*first, *tie]) or ", ".join(quote(name) for name in plan.primary_key)
