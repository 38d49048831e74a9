"""What a broker's answer says besides its rows: whether they are all."""

from collections.abc import Mapping
from typing import Any

from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError

_PARTIAL = (
    "partialResult", "numGroupsLimitReached", "groupsTrimmed", "maxRowsInJoinReached", "maxRowsInWindowReached",
)  # fmt: skip
_FIXES = {
    "sql.query": "correct `query`; it must be one SELECT that can stand as a subselect",
    "sql.permission": "grant the user READ on the table",
    "table.unknown": "check `table` (or the query)",
    "column.unknown": "check `columns` and the query",
    "sql.failed": "try the query in Pinot's own console; read the column as text (`as_text`) or leave it out",
}
_CODES = {
    150: "sql.query", 700: "sql.query", 720: "sql.query", 180: "sql.permission", 190: "table.unknown",
    191: "table.unknown", 710: "column.unknown", 160: "sql.failed", 200: "sql.failed",
}  # fmt: skip
"""Error codes of Pinot that waiting does not help; all others mean servers, segments or time that were missing."""


def refuse_partial(answer: Mapping[str, Any], where: str) -> None:
    """Raise where the answer, whatever its status, says that it failed or that rows are missing."""
    exceptions = answer.get("exceptions") or ()
    if exceptions:
        raise _failed(exceptions, where)
    said = [name for name in _PARTIAL if answer.get(name)]
    queried, responded = answer.get("numServersQueried", 0), answer.get("numServersResponded", 0)
    if queried != responded:
        said.append(f"{responded} of {queried} servers answered")
    if said:
        raise TransientError(
            "pinot.partial",
            f"the broker answered with a part of the rows ({', '.join(said)})",
            where=where,
            fix="run it again; if it stays, look after the servers, or raise the limit that was reached",
        )


def _failed(exceptions: Any, where: str) -> DataflowError:
    told = [(each.get("errorCode"), str(each.get("message", "")).strip()) for each in exceptions]
    code, message = next(((c, m) for c, m in told if c in _CODES), told[0])
    line = " ".join(message.split())[:300]
    if code in _CODES:
        meant = _CODES[code]
        return ConfigError(meant, f"Pinot's error {code}: {line}", where=where, fix=_FIXES[meant])
    return TransientError(
        "pinot.partial",
        f"the broker could not answer whole: error {code}: {line}",
        where=where,
        fix="run it again; if it stays, look after Pinot's servers, or raise `timeout_seconds`",
    )
