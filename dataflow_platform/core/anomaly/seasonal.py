"""Detector ``seasonal``."""

from typing import Literal

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector

_SLOTS = {
    "hour": "hour(moment)",
    "day_of_week": "dayofweek(moment)",
    "hour_of_week": "dayofweek(moment) * 24 + hour(moment)",
}
_WORDS = {
    "hour": "strftime(moment, ' for the hour from %H:00')",
    "day_of_week": "' for a ' || dayname(moment)",
    "hour_of_week": "' for a ' || dayname(moment) || strftime(moment, ' from %H:00')",
}


class Seasonal(Detector):
    """The same hour, the same day of the week, or the same hour of the same day of the week, in the past."""

    threshold: float = Field(default=5.0, gt=0, description="How many standard deviations a point may lie off.")
    season: Literal["hour", "day_of_week", "hour_of_week"] = Field(
        default="hour", description="Which points of the past are alike; times are UTC."
    )
    days: int = Field(default=90, ge=1, description="How many days of the past count.")

    def baseline(self, points: str) -> str:
        """Mean and standard deviation of the points of the same slot."""
        past = (
            f"OVER (PARTITION BY {_SLOTS[self.season]} ORDER BY moment "
            f"RANGE BETWEEN INTERVAL {self.days} DAY PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)"
        )
        return (
            f"SELECT moment, value, value AS observed, avg(value) {past} AS expected, "
            f"coalesce(stddev_samp(value) {past}, 0) AS spread, count(*) {past} AS known FROM {points} AS points"
        )

    def slot_words(self) -> str:
        """' for a Monday', ' for the hour from 14:00', ' for a Monday from 14:00'."""
        return _WORDS[self.season]
