"""Rows of two engines made comparable: the values, not the classes Python's drivers give them."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return 0.0 if value == 0 else value  # the sign of zero is a known difference: docs/portability.md
    if isinstance(value, Decimal):
        # A HUGEINT is an int in DuckDB's driver, numeric(39, 0) a Decimal; the scale of a decimal has to be the same.
        return int(value) if value.as_tuple().exponent == 0 else format(value, "f")
    return value.replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def sorted_rows(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The rows in one order: a query without ORDER BY has none."""
    return sorted(
        (tuple(map(_plain, row)) for row in rows), key=lambda row: [(type(cell).__name__, str(cell)) for cell in row]
    )
