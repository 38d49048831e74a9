"""How far an incremental read looks back and where it ends: what YAML says, as values.

A time cursor takes durations and times, a numeric one takes numbers.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from dataflow_platform.core.errors import ConfigError

Lookback = timedelta | Decimal
Until = datetime | Decimal
UpperBound = timedelta | Until
"""A duration ends the read so long before the run began; a time or a number is the bound itself."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhdw])")
_NUMBER = re.compile(r"-?\d{1,38}(\.\d{1,38})?")


def lookback(written: str | float) -> Lookback:
    """``90s``, ``1h`` or ``2d`` as a span of time, ``500`` as a number; ConfigError for anything else."""
    text = str(written).strip()
    found = _duration(text) or (Decimal(text) if _NUMBER.fullmatch(text) and not text.startswith("-") else None)
    if found is None:
        raise ConfigError(
            "cursor.lookback",
            f"lookback '{text}' is neither a duration nor a number",
            fix="write a duration for a time cursor (90s, 15m, 1h, 2d, 1w), a number for a numeric one (500)",
        )
    return found


def upper_bound(written: str | float | date) -> UpperBound:
    """A duration, a date or time (UTC where it names no zone) or a number; ConfigError for anything else."""
    text = str(written).strip()
    span = _duration(text)
    if span is not None:
        return span
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            "cursor.upper_bound",
            f"upper_bound '{text}' is neither a duration nor a time nor a number",
            fix="write a duration (5m: rows younger than that wait), a time (2026-01-31 12:00) or a number",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _duration(text: str) -> timedelta | None:
    found = _DURATION.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: float(found[1])}) if found else None
