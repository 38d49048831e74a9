"""What a check asks of the rows, as SQL."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dataflow_platform.core.transformation import EngineFunction

if TYPE_CHECKING:
    import pyarrow as pa

Severity = Literal["warn", "error"]
Dimension = Literal["completeness", "validity", "uniqueness", "consistency", "timeliness"]
"""What of the quality of rows a rule is about."""


@dataclass(frozen=True)
class Decision:
    """How many rows fail, in words; an answer on the whole table (0 or 1) is not ``tolerated``, whatever passes."""

    failing: int
    sentence: str
    tolerated: bool = True


class RuleCode(ABC):
    """Python that judges for a rule: single rows while they are staged, or all of them when they are there."""

    function: EngineFunction | None = None
    """What the rule's ``violation`` calls by its name, one that no other rule of the process has. It never raises."""
    takes: str = ""
    """A SELECT over ``staged``: what ``decide`` is given."""
    broken: str | None = None
    """What the code failed with, once it has run."""

    @abstractmethod
    def needs_all(self) -> bool:
        """True where ``decide`` has to judge; asked once single rows were judged."""

    @abstractmethod
    def decide(self, rows: "pa.RecordBatchReader") -> Decision:
        """What all rows come to. It never raises."""


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

    ``code`` is Python that judges beside the SQL, or instead of it where there is neither violation nor verdict.
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
    dimension: Dimension = "validity"
    code: tuple[RuleCode, ...] = ()
    shows: tuple[str, ...] = ()
    """Columns to look at where a row breaks it."""
    quarantines: bool = True
    """Of a ``violation``: the rows that break it are taken out; otherwise they are only counted and judged."""
    may_raise: bool = True
    """False where its SQL raises no error over any row."""
