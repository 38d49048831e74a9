"""Rows that are written once: straight from the source to where they are published, with no stage between.

Here alone is said when. The rows of a load are staged where they are changed or chosen from before they are published,
where the destination cannot undo or look at what was written (see ``can_write_ahead``), and where ``reconcile: on``
wants them compared with a second time. What breaks a row rule is taken out of what was written.
"""

from collections.abc import Sequence

import duckdb

from dataflow_platform.core.base import Ahead, State, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.session import PLACE
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine import planning, reconciliation, rejected, transform, validate
from dataflow_platform.engine.stream_load import StagedLoad, WrittenAhead


def how(result: StagedLoad, query: transform.Query, wanted: State) -> Ahead:
    """Whether the rows of ``query`` can be the whole table as they come, and be read once written; asked first."""
    load, plan = result.load, result.plan
    assert plan is not None
    assert result.shape is not None
    if not (plan.target_is_new or load.strategy.replaces_target()) or not load.strategy.takes_every_row:
        return "no"
    # Rows that an earlier load took are recognised in the stage, and what no column of the table shows is kept there:
    # a cursor the steps changed, the source's own values of a bad row, its place.
    unshown = query.cursor == transform.CARRIED_CURSOR or (query.hidden and validate.row_rules(result.rules))
    if load.reconcile == "on" or wanted.cursor is not None or unshown:
        return "no"
    # What becomes of the target's schema is known before the rows, and they need no more fitting.
    if plan.alterations or plan.guards or plan.absent or plan.required:
        return "no"
    if any(each.loses or not each.loaded or each.cast == "afterwards" for each in plan.fitted):
        return "no"
    able = result.session.can_write_ahead([*result.shape.columns, *result.added], load.target)
    return "no" if able == "hidden" and _is_looked_at(result) else able


def _is_looked_at(result: StagedLoad) -> bool:
    """The rows are read again between writing and publishing: by checks, for the cursor, for rows of earlier loads."""
    load = result.load
    return bool(result.rules or load.stream.cursor or load.strategy.reach not in ("row", "table"))


def write(
    result: StagedLoad, query: transform.Query, readable: bool, readers: Sequence[duckdb.DuckDBPyConnection]
) -> Table:
    """Write the rows of ``query`` where they will be published; the table that holds them until then.

    ``readers``: connections that see a part of the source each.
    """
    left_out = f" EXCLUDE ({listed(query.hidden)})" if query.hidden else ""
    rows_of = f"SELECT *{left_out} FROM ({planning.staged_query(query.sql, result)}) AS published"
    table, rows = result.session.write_ahead(rows_of, result.load.target, readers)
    result.ahead = WrittenAhead(table, rows, readable)
    return table


def look(result: StagedLoad, query: transform.Query, wanted: State) -> None:
    """Let the engine read the rows where it can, count those that are there and mark the bad ones.

    ``wanted``: where reading began.
    """
    session, ahead, load = result.session, result.ahead, result.load
    assert ahead is not None
    if ahead.readable:
        session.expose(ahead.table)
        found = session.in_engine(f"SELECT count(*) FROM {qualified(ahead.table.schema, ahead.table.name)}")[0][0]
        if found != ahead.rows:
            raise DataError(
                "load.corrupted",
                f"{ahead.rows:,} rows were written and {found:,} are there; nothing was published",
                where=f"{load.target.schema}.{load.target.name}",
                fix="run it again; if it comes back, suspect the disk",
            )
        if validate.row_rules(result.rules):
            result.staged = _marked(result, query)
    if reconciliation.is_wanted(result, wanted):
        result.reconciled = f"{ahead.rows:,} rows were written once, in the pass that read them; as many arrived"


def _marked(result: StagedLoad, query: transform.Query) -> Table:
    """A view of the rows written as a stage has them: with masks, and the source's own values of the bad ones.

    Only the masks of rows that break a rule are kept, and judged once: a rule may ask what time it is.
    """
    session, rules = result.session, result.rules
    assert result.ahead is not None
    rows, places, masks = session.placed(result.ahead.table), listed(PLACE), validate.mask_columns(rules)
    marks = qualified(rejected.MARKED.schema, rejected.MARKED.name)
    session.in_engine(
        f"CREATE TEMP TABLE {quote(rejected.MARKED.name)} AS SELECT {places}, {listed(masks)} "
        f"FROM ({validate.with_masks(rows, rules)}) AS judged WHERE {validate.is_marked(rules)}"
    )
    known = ", ".join(f"coalesce({quote(mask)}, 0) AS {quote(mask)}" for mask in masks)
    judged = (
        f"SELECT * EXCLUDE ({places}) REPLACE ({known}) FROM ({rows}) AS written LEFT JOIN {marks} AS bad "
        f"USING ({places})"
    )
    stage = Table("temp", f"{result.load.target.name}__dataflow_stage")
    session.in_engine(f"CREATE TEMP VIEW {quote(stage.name)} AS {rejected.with_origins(result, judged, query, {})}")
    return stage
