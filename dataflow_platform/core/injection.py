"""Named points of a load at which it can be broken on purpose; ``DATAFLOW_KILL_AT=point:n`` kills the process there.

Switched off, a point costs one look at a variable.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable

POINTS = {
    "opened": "the session is open, nothing was asked",
    "locked": "the lock of the target is held",
    "side_transaction": "PostgreSQL: a schema or system table was created, its own transaction is not committed",
    "table_ensured": "the schema or one system table is there",
    "state_read": "the state was read: before the source, and again before publishing",
    "scanned": "the source is open, the plan is made, no row was read",
    "batch_read": "the source gave one batch or page; the engine is writing the stage",
    "landed": "the rows of a stream that passes once are kept, because the steps drop some",
    "staged": "all rows are in the staging table",
    "settled": "the staging table was committed ahead, where the destination does that",
    "validated": "the checks were judged",
    "check_reported": "Dagster has stored one check result",
    "handed_over": "the load was handed over to be published",
    "stage_statement": "one statement of the strategy ran on the stage",
    "stage_cleared": "the stage holds exactly what will be loaded",
    "quarantine_written": "the rejected rows are in their table",
    "schema_changed": "one change of the target's schema was made",
    "schema_applied": "the target has the columns planned",
    "copy_block": "PostgreSQL: one block of a COPY is on its way",
    "swapping": "the old table is dropped, the new one does not have its name yet",
    "statement": "one statement of the strategy ran on the target",
    "rows_written": "the rows are in the target",
    "reconciled": "what the target holds was compared with what was staged, where that is wanted",
    "state_written": "the state is written",
    "record_written": "the load record is written",
    "quality_written": "what the checks found is written too",
    "declared_made": "PostgreSQL: a declared index or key was created on the rows that are there",
    "files_written": "a lake: all files of the next version are there, its log entry is not",
    "log_entry_written": "a lake: the log entry is there, and with it the version; nothing is tidied up yet",
    "committed": "COMMIT was answered",
    "closed": "the session is closed",
    "returning": "the IO manager has published and is about to return",
    "materialized": "Dagster has stored the materialization",
}
"""What has just happened where the point stands; some are passed several times in one load."""

Act = Callable[[str, int], None]
"""Given a point and which passage of it this is, counted from 1."""

_act: Act | None = None
_passages: Counter[str] = Counter()


def reach(point: str) -> None:
    """Say that a load has come to ``point``; nothing happens unless something is armed."""
    if _act is not None:
        _passages[point] += 1
        _act(point, _passages[point])


def arm(act: Act | None) -> None:
    """Call ``act`` at every point from now on, counting anew; None switches the points off."""
    global _act  # one process, one plan
    _passages.clear()
    _act = act


def kill_at(where: str) -> Act:
    """SIGKILL this process (no clean-up runs) at ``point``, or at its n-th passage: ``point:n``."""
    point, _, number = where.partition(":")
    if point not in POINTS:
        raise ValueError(f"'{point}' is no point of a load; there are: {', '.join(POINTS)}")
    wanted = (point, int(number or 1))

    def act(*reached: str | int) -> None:
        if reached == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


if "DATAFLOW_KILL_AT" in os.environ:
    arm(kill_at(os.environ["DATAFLOW_KILL_AT"]))
