"""What was measured of the rows of a load."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["check", "metric", "score", "profile"]


@dataclass(frozen=True)
class Measurement:
    """One thing measured of the rows of a load. ``value`` of a check is the share of failing rows, 0 to 1."""

    kind: Kind
    name: str
    column: str | None = None
    value: float | None = None
    passed: bool | None = None
    severity: str | None = None
    failing: int | None = None
    rows: int | None = None
    sentence: str | None = None
    detail: str | None = None
    """JSON."""
