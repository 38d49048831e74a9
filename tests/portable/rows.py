"""A small table of every portable type with nasty values, for any dialect: no table has to be made for it."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from dataflow_platform.core.base import Column
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import Dialect
from dataflow_platform.engine.portable import literals
from dataflow_platform.engine.portable.types import type_in

COLUMNS = (
    Column("i", "INTEGER"), Column("j", "INTEGER"), Column("b", "BIGINT"), Column("p", "DECIMAL(9,2)"),
    Column("q", "DECIMAL(12,4)"), Column("x", "DOUBLE"), Column("y", "DOUBLE"), Column("t", "VARCHAR"),
    Column("u", "VARCHAR"), Column("d", "DATE"), Column("m", "TIMESTAMP"), Column("o", "BOOLEAN"),
)  # fmt: skip
TEXTS = (
    "", " ", "a", "A", "b", "B", "Z", "z", "ab", "Ab ", " aB", "é", "e\u0301", "É", "ß", "ẞ", "İ", "\u0131", "ǆ", "Σας",
    "日本",
    "🤦🏼\u200d♂️", "\u00a0n\u00a0", "\t1\n", "x,y,,z", ",", "a\nb", "%_", "\\", "'", '"', "$1", "&", "{0}", "{over}",
    "1", "-2.5",
    "1e2", "0x1F", "1_000", " 7 ", ".5", "5.", "-0.005", "99999999999", "1e", "NaN", "inf", "true", "F", "yes", "no",
    "2024-01-05", "2024-2-5", "2024-02-30", "24-01-05", "2024/1/5", "2024-01-05 10:00:00", "2024-01-05T1:2:3.5Z",
    "2024-01-05 24:00:00", "2024-01-05 10:00:60", "2024-01-05x",
)  # fmt: skip
# Letters newer than Unicode 15 have another case in PostgreSQL 18: docs/portability.md. None is below U+0600.
_TEXT = st.sampled_from(TEXTS) | st.text(st.characters(min_codepoint=1, max_codepoint=0x5FF), max_size=4)
_DOUBLES = (
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    -1.5,
    2.5,
    -2.5,
    0.25,
    1e10,
    -1e10,
    100.0,
    float("nan"),
    float("inf"),
    -float("inf"),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": st.sampled_from([0, 1, -1, 2, -2, 7, -7]) | st.integers(-1000, 1000),
    "BIGINT": st.sampled_from([0, -3, 2**53 + 1, -(2**53) - 1, 10**15]) | st.integers(-(10**6), 10**6),
    "DECIMAL(9,2)": st.decimals(-9999, 9999, places=2) | st.sampled_from([Decimal("0.50"), Decimal("-2.50")]),
    "DECIMAL(12,4)": st.decimals(-99999, 99999, places=4) | st.sampled_from([Decimal("1.0050"), Decimal("-0.5000")]),
    # Quarters: sums of them are exact, whatever the order they are added in.
    "DOUBLE": st.sampled_from(_DOUBLES) | st.integers(-4000, 4000).map(lambda number: number / 4),
    "VARCHAR": _TEXT,
    "DATE": st.sampled_from([date(2024, 2, 29), date(2024, 1, 31), date(1969, 12, 31), date(1900, 3, 1)])
    | st.dates(date(1583, 1, 1), date(2900, 1, 1)),
    "TIMESTAMP": st.sampled_from([datetime(2024, 3, 10, 2, 30), datetime(1969, 12, 31, 23, 59, 59, 999999)])
    | st.datetimes(datetime(1583, 1, 1), datetime(2900, 1, 1)),
    "BOOLEAN": st.booleans(),
}  # fmt: skip

Rows = list[tuple[Any, ...]]


def rows() -> st.SearchStrategy[Rows]:
    """Up to twelve rows; values repeat, so that keys meet."""
    cells = [st.one_of(st.none(), VALUES[column.type], VALUES[column.type]) for column in COLUMNS]
    return st.lists(st.tuples(*cells), min_size=1, max_size=12).map(lambda made: made + made[: len(made) // 3])


def source(values: Rows, dialect: Dialect, columns: Sequence[Column] = COLUMNS) -> str:
    """A SELECT that gives ``values``, each of its column's type."""
    selects = []
    for row in values:
        cells = ", ".join(
            f"{_cell(value, column.type, dialect)} AS {_name(column.name, dialect)}"
            for value, column in zip(row, columns, strict=True)
        )
        selects.append(f"SELECT {cells}")
    return " UNION ALL ".join(selects)


def _name(name: str, dialect: Dialect) -> str:
    return quote(name) if dialect == "duckdb" else literals.identifier(name, dialect)


def _cell(value: Any, type_name: str, dialect: Dialect) -> str:
    if dialect == "duckdb":
        return f"CAST({literal(value)} AS {type_name})"
    there = type_in(dialect, type_name)
    if value is None:
        return f"CAST(NULL AS {there})"
    if isinstance(value, bool):
        return str(value).upper()
    return f"CAST({literals.text(str(value), dialect)} AS {there})"
