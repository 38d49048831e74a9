"""What SQLite itself is asked to leave out of a table: only what it judges as DuckDB does, by an index.

DuckDB's scanner hands all rows over, by several threads. SQLite's own answer goes by indexes, but in one thread and as
texts: it is taken where an index finds few rows. The engine filters again.

A value of another kind than its column declares fails a load. In a column of texts or times all rows are looked at
for such values, as no condition could be trusted to keep them. Numbers need no look: other values sort behind them all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import Location
from dataflow_platform.core.predicate import Predicate
from dataflow_platform.core.server_filter import ServerDialect, Sign, condition
from dataflow_platform.core.sql import literal, quote

_DAY, _CLOCK = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(\.\d{1,6})?"
_CURSORS = {
    "whole": r"-?\d{1,18}",
    "real": r"-?\d{1,15}(\.0+)?",  # further digits could be read as a neighbouring number
    "date": _DAY,
    "timestamp": rf"{_DAY} {_CLOCK}",
    "text": r"(?s)[^\0]*",
    "other": r"(?!)",
}
_LARGEST = {"whole": 2**63 - 1, "real": 2**53}
_LOOKED_AT = frozenset({"date", "timestamp", "text"})
_TEXT_AFFINITY = re.compile(r"(?i)char|clob|text")
_SHARE = 8
"""SQLite's answer takes about so many times the CPU of the scanner's: 2.5 s to 0.3 s for 2 million rows."""


@dataclass(frozen=True)
class FileColumn:
    """A column with the type DuckDB reads it in and the words it is declared with; ``cursor``: how it is filtered."""

    name: str
    kind: str
    declared: str
    cursor: str


def file_column(name: str, kind: str, declared: str, as_text: bool, in_utf8: bool) -> FileColumn:
    """The column; whether SQLite compares it as DuckDB does turns on the affinity its declaration gives it."""
    words = declared.lower()
    cursor = "other"
    if as_text or not declared:
        pass
    elif kind == "BIGINT" and "int" in words:
        cursor = "whole"
    elif kind == "DOUBLE" and "int" not in words and not _TEXT_AFFINITY.search(words):
        cursor = "real"
    elif kind in ("DATE", "TIMESTAMP"):
        cursor = kind.lower()
    elif kind == "VARCHAR" and "int" not in words and _TEXT_AFFINITY.search(words) and in_utf8:
        cursor = "text"
    return FileColumn(name, kind, declared, cursor)


def sent(
    connection: duckdb.DuckDBPyConnection, alias: str, table: str, columns: Sequence[FileColumn], stream: Stream,
    state: State, where: Location,
) -> str:  # fmt: skip
    """`` WHERE ...`` for SQLite to answer over the quoted ``table``; '' where the engine filters alone."""
    asked = condition(_DIALECT, columns, stream, state, where)
    return asked if asked and _found_by_index(connection, alias, table, asked) else ""


def looked_at(columns: Sequence[FileColumn], stream: Stream, state: State) -> set[str]:
    """The columns of a sent condition in which every row has to hold what is declared."""
    named = {predicate.column.lower() for predicate in stream.keeps}
    named |= {name.lower() for name in (stream.cursor, state.window and state.window.column) if name}
    return {column.name for column in columns if column.cursor in _LOOKED_AT and column.name.lower() in named}


def _found_by_index(connection: duckdb.DuckDBPyConnection, alias: str, table: str, asked: str) -> bool:
    """True where an index finds the rows and they are a small share of the table (by its greatest rowid)."""

    def ask(query: str) -> list[tuple[object, ...]]:
        return connection.sql(f"SELECT * FROM sqlite_query({literal(alias)}, {literal(query)})").fetchall()

    plan = [str(row[3]) for row in ask(f"EXPLAIN QUERY PLAN SELECT * FROM {table}{asked}")]
    if any(step.startswith("SCAN") for step in plan):
        return False
    try:
        ((last,),) = ask(f"SELECT CAST(max(rowid) AS INTEGER) FROM {table}")
    except duckdb.Error:  # a table WITHOUT ROWID
        return False
    most = int(str(last or 0)) // _SHARE
    ((found,),) = ask(f"SELECT count(*) FROM (SELECT 1 FROM {table}{asked} LIMIT {most + 1})")
    return int(str(found)) <= most


def _compared(name: str, kind: str, sign: Sign, value: str) -> str:
    if kind == "text":
        # The column's own collation may be another.
        return f"{name} COLLATE BINARY {sign} {literal(value)}"
    if kind in ("date", "timestamp"):
        return f"{name} {sign} {literal(_trimmed(value))}"
    return _ordered(name, sign, value)


def _ordered(name: str, sign: str, value: object) -> str:
    # Texts and bytes, which belong into no number's column, come along: the load has to fail at them.
    return f"({name} {sign} {value} OR {name} >= '')" if sign in ("<", "<=") else f"{name} {sign} {value}"


def _keeps(name: str, kind: str, predicate: Predicate) -> str | None:
    operator, values = predicate.operator, predicate.values
    if operator in ("is null", "is not null"):
        return f"{name} {operator.upper()}"
    if kind in _LARGEST:
        numbers = [value for value in values if isinstance(value, int) and abs(value) <= _LARGEST[kind]]
        if len(numbers) < len(values):
            return None
        if operator == "in":
            return f"{name} IN ({', '.join(map(str, numbers))})"
        return _ordered(name, operator, numbers[0])
    texts = [value for value in values if isinstance(value, str) and _means_the_same(kind, value)]
    if len(texts) < len(values):
        return None
    if kind == "text":
        listed = ", ".join(literal(text) for text in texts)
        return f"{name} COLLATE BINARY IN ({listed})" if operator in ("=", "in") else None
    return _keeps_times(name, kind, operator, texts)


def _keeps_times(name: str, kind: str, operator: str, texts: Sequence[str]) -> str | None:
    """By the order of the texts, in which .5 stands before .50: one moment has a least and a greatest text."""
    edges = [(_trimmed(text), _padded(kind, text)) for text in texts]
    if operator in ("=", "in"):
        return f"({' OR '.join(f'{name} BETWEEN {literal(low)} AND {literal(high)}' for low, high in edges)})"
    if operator == "<>":
        return None
    low, high = edges[0]
    return f"{name} {operator} {literal(high if operator.startswith('<') else low)}"


def _means_the_same(kind: str, text: str) -> bool:
    if kind == "text":
        return "\0" not in text
    if kind not in ("date", "timestamp") or not re.fullmatch(_CURSORS[kind], text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:  # there is no such day: the engine says so
        return False
    return True


def _trimmed(text: str) -> str:
    return re.sub(r"\.?0*$", "", text) if "." in text else text


def _padded(kind: str, text: str) -> str:
    if kind == "date":
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}"


def _moment(kind: str | None, moment: datetime) -> str | None:
    """A time as a text of the column's form; the column holds its wall time."""
    if kind == "date":
        return literal(moment.date().isoformat())
    if kind == "timestamp":
        return literal(_trimmed(moment.replace(tzinfo=None).isoformat(sep=" ")))
    return None


_DIALECT = ServerDialect(
    name="sqlite",
    cursor_types="any type",
    cursors=_CURSORS,
    numbers=frozenset({"whole", "real"}),
    quoted=quote,
    compared=_compared,
    moment=_moment,
    keeps=_keeps,
)
