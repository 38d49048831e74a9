"""What a check asks of the rows, as SQL."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["warn", "error"]


@dataclass(frozen=True)
class Rule:
    """One thing that must hold; an asset check in Dagster.

    ``violation`` is a SQL expression over the row, TRUE where the row is bad (row scope), or
    ``verdict`` is a SELECT over the table ``staged`` returning one row: failing count, and a
    sentence (set scope). ``at_most`` is the share (0..1) or number of bad rows that still passes.

    ``rows`` is a SELECT over ``staged`` of the rows that make a set rule fail, where single rows do.
    ``measures`` is a SELECT over ``staged`` returning name, column name, value and a detail (JSON or NULL): kept with
    the load. A verdict that ``reads_history`` finds what earlier published loads of the stream kept in ``history``:
    measured_at, kind, name, column_name, value, rows, detail.
    """

    name: str
    message: str
    severity: Severity = "error"
    column: str | None = None
    violation: str | None = None
    verdict: str | None = None
    at_most: float = 0.0
    at_most_is_share: bool = False
    description: str = ""
    owner: str = ""
    rows: str | None = None
    measures: str | None = None
    reads_history: bool = False
