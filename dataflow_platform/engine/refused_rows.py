"""The rows for which checks refused a load: kept to be looked at, until the stream is loaded again.

They are in the quarantine table with the status ``refused``: no replay takes them, for their load comes again.
"""

import json
from typing import TYPE_CHECKING

from dataflow_platform.core.base import Session, Table
from dataflow_platform.core.sql import literal, qualified
from dataflow_platform.engine import rejected, validate
from dataflow_platform.engine.state import QUARANTINE, system_table
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

if TYPE_CHECKING:
    import pyarrow as pa

STATUS = "refused"
MOST = 10_000
"""So many rows that break blocking rules are kept, as many that only break others, and as many of each set rule."""
_WHY = "its load was refused as a whole: it comes again with the next one"
_COLLECTED = "_dataflow_refused"


def collected(staged: StagedLoad) -> "pa.Table | None":
    """The rows, as quarantine keeps them, while the stage is there; None where single rows break nothing."""
    if staged.staged is None:
        return None
    table, selects = qualified(staged.staged.schema, staged.staged.name), []
    if validate.row_rules(staged.rules):
        bad, blocking = validate.is_marked(staged.rules), _blocking(staged)
        reasons = validate.reasons(staged.rules)
        for which in (f"({bad}) AND ({blocking})", f"({bad}) AND NOT ({blocking})"):
            selects.append(_kept(staged, f"(FROM {table} WHERE {which} LIMIT {MOST})", reasons))
    whole = {name for name, *_ in staged.session.in_engine(f"DESCRIBE {table}")}
    for verdict in staged.verdicts:
        rule = verdict.rule
        if rule.rows is None or not verdict.failing or verdict.broken is not None:
            continue
        good = f"SELECT * FROM {table} WHERE NOT ({validate.is_bad(staged.rules)})"
        rows = f"(WITH staged AS ({good}) {rule.rows})"
        # A SELECT of somebody's own may give other columns than the rows have.
        if whole <= {name for name, *_ in staged.session.in_engine(f"DESCRIBE {rows}")}:
            reason = literal(json.dumps([{"rule": rule.name, "message": rule.message}], ensure_ascii=False))
            selects.append(_kept(staged, f"(FROM {rows} LIMIT {MOST})", reason))
    if not selects:
        return None
    found = staged.session.connection.sql(" UNION ALL ".join(selects)).to_arrow_table()
    # By place, as they go into the table: some of the expressions have one name.
    return found.rename_columns([f"column_{place}" for place in range(found.num_columns)])


def _blocking(staged: StagedLoad) -> str:
    judged = validate.row_rules(staged.rules)
    blocks = {verdict.rule.name for verdict in staged.verdicts if verdict.blocks}
    found = [validate.breaks(place) for place, rule in enumerate(judged) if rule.name in blocks]
    return " OR ".join(found) or "FALSE"


def _kept(staged: StagedLoad, rows: str, reasons: str) -> str:
    clears, refusal = "CAST(NULL AS BOOLEAN)", literal(_WHY)
    return f"(SELECT {rejected.as_quarantined(staged, STATUS, reasons, clears, refusal)} FROM {rows} AS bad)"


def save(session: Session, load: StreamLoad, rows: "pa.Table") -> None:
    """Keep the rows in place of those of an earlier refused load, in the session's transaction."""
    forget(session, load)
    session.connection.register(_COLLECTED, rows)
    session.append(Table(load.target.schema, QUARANTINE), f"SELECT * FROM {_COLLECTED}")
    session.connection.unregister(_COLLECTED)


def forget(session: Session, load: StreamLoad) -> None:
    """Take out the rows of an earlier refused load of the stream, in the session's transaction."""
    table = system_table(load.target.schema, QUARANTINE)
    mine = f"{rejected.stream_is(load)} AND status = '{STATUS}'"
    if session.query(f"SELECT 1 FROM {table} WHERE {mine} LIMIT 1"):
        session.execute(f"DELETE FROM {table} WHERE {mine}")
