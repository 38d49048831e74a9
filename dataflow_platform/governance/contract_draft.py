"""Facts about a stream's rows -> the rules a contract may be drafted of, each with the evidence for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from dataflow_platform.core.base import Severity
from dataflow_platform.governance.column_facts import FORMATS, TELLING, ColumnFacts, RowFacts

RuleKind = Literal["not_null", "unique", "in_range", "isin", "matches", "length"]
_FEW = 20
"""With fewer values than this, chance explains what they have in common."""
_REPEATED = 5  # a set of values is drafted where each was seen so often: a typing error is rare
_KEY_LENGTH = 64  # longer texts are prose: that no two are equal is no rule


@dataclass(frozen=True)
class DraftedRule:
    """One rule of one column; ``settings`` are those of the rule's kind (min, max, values, pattern, exact)."""

    kind: RuleKind
    settings: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "error"


@dataclass(frozen=True)
class DraftedColumn:
    """A column, what was seen of it, and the rules that this supports."""

    facts: ColumnFacts
    evidence: str
    rules: tuple[DraftedRule, ...]

    @property
    def nullable(self) -> bool:
        """True where no rule refuses NULL."""
        return all(rule.kind != "not_null" for rule in self.rules)


@dataclass(frozen=True)
class Draft:
    """A drafted contract. ``left_out``: what was not drafted, in sentences."""

    facts: RowFacts
    columns: tuple[DraftedColumn, ...]
    left_out: tuple[str, ...]

    def heading(self) -> list[str]:
        """What the draft stands on, a line each."""
        rows = f"{self.facts.rows:,} rows"
        read = f"all {rows}" if self.facts.whole else f"the first {rows} only"
        return [f"Draft of a contract for {self.facts.stream}, from {read}: each rule holds for every row read.", *(
            self.left_out
        )]  # fmt: skip


def draft(facts: RowFacts) -> Draft:
    """The rules that ``facts`` support; what the next rows may break without being wrong as warnings.

    Of rows read in part nothing is drafted that later rows decide.
    """
    columns = tuple(
        DraftedColumn(column, _evidence(column, facts.rows), tuple(_rules(column, facts)) if facts.rows else ())
        for column in facts.columns
    )
    left_out = []
    if not facts.rows:
        left_out.append("There was no row: only the types are known.")
    elif not facts.whole:
        left_out.append("Uniqueness, ranges and sets of values are left out: the rows that were not read decide them.")
    if 0 < facts.rows < _FEW:
        left_out.append(f"Ranges, sets and formats are left out: fewer than {_FEW} rows say little about them.")
    return Draft(facts, columns, tuple(left_out))


def _evidence(column: ColumnFacts, rows: int) -> str:
    told = [f"{rows:,} rows, {column.nulls:,} NULL"]
    if column.nans:
        told.append(f"{column.nans:,} NaN")
    if column.different:
        told.append(f"{'' if column.exact else 'about '}{column.different:,} different")
    if column.values and 0 < column.rarest < _REPEATED < rows:
        told.append(f"the rarest {column.rarest} times" if column.rarest > 1 else "the rarest once")
    if column.least is not None and column.kind in ("integer", "decimal", "float"):
        told.append(f"{column.least:,} to {column.greatest:,}")
    elif column.least is not None:
        told.append(f"{column.least} to {column.greatest}")
    if column.longest is not None:
        same = column.shortest == column.longest
        length = f"{column.longest}" if same else f"{column.shortest} to {column.longest}"
        told.append(f"{length} character{'s' * (column.longest != 1)}")
    if column.shape:
        told.append(f"all {column.shape}")
    return ", ".join(told)


def _rules(column: ColumnFacts, facts: RowFacts) -> Iterator[DraftedRule]:
    filled = facts.rows - column.nulls
    if not column.nulls and not column.nans:
        yield DraftedRule("not_null")
    # Whole: later rows may repeat a value, widen a range, add to a set.
    unique = facts.whole and filled == facts.rows > 1 and _is_key(column, filled)
    if unique:
        yield DraftedRule("unique")
    if filled < _FEW:
        return
    if facts.whole:
        yield from _range(column, unique)
    if facts.whole and column.values and len(column.values) > 1 and column.rarest >= _REPEATED:
        yield DraftedRule("isin", {"values": list(column.values)}, "warn")
    elif column.shape and column.different >= (2 if column.shape in TELLING else _FEW):
        yield DraftedRule("matches", {"pattern": _pattern(column)}, "warn")
    elif column.longest and column.longest == column.shortest and column.different >= _FEW:
        yield DraftedRule("length", {"exact": column.longest}, "warn")


def _is_key(column: ColumnFacts, filled: int) -> bool:
    # No two of few amounts or measures are equal either, by chance: integers, texts and UUIDs name things.
    names = column.kind == "integer" or column.type == "UUID" or (column.kind == "text" and column.longest is not None)
    return names and column.exact and column.different == filled and (column.longest or 0) <= _KEY_LENGTH


def _range(column: ColumnFacts, unique: bool) -> Iterator[DraftedRule]:
    least, greatest = column.least, column.greatest
    if least is None or not column.finite:
        return
    if column.kind in ("date", "timestamp", "timestamp with time zone"):
        year = str(least)[:4]
        # Time goes on: there is no last day. DuckDB's years before 1 and after 9999 are no text of Python's.
        if year.isdigit() and not str(greatest).endswith("(BC)") and not str(least).endswith("(BC)"):
            yield DraftedRule("in_range", {"min": f"{year}-01-01"}, "warn")
        return
    if column.kind not in ("integer", "decimal", "float") or least == greatest or column.nans:
        return
    low = 0 if least >= 0 else -_round_above(-least)
    # A number that names its row only grows.
    bounds = {"min": low} if unique else {"min": low, "max": _round_above(max(greatest, 0))}
    yield DraftedRule("in_range", bounds, "warn")


def _round_above(number: Any) -> int:
    """The next number of the kind 1, 2, 5, 10, 20, 50... that is at least ``number`` (no less than 0)."""
    wanted = Decimal(str(number))
    if wanted == 0:
        return 0
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= wanted:
                return digit * power
        power *= 10


def _pattern(column: ColumnFacts) -> str:
    pattern = FORMATS[str(column.shape)]
    fixed = column.longest if column.shortest == column.longest else None
    return f"{pattern[:-1]}{{{fixed}}}" if fixed and pattern.endswith("]+") else pattern
