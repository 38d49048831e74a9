"""Detector ``z_score``."""

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector


class ZScore(Detector):
    """The mean of the whole past, in its standard deviations. For metrics without trend and season."""

    threshold: float = Field(default=3.5, gt=0, description="How many standard deviations a point may lie off.")

    def baseline(self, points: str) -> str:
        """Mean and standard deviation of all points before."""
        past = "OVER (ORDER BY moment ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        return (
            f"SELECT moment, value, value AS observed, avg(value) {past} AS expected, "
            f"coalesce(stddev_samp(value) {past}, 0) AS spread, count(*) {past} AS known FROM {points} AS points"
        )
