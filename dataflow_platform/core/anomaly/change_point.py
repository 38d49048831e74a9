"""Detector ``change_point``."""

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector
from dataflow_platform.core.anomaly.robust_z import SIGMA


class ChangePoint(Detector):
    """The median of the newest points against that of those before them: finds a level that moved, not single spikes."""

    threshold: float = Field(default=3.0, gt=0, description="How many spreads (MAD x 1.4826) the level may move.")
    recent: int = Field(default=10, ge=2, description="How many of the newest points make the level now.")
    window: int = Field(default=100, ge=2, description="How many points before them make the level before.")

    def baseline(self, points: str) -> str:
        """Median of the ``recent`` points, the judged one among them; median and MAD of the ``window`` before."""
        now = f"OVER (ORDER BY moment ROWS BETWEEN {self.recent - 1} PRECEDING AND CURRENT ROW)"
        before = f"OVER (ORDER BY moment ROWS BETWEEN {self.recent + self.window - 1} PRECEDING AND {self.recent} PRECEDING)"
        return (
            f"SELECT moment, value, median(value) {now} AS observed, median(value) {before} AS expected, "
            f"{SIGMA} * mad(value) {before} AS spread, count(*) {before} AS known FROM {points} AS points"
        )

    def subject_words(self) -> str:
        """'the median of the last 10 points '."""
        return f"'the median of the last {self.recent} points '"
