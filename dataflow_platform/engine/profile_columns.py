"""What is known of one column of a profiled table."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "text", "time", "boolean", "other"]
QUANTILES = tuple(n / 20 for n in range(21))
"""The shares of rows at which quantiles are taken: 0, 0.05 ... 1."""
TOP = 20
"""Top values that are kept."""

_NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BIGNUM|FLOAT|DOUBLE|DECIMAL\(\d+,\s*\d+\))$")
_TIMES = re.compile(r"(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$")
_TEXTS = re.compile(r"(VARCHAR|UUID|ENUM\(.*\))$", re.DOTALL)


def kind_of(type_name: str) -> Kind:
    """What can be asked of values of a DuckDB type; 'other' are nested and binary ones, times of day, intervals."""
    if _NUMBERS.match(type_name):
        return "number"
    if _TIMES.match(type_name):
        return "time"
    if type_name == "BOOLEAN":
        return "boolean"
    return "text" if _TEXTS.match(type_name) else "other"


@dataclass(frozen=True)
class Facts:
    """What the one pass told of a column; ``hashes`` is how many distinct hashes, one of ``part``,
    it has; None where the sample has to tell."""

    name: str
    type: str
    kind: Kind
    rows: int
    values: int
    least: str | None
    greatest: str | None
    mean: float | None
    shortest: int | None
    longest: int | None
    hashes: int | None
    part: int


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: from ``low`` up to ``high``, and the share (0 to 1) of the values in it."""

    low: float
    high: float
    share: float


@dataclass(frozen=True)
class Share:
    """A value or a pattern as text, and the share (0 to 1) of the values that are or have it."""

    text: str
    share: float


@dataclass(frozen=True)
class ColumnProfile:
    """One column. Quantiles and bars of times are seconds since 1970, bars of texts are their lengths."""

    name: str
    type: str
    kind: Kind
    nulls: int
    distinct: int
    least: str | None = None
    greatest: str | None = None
    mean: float | None = None
    shortest: int | None = None
    longest: int | None = None
    quantiles: tuple[float, ...] = ()
    histogram: tuple[Bar, ...] = ()
    top: tuple[Share, ...] = ()
    patterns: tuple[Share, ...] = ()

    @property
    def top_is_all(self) -> bool:
        """True where the top values are all there are."""
        return 0 < self.distinct <= len(self.top)
