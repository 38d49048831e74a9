"""Rows a transaction wrote, read back before it commits: COPY as text into a file, typed again by DuckDB.

DuckDB's scanner has connections of its own, which see committed rows only.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.sql import literal, qualified, quote

# What the texts of a transaction look like, whatever the server's and the role's settings are.
_SETTINGS = (
    "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; "
    "SET LOCAL extra_float_digits = 1"
)
_LONGEST_ROW = 1 << 25
_SCALARS = (
    "BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT FLOAT DOUBLE "
    "VARCHAR BLOB DATE TIME TIME_NS INTERVAL UUID TIMESTAMP TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS"
)
_EXACT = {*_SCALARS.split(), "TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE"}
_EXACT_ELEMENTS = {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "VARCHAR", "UUID", "DATE"}


def comparable(columns: Sequence[Column]) -> list[Column]:
    """Those of ``columns`` whose text on the server tells the value of the engine exactly.

    jsonb keeps no spelling, and a number inside a JSON array would pass through a double.
    """
    return [column for column in columns if _is_exact(column.type)]


def _is_exact(kind: str) -> bool:
    element = re.sub(r"(\[\d*\])+$", "", kind)
    if element != kind:
        return element in _EXACT_ELEMENTS
    return kind in _EXACT or kind.startswith(("DECIMAL(", "ENUM("))


def copy_out(cursor: Any, table: Table, columns: Sequence[Column], whole: bool, file: Path) -> None:
    """Write the rows this transaction wrote to ``table`` (``whole``: all it sees) into ``file``, as CSV."""
    texts = ", ".join(_text(column) for column in columns)
    own = "" if whole else " WHERE xmin = (txid_current() % 4294967296)::text::xid"
    cursor.execute(_SETTINGS)
    with file.open("wb") as out:
        cursor.copy_expert(
            f"COPY (SELECT {texts} FROM {qualified(table.schema, table.name)}{own}) TO STDOUT (FORMAT csv)",
            out,
            1 << 18,
        )


def _text(column: Column) -> str:
    name = quote(column.name)
    if column.type == "BLOB":
        return f"encode({name}, 'hex')"
    return f"to_json({name})::text" if column.type.endswith("]") else f"{name}::text"


def typed(columns: Sequence[Column], file: Path) -> str:
    """A query of the engine over such a file, with ``columns``; NULL where a text is none of the type."""
    # Numbered: names that differ only in case are one to DuckDB's reader as well as to a table.
    texts = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(columns)))
    values = ", ".join(
        f"{_value(column, f'c{number}')} AS {quote(column.name)}" for number, column in enumerate(columns)
    )
    return (
        f"SELECT {values} FROM read_csv({literal(str(file))}, auto_detect = false, header = false, delim = ',', "
        f"quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, new_line = '\\n', "
        f"max_line_size = {_LONGEST_ROW}, buffer_size = {_LONGEST_ROW}, columns = {{{texts}}})"
    )


def _value(column: Column, text: str) -> str:
    kind = column.type
    if kind == "BLOB":
        return f"unhex({text})"
    if kind.endswith("]"):
        text = f"CAST({text} AS JSON)"
    elif kind.startswith(("DATE", "TIMESTAMP")):
        text = f"regexp_replace({text}, '^(\\S+)(.*) BC$', '\\1 (BC)\\2')"
    return f"TRY_CAST({text} AS {kind})"
