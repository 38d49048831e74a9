"""Detector ``robust_z``."""

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector

_MAD_TO_SIGMA = 1.4826
_RANGE_TO_SIGMA = 1 / 3.29  # from the 5th to the 95th percentile of a normal distribution


class RobustZ(Detector):
    """The median of the last points, in their median absolute deviations (MAD). Outliers of the past do not blind it.

    Of a metric with two levels the MAD is that of the commoner level; a spread is therefore never less than what lies
    between the 5th and the 95th percentile makes it.
    """

    threshold: float = Field(default=4.0, gt=0, description="How many spreads (MAD x 1.4826) a point may lie off.")
    window: int = Field(default=300, ge=2, description="How many of the last points count.")

    def baseline(self, points: str) -> str:
        """Median and MAD of the ``window`` points before."""
        past = f"OVER (ORDER BY moment ROWS BETWEEN {self.window} PRECEDING AND 1 PRECEDING)"
        known = (
            f"SELECT moment, value, quantile_cont(value, [0.05, 0.5, 0.95]) {past} AS ranks, mad(value) {past} AS mad, "
            f"count(*) {past} AS known FROM {points} AS points"
        )
        return (
            "SELECT moment, value, value AS observed, ranks[2] AS expected, "
            f"greatest(mad * {_MAD_TO_SIGMA}, (ranks[3] - ranks[1]) * {_RANGE_TO_SIGMA}) AS spread, known "
            f"FROM ({known}) AS ranked"
        )
