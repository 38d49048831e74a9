"""Detector ``ewma``."""

import math

from pydantic import Field

from dataflow_platform.core.anomaly.detector import Detector

_FORGOTTEN = 1e12  # a point whose weight has fallen to one part of this no longer counts


class Ewma(Detector):
    """An exponentially weighted moving average and the deviations from it, weighted alike: the newest count most."""

    threshold: float = Field(
        default=5.0, gt=0, description="How many weighted standard deviations a point may lie off."
    )
    alpha: float = Field(
        default=0.01,
        ge=0.001,
        lt=1,
        description="Weight of the newest point; 0.01 remembers about 200 points, 0.1 twenty.",
    )

    def baseline(self, points: str) -> str:
        """Average and deviation from the points before."""
        expected = self._weighted(f"SELECT *, value AS weighed FROM {points} AS points", "expected")
        errors = f"SELECT *, power(value - expected, 2) AS weighed FROM ({expected}) AS averaged"
        variance = self._weighted(
            f"SELECT *, row_number() OVER (ORDER BY moment) - 1 AS known FROM ({errors}) AS e", "error"
        )
        return (
            "SELECT moment, value, value AS observed, expected, coalesce(sqrt(greatest(error, 0)), 0) AS spread, known "
            f"FROM ({variance}) AS varied"
        )

    def _weighted(self, rows: str, name: str) -> str:
        """``rows`` with ``name``, the weighted average of ``weighed`` over the rows before.

        Weights that grow as powers would overflow: they begin anew in each block, and of what came before it only the
        block before still counts.
        """
        growth = 1 / (1 - self.alpha)
        block = max(2, math.ceil(math.log(_FORGOTTEN) / math.log(growth)))
        here = "OVER (PARTITION BY block ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        before = "OVER (ORDER BY block RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING)"
        sums = [
            f"coalesce(sum({what}) {here}, 0) + coalesce(sum({what}) {before}, 0) / {growth**block!r}"
            for what in ("weighed * weight", "CASE WHEN weighed IS NOT NULL THEN weight END")
        ]
        numbered = f"SELECT *, row_number() OVER (ORDER BY moment) - 1 AS number FROM ({rows}) AS r"
        placed = (
            f"SELECT * EXCLUDE (number), number // {block} AS block, number % {block} AS place FROM ({numbered}) AS r"
        )
        weighted = f"SELECT *, power({growth!r}, place) AS weight FROM ({placed}) AS r"
        return (
            f"SELECT * EXCLUDE (block, place, weight, weighed), ({sums[0]}) / nullif({sums[1]}, 0) AS {name} "
            f"FROM ({weighted}) AS r"
        )
