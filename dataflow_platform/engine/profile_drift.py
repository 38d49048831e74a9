"""How a table moved between two of its profiles: columns, types, missing values, values, distributions."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dataflow_platform.engine.profile import TableProfile
from dataflow_platform.engine.profile_columns import QUANTILES, ColumnProfile, Share

MODERATE, LARGE = 0.1, 0.25
"""The usual bounds of the population stability index: below the first nothing moved, from the second on a lot did."""
NULLS_MOVED = 0.01
"""Change of the share of NULLs from which on it is told."""
_LEAST = 1e-4  # a share of nothing has no logarithm
_UNIQUE = 0.95  # of a key or a running number the distribution says nothing


@dataclass(frozen=True)
class ColumnDrift:
    """What moved in one column; ``psi`` is None where distributions cannot be compared."""

    name: str
    psi: float | None = None
    nulls: tuple[float, float] | None = None
    """The share of NULLs before and now, where it moved."""
    type: tuple[str, str] | None = None
    new_values: tuple[str, ...] = ()
    lost_values: tuple[str, ...] = ()

    @property
    def moved(self) -> bool:
        """True where there is anything to tell."""
        told = self.type or self.nulls or self.new_values or self.lost_values
        return bool(told) or (self.psi is not None and self.psi >= MODERATE)

    def words(self) -> list[str]:
        """What moved, one sentence each."""
        found = []
        if self.type:
            found.append(f"type {self.type[0]} is now {self.type[1]}")
        if self.nulls:
            found.append(f"missing values {self.nulls[0]:.1%} are now {self.nulls[1]:.1%}")
        if self.psi is not None and self.psi >= MODERATE:
            found.append(
                f"its distribution moved {'a lot' if self.psi >= LARGE else 'moderately'} (PSI {self.psi:.2f})"
            )
        for verb, values in (("new", self.new_values), ("gone", self.lost_values)):
            if values:
                more = f" and {len(values) - 5} more" if len(values) > 5 else ""
                found.append(f"{verb}: {', '.join(map(repr, values[:5]))}{more}")
        return found


@dataclass(frozen=True)
class Drift:
    """What moved since ``since``, the time of the profile before (ISO, UTC)."""

    since: str
    rows: tuple[int, int]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    columns: tuple[ColumnDrift, ...] = field(default=())

    def words(self) -> list[str]:
        """What moved, one sentence each; empty where nothing did."""
        before, now = self.rows
        found = []
        if before != now:
            share = f" ({now / before - 1:+.1%})" if before else ""
            found.append(f"rows {before:,} are now {now:,}{share}")
        found += [f"new column {name}" for name in self.added] + [f"column {name} is gone" for name in self.removed]
        return [*found, *(f"{column.name}: {text}" for column in self.columns for text in column.words())]


def drift(before: TableProfile, now: TableProfile, since: str) -> Drift:
    """What moved from one profile of a table to a later one."""
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in now.columns}
    return Drift(
        since,
        (before.rows, now.rows),
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        tuple(_of_column(old[name], new[name], before.rows, now.rows) for name in new if name in old),
    )


def _of_column(old: ColumnProfile, new: ColumnProfile, rows_before: int, rows_now: int) -> ColumnDrift:
    before, now = _share(old.nulls, rows_before), _share(new.nulls, rows_now)
    had, has = ({share.text for share in each.top} for each in (old, new))
    # Only a full list says that a value is new, or gone.
    enough = old.top_is_all and new.top_is_all
    return ColumnDrift(
        new.name,
        psi(old, new, rows_before - old.nulls),
        (before, now) if abs(before - now) >= NULLS_MOVED else None,
        (old.type, new.type) if old.type != new.type else None,
        tuple(sorted(has - had)) if enough else (),
        tuple(sorted(had - has)) if enough else (),
    )


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def psi(old: ColumnProfile, new: ColumnProfile, values_before: int) -> float | None:
    """The population stability index of two profiles of a column, None where there is nothing to compare.

    Over the values where few are all there are, over the old quantiles of a number, over the common values and the
    rest of a text. Not of times, which go on, nor of columns whose values hardly repeat.
    """
    if old.kind != new.kind or old.kind in ("time", "other") or not old.top or not new.top:
        return None
    if old.top_is_all or (old.kind != "number" and new.top_is_all):
        return _index(*_categories(old.top, new.top))
    if values_before and old.distinct / values_before > _UNIQUE:
        return None
    if old.kind == "number":
        if len(old.quantiles) != len(QUANTILES) or len(new.quantiles) != len(QUANTILES):
            return None
        edges = sorted(set(old.quantiles[1:-1]))
        return _index(*(_between([_below(each, edge) for edge in edges]) for each in (old.quantiles, new.quantiles)))
    # Which of many rare values are among the twenty commonest is chance.
    common = [share for share in old.top if share.share >= 0.01]
    return _index(*_categories(common, [share for share in new.top if share.share >= 0.01])) if common else None


def _categories(old: Sequence[Share], new: Sequence[Share]) -> tuple[list[float], list[float]]:
    was, are = ({share.text: share.share for share in each} for each in (old, new))
    names = list(dict.fromkeys([*was, *are]))
    before, now = ([each.get(name, 0.0) for name in names] for each in (was, are))
    return [*before, max(1 - sum(before), 0.0)], [*now, max(1 - sum(now), 0.0)]


def _below(quantiles: Sequence[float], value: float) -> float:
    """The share of values that are at most ``value``, straight between two quantiles."""
    place = bisect_right(quantiles, value)
    if place == 0:
        return 0.0
    if place == len(quantiles):
        return 1.0
    low, high = quantiles[place - 1], quantiles[place]
    return QUANTILES[place - 1] + (value - low) / (high - low) * (QUANTILES[place] - QUANTILES[place - 1])


def _between(below: Sequence[float]) -> list[float]:
    ends = [0.0, *below, 1.0]
    return [high - low for low, high in pairwise(ends)]


def _index(before: Sequence[float], now: Sequence[float]) -> float:
    return sum(
        (max(b, _LEAST) - max(a, _LEAST)) * math.log(max(b, _LEAST) / max(a, _LEAST))
        for a, b in zip(before, now, strict=True)
    )
