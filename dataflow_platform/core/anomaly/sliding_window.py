"""Detector ``sliding_window``."""

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector


class SlidingWindow(Detector):
    """The mean of the last points, in their standard deviations. Follows a metric whose level moves slowly."""

    threshold: float = Field(default=5.0, gt=0, description="How many standard deviations a point may lie off.")
    window: int = Field(default=1000, ge=2, description="How many of the last points count.")

    def baseline(self, points: str) -> str:
        """Mean and standard deviation of the ``window`` points before."""
        past = f"OVER (ORDER BY moment ROWS BETWEEN {self.window} PRECEDING AND 1 PRECEDING)"
        return (
            f"SELECT moment, value, value AS observed, avg(value) {past} AS expected, "
            f"coalesce(stddev_samp(value) {past}, 0) AS spread, count(*) {past} AS known FROM {points} AS points"
        )
