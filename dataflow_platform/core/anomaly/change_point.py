"""Detector ``change_point``."""

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector


class ChangePoint(Detector):
    """The median of the newest points against the level before them: finds a level that moved, not a single spike."""

    threshold: float = Field(default=4.0, gt=0, description="How many standard deviations the level may move.")
    recent: int = Field(default=5, ge=2, description="How many of the newest points make the level now.")
    window: int = Field(default=300, ge=2, description="How many points before them make the level before.")

    def baseline(self, points: str) -> str:
        """Median of the ``recent`` points, the judged one among them; mean and deviation of the ``window`` before."""
        now = f"OVER (ORDER BY moment ROWS BETWEEN {self.recent - 1} PRECEDING AND CURRENT ROW)"
        before = (
            f"OVER (ORDER BY moment ROWS BETWEEN {self.recent + self.window - 1} PRECEDING AND {self.recent} PRECEDING)"
        )
        return (
            f"SELECT moment, value, median(value) {now} AS observed, avg(value) {before} AS expected, "
            f"coalesce(stddev_samp(value) {before}, 0) AS spread, count(*) {before} AS known FROM {points} AS points"
        )

    def subject_words(self) -> str:
        """'median of the last 5 points '."""
        return f"'median of the last {self.recent} points '"
