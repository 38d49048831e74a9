"""Two bounds, of which one may be open: what is wrong with them, in words, and as SQL."""

import math
from datetime import date, datetime
from decimal import Decimal

from dataflow_platform.checks import family, value_for
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError

Bound = int | float | Decimal | datetime | date | str


def refuse_bounds(what: str, low: Bound | None, high: Bound | None) -> None:
    """ConfigError ``check.bounds`` where there is no bound, or the lower one is above the upper one."""
    bounds = [bound for bound in (low, high) if bound is not None]
    fault = None if bounds else f"{what} needs min, max or both"
    if any(isinstance(bound, bool) or (isinstance(bound, float) and math.isnan(bound)) for bound in bounds):
        fault = f"a bound of {what} is a number, a date or a text"
    elif len(bounds) == 2:
        try:
            if bounds[0] > bounds[1]:  # type: ignore[operator]  # of one kind, or the TypeError below says so
                fault = f"min {bounds[0]} is above max {bounds[1]}"
        except TypeError:
            fault = f"min {bounds[0]!r} and max {bounds[1]!r} are not of one kind"
    if fault:
        raise ConfigError("check.bounds", fault, where="min", fix="write min: 1 and max: 6000, or one of the two")


def bounded(low: object, high: object) -> str:
    """The bounds in words."""
    if low is not None and high is not None:
        return f"between {low} and {high}"
    return f"at least {low}" if low is not None else f"at most {high}"


def outside(value: str, column: Column, low: Bound | None, high: Bound | None, exclusive: bool = False) -> str:
    """SQL: the value of ``column`` is beyond one of the bounds; NULL is beyond none."""
    below, above = ("<=", ">=") if exclusive else ("<", ">")
    bad = [
        f"{value} {sign} {value_for(bound, column)}"
        for sign, bound in ((below, low), (above, high))
        if bound is not None
    ]
    if family(column.type) == "float" and high is None:
        # DuckDB sorts NaN above every number: only an upper bound refuses it by itself.
        bad.append(f"isnan({value})")
    return " OR ".join(bad)


def share(written: float | str | None, field: str, most: float = 1) -> float | None:
    """``5%`` or ``0.05`` as 0.05; ConfigError ``check.share`` for what is no share."""
    if written is None:
        return None
    text = str(written).strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise ConfigError("check.share", f"'{text}' is no share", where=field, fix="write it like 5% or 0.05")
    return number
