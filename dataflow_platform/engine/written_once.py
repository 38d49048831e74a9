"""Rows that are written once: straight from the source to where they are published, with no stage between.

Here alone is said when. The rows of a load are staged where anything may be taken out of them, changed in them or
chosen from them before they are published, and where ``reconcile: on`` wants them compared with a second time.
"""

from dataflow_platform.core.base import State, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import qualified
from dataflow_platform.engine import reconciliation, transform, validate
from dataflow_platform.engine.stream_load import Ahead, StagedLoad


def is_possible(result: StagedLoad, query: transform.Query, wanted: State) -> bool:
    """True where the rows of ``query`` are the whole table as they come; nothing was read so far."""
    load, plan = result.load, result.plan
    assert plan is not None
    assert result.shape is not None
    if not (plan.target_is_new or load.strategy.replaces_target()) or not load.strategy.takes_every_row:
        return False
    if load.reconcile == "on" or validate.row_rules(result.rules):
        return False
    # Rows that an earlier load took are recognised in the stage, and a cursor that no column shows is kept there.
    if wanted.cursor is not None or query.cursor == transform.CARRIED_CURSOR or query.hidden:
        return False
    # What becomes of the target's schema is known before the rows, and they need no more fitting.
    if plan.alterations or plan.guards or plan.absent or plan.required:
        return False
    if any(each.loses or not each.loaded or each.cast == "afterwards" for each in plan.fitted):
        return False
    able = result.session.can_write_ahead([*result.shape.columns, *result.added], load.target)
    return able == "readable" or (able == "hidden" and not _is_looked_at(result))


def _is_looked_at(result: StagedLoad) -> bool:
    """The rows are read again between writing and publishing: by checks, for the cursor, for rows of earlier loads."""
    load = result.load
    return bool(result.rules or load.stream.cursor or load.strategy.reach not in ("row", "table"))


def write(result: StagedLoad, query: str) -> Table:
    """Write the rows of ``query`` where they will be published; the table that holds them until then."""
    assert result.shape is not None
    readable = result.session.can_write_ahead(result.shape.columns, result.load.target) == "readable"
    table, rows = result.session.write_ahead(query, result.load.target)
    result.ahead = Ahead(rows, readable)
    return table


def look(result: StagedLoad, wanted: State) -> None:
    """Let the engine read the rows where it can, and count those that are there; ``wanted``: where reading began."""
    session, table, load = result.session, result.staged, result.load
    assert table is not None
    assert result.ahead is not None
    rows = result.ahead.rows
    if result.ahead.readable:
        session.expose(table)
        found = session.in_engine(f"SELECT count(*) FROM {qualified(table.schema, table.name)}")[0][0]
        if found != rows:
            raise DataError(
                "load.corrupted",
                f"{rows:,} rows were written and {found:,} are there; nothing was published",
                where=f"{load.target.schema}.{load.target.name}",
                fix="run it again; if it comes back, suspect the disk",
            )
    if reconciliation.is_wanted(result, wanted):
        result.reconciled = f"{rows:,} rows were written once, in the pass that read them; as many arrived"
