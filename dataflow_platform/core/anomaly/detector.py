"""What a detector is: SQL over a series in, SQL with every point judged out. Nothing is run here."""

from abc import ABC, abstractmethod
from typing import Literal

from pydantic import Field

from dataflow_platform.core.spec import Spec

JUDGED = ("moment", "value", "observed", "expected", "low", "high", "score", "is_anomaly")
"""The columns of a judged series. All but ``moment`` and ``value`` are NULL where too little of the past is known."""
_UNBOUNDED = "1e6"  # the score where the past never varied at all and no share is tolerated


class Detector(Spec, ABC):
    """Judges each point of a series by the points before it, never by later ones nor by itself."""

    threshold: float = Field(gt=0, description="How many spreads from what was expected a point may lie.")
    least: int = Field(default=8, ge=2, description="Points of the past that must be known before one is judged.")
    tolerance: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="Share of what was expected that a point may always be off by: 0.01 is 1 %.",
    )
    side: Literal["both", "above", "below"] = Field(
        default="both", description="Whether values that are too high, too low, or both are anomalies."
    )
    in_a_row: int = Field(
        default=1, ge=1, le=1000, description="How many points in a row must be off, the last of them is the anomaly."
    )

    @abstractmethod
    def baseline(self, points: str) -> str:
        """A SELECT over ``points`` (``moment`` TIMESTAMP and ``value`` DOUBLE, no NULLs) of ``moment``, ``value``,
        ``observed`` (what is compared: mostly the value itself), ``expected``, ``spread`` (one spread, not
        negative) and ``known`` (points of the past that were used)."""

    def subject_words(self) -> str:
        """Words for what is compared, as SQL of text."""
        return "''"

    def slot_words(self) -> str:
        """Words for the points a point is compared with, as SQL of text over ``moment``: ' for a Monday'."""
        return "''"

    def judged(self, series: str) -> str:
        """A SELECT of ``JUDGED`` over ``series``, the name of a relation, or a SELECT in parentheses, with the columns
        ``moment`` and ``value`` in any order. Points without a finite value are left out."""
        points = (
            "(SELECT CAST(moment AS TIMESTAMP) AS moment, CAST(value AS DOUBLE) AS value FROM "
            f"{series} AS series WHERE moment IS NOT NULL AND isfinite(CAST(value AS DOUBLE)))"
        )
        deviation = {"both": "abs(observed - expected)", "above": "observed - expected", "below": "expected - observed"}
        off = deviation[self.side]
        judged = (
            "SELECT moment, value, observed, expected, expected - reach AS low, expected + reach AS high, "
            f"CASE WHEN reach > 0 THEN least(greatest({off}, 0) / reach * {self.threshold}, {_UNBOUNDED}) "
            f"WHEN {off} > 0 THEN {_UNBOUNDED} WHEN reach = 0 THEN 0 END AS score, {off} > reach AS is_off FROM ("
            f"SELECT moment, value, observed, CASE WHEN known >= {self.least} THEN expected END AS expected, "
            f"greatest(spread * {self.threshold}, abs(expected) * {self.tolerance}) AS reach "
            f"FROM ({self.baseline(points)}) AS baseline) AS reached"
        )
        before = f"OVER (ORDER BY moment ROWS BETWEEN {self.in_a_row - 1} PRECEDING AND CURRENT ROW)"
        anomaly = f"count(*) FILTER (is_off) {before} = {self.in_a_row}" if self.in_a_row > 1 else "is_off"
        return (
            "SELECT moment, value, observed, expected, CASE WHEN expected IS NOT NULL THEN low END AS low, "
            "CASE WHEN expected IS NOT NULL THEN high END AS high, CASE WHEN expected IS NOT NULL THEN score END AS "
            f"score, CASE WHEN expected IS NOT NULL THEN {anomaly} END AS is_anomaly FROM ({judged}) AS judged"
        )
