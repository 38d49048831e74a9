"""Detector ``robust_z``."""

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector

SIGMA = 1.4826
"""MAD to standard deviation, where values are distributed normally."""


class RobustZ(Detector):
    """The median of the last points, in their median absolute deviations (MAD). Outliers of the past do not blind it."""

    threshold: float = Field(default=3.5, gt=0, description="How many spreads (MAD x 1.4826) a point may lie off.")
    window: int = Field(default=100, ge=2, description="How many of the last points count.")

    def baseline(self, points: str) -> str:
        """Median and MAD of the ``window`` points before."""
        past = f"OVER (ORDER BY moment ROWS BETWEEN {self.window} PRECEDING AND 1 PRECEDING)"
        return (
            f"SELECT moment, value, value AS observed, median(value) {past} AS expected, "
            f"{SIGMA} * mad(value) {past} AS spread, count(*) {past} AS known FROM {points} AS points"
        )
