"""A small table of every portable type with nasty values, for any dialect: no table has to be made for it."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

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
    "🤦🏼\u200d♂️", "\u00a0n\u00a0", "\t1\n", "x,y,,z", ",", "a\nb", "%_", "\\", "\\_", "_", "'", '"', "$1", "&", "{0}",
    "{over}",
    "1", "-2.5",
    "1e2", "0x1F", "1_000", " 7 ", ".5", "5.", "-0.005", "99999999999", "1e", "NaN", "information", "true", "F", "yes",
    "no",
    "2024-01-05", "2024-2-5", "2024-02-30", "24-01-05", "2024/1/5", "2024-01-05 10:00:00", "2024-01-05T1:2:3.5Z",
    "2024-01-05 24:00:00", "2024-01-05 10:00:60", "2024-01-05x",
)  # fmt: skip
_DOUBLES = (0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 1e10, float("nan"), float("inf"), -float("inf"))
Rows = list[tuple[Any, ...]]


def rows_of(chance: Random) -> Rows:
    """Twenty rows, and some of them twice; values repeat, so that keys meet."""
    made = [tuple(_value(chance, column.type) for column in COLUMNS) for _ in range(20)]
    return made + made[: chance.randint(0, 5)]


def _value(chance: Random, kind: str) -> Any:
    if chance.random() < 0.2:
        return None
    return _VALUES[kind](chance)


def _text(chance: Random) -> str:
    # Letters newer than Unicode 15 have another case in PostgreSQL 18: docs/portability.md. None is below U+0600.
    made = "".join(chr(chance.randint(1, 0x5FF)) for _ in range(chance.randint(1, 4)))
    return chance.choice([*TEXTS, made, made, made])


_VALUES: dict[str, Callable[[Random], Any]] = {
    "INTEGER": lambda chance: chance.choice([0, 1, -1, 2, -2, 7, -7, 40, chance.randint(-1000, 1000)]),
    "BIGINT": lambda chance: chance.choice([0, 1, -3, 2**53 + 1, -(2**53) - 1, 10**15, chance.randint(-99, 99)]),
    "DECIMAL(9,2)": lambda chance: Decimal(chance.choice([0, 50, -250, 5, chance.randint(-999999, 999999)])).scaleb(-2),
    "DECIMAL(12,4)": lambda chance: Decimal(chance.choice([0, 10050, -5000, chance.randint(-(10**9),
    10**9)])).scaleb(-4),
    # Quarters: sums of them are exact, whatever the order they are added in.
    "DOUBLE": lambda chance: chance.choice([*_DOUBLES, chance.randint(-4000, 4000) / 4]),
    "VARCHAR": _text,
    "DATE": lambda chance: chance.choice(
        [date(2024, 2, 29), date(2024, 1, 31), date(1969, 12, 31), date(1583, 1, 1) + timedelta(chance.randint(0,
        480000))]
    ),
    "TIMESTAMP": lambda chance: chance.choice(
        [datetime(2024, 3, 10, 2, 30), datetime(1969, 12, 31, 23, 59, 59, 999999),
         datetime(1583, 1, 1) + timedelta(chance.randint(0, 480000), chance.randint(0, 86399), chance.randint(0,
         999999))]
    ),
    "BOOLEAN": lambda chance: chance.random() < 0.5,
}  # fmt: skip


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
