"""Late rows of a table that is replaced partition by partition."""

from collections.abc import Sequence

from dataflow_platform.core.base import Session, Table
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import rejected
from dataflow_platform.engine.replay_batch import CLEARS, Batch
from dataflow_platform.engine.state import QUARANTINE, system_table
from dataflow_platform.engine.stream_load import StreamLoad


def write(session: Session, load: StreamLoad, batches: Sequence[Batch]) -> tuple[int, int]:
    """Add the rows of each load to their partitions; where that load had no good row of one, replace it first.

    Earlier rows of such a partition that are still open are superseded; others of the same load will only be added.
    """
    inserted = deleted = 0
    for batch in batches:
        brought = session.bring(batch.table)
        rows = qualified(brought.schema, brought.name)
        by = load.strategy.partition_columns(batch.load_plan.columns)
        if by:
            same = " AND ".join(f"old.{quote(name)} IS NOT DISTINCT FROM new.{quote(name)}" for name in by)
            deleted += session.execute(
                f"DELETE FROM {batch.load_plan.into} AS old USING (SELECT DISTINCT {listed(by)} FROM {rows} "
                f"WHERE {quote(CLEARS)}) AS new WHERE {same}"
            )
            _settle_others(session, load, batch, by)
        inserted += session.execute(batch.insert(brought).sql)
    return inserted, deleted


def _settle_others(session: Session, load: StreamLoad, batch: Batch, by: Sequence[str]) -> None:
    types = dict(zip(batch.load_plan.columns, batch.load_plan.types, strict=True))
    same = " AND ".join(f"late.{quote(name)} IS NOT DISTINCT FROM new.{quote(name)}" for name in by)
    partition = (
        f"EXISTS (SELECT 1 FROM {batch.load_plan.stage} AS new WHERE new.{quote(CLEARS)} IS NOT NULL AND {same})"
    )
    late = f"({rejected.open_rows(load, types)}) AS late JOIN temp._dataflow_order AS o ON o.load_id = _dataflow_load"
    moot, siblings = (Table("temp", f"_dataflow_{word}_{batch.place}") for word in ("moot", "siblings"))
    session.in_engine(
        f"CREATE TEMP TABLE {quote(moot.name)} AS SELECT quarantine_id FROM {late} "
        f"WHERE o.place < {batch.place} AND {partition}"
    )
    rejected.mark(session, load.target.schema, moot, "superseded", load.run_id, f"replay of load {batch.load_id}")
    session.in_engine(
        f"CREATE TEMP TABLE {quote(siblings.name)} AS SELECT quarantine_id FROM {late} "
        f"WHERE _dataflow_load = {literal(batch.load_id)} AND _dataflow_clears AND {partition}"
    )
    brought = session.bring(siblings)
    session.execute(
        f"UPDATE {system_table(load.target.schema, QUARANTINE)} AS old SET clears_partition = FALSE "
        f"FROM {qualified(brought.schema, brought.name)} AS new WHERE old.quarantine_id = new.quarantine_id"
    )
