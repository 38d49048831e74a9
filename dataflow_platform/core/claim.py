"""What rules say of one thing, so that two that no data can satisfy together are found before any data is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dataflow_platform.core.errors import ConfigError, Location


@dataclass(frozen=True)
class Claim:
    """One rule of ``subject`` ('age', 'the number of rows'): its values lie between two bounds, are among ``values``,
    are none of ``forbidden``. ``exclusive``: the bounds themselves are out of range."""

    rule: str
    subject: str
    low: Any = None
    high: Any = None
    exclusive: bool = False
    values: frozenset[Any] | None = None
    forbidden: frozenset[Any] = frozenset()

    def told(self) -> str:
        """What it asks, in words."""
        if self.values is not None:
            return f"is one of {_listed(self.values)}"
        if self.forbidden:
            return f"is none of {_listed(self.forbidden)}"
        edge = " (excluded)" if self.exclusive else ""
        if self.low is not None and self.high is not None:
            return f"is between {self.low} and {self.high}{edge}"
        return f"is at least {self.low}{edge}" if self.low is not None else f"is at most {self.high}{edge}"

    def allows(self, value: Any) -> bool:
        """True where one value satisfies it, or cannot be compared."""
        if value in self.forbidden or (self.values is not None and value not in self.values):
            return False
        try:
            below = self.low is not None and _above(self.low, value, self.exclusive)
            return not (below or (self.high is not None and _above(value, self.high, self.exclusive)))
        except TypeError:
            return True


def refuse_contradictions(claims: Sequence[Sequence[Claim]], at: Callable[[int], Location]) -> None:
    """ConfigError ``check.contradiction`` at the check of a position whose claims no value satisfies with an earlier
    one's; ``claims`` are those of each check."""
    known: list[Claim] = []
    for position, mine in enumerate(claims):
        for claim in mine:
            for other in known:
                if other.subject.lower() == claim.subject.lower() and _contradict(other, claim):
                    raise ConfigError(
                        "check.contradiction",
                        f"'{other.rule}' says that {other.subject} {other.told()}, '{claim.rule}' that it "
                        f"{claim.told()}: nothing is both",
                        where=at(position),
                        fix="correct one of the two, or give each rows of its own with the check conditional",
                    )
        known += mine


def _contradict(one: Claim, other: Claim) -> bool:
    if one.values is not None or other.values is not None:
        values = one.values if one.values is not None else other.values
        assert values is not None
        return not any(one.allows(value) and other.allows(value) for value in values)
    exclusive = one.exclusive or other.exclusive
    try:
        return any(
            low is not None and high is not None and _above(low, high, exclusive)
            for low, high in ((one.low, other.high), (other.low, one.high))
        )
    except TypeError:
        return False


def _above(low: Any, high: Any, exclusive: bool) -> bool:
    """True where nothing lies from ``low`` to ``high``."""
    low, high = _alike(low, high), _alike(high, low)
    return bool(low >= high if exclusive else low > high)


def _alike(value: Any, other: Any) -> Any:
    """A text beside a date as the date it is; a date beside a time as its beginning."""
    if isinstance(value, str) and isinstance(other, date):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
        value = value if isinstance(other, datetime) else value.date()
    if isinstance(value, date) and not isinstance(value, datetime) and isinstance(other, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=other.tzinfo)
    return value


def _listed(values: frozenset[Any]) -> str:
    shown = sorted(map(str, values))
    return ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")
