"""JDBC's types -> kinds, and how their values are read."""

from typing import Any

from dataflow_platform.connectors._sql.kinds import INTEGERS, NUMBER, kind_of_words
from dataflow_platform.connectors._sql.values import Column

# java.sql.Types; a TINYINT may be one without a sign.
_KINDS = {
    16: "BOOLEAN", -6: "SMALLINT", 5: "SMALLINT", 4: "INTEGER", -5: "BIGINT", 7: "FLOAT", 6: "DOUBLE", 8: "DOUBLE",
    1: "VARCHAR", 12: "VARCHAR", -1: "VARCHAR", -15: "VARCHAR", -9: "VARCHAR", -16: "VARCHAR", 2005: "VARCHAR",
    2011: "VARCHAR", 2009: "VARCHAR", -2: "BLOB", -3: "BLOB", -4: "BLOB", 2004: "BLOB", 91: "DATE", 92: "TIME",
    93: "TIMESTAMP", 2014: "TIMESTAMPTZ",
}  # fmt: skip
_DECIMALS = (2, 3)
_BIT = -7
# What several drivers call OTHER or BINARY.
_NAMED = {"uuid": "UUID", "json": "JSON", "jsonb": "JSON", "enum": "VARCHAR"}
_WAYS = {
    "BLOB": "B", "DOUBLE": "D", "FLOAT": "F", "BOOLEAN": "L", "DATE": "A", "TIMESTAMP": "S", "TIMESTAMP_NS": "S",
    "TIMESTAMPTZ": "Z", NUMBER: "N",
}  # fmt: skip


def told(metadata: Any) -> list[tuple[str, str | None, str]]:
    """Name, kind and type words of a result's columns."""
    found = []
    for place in range(1, metadata.getColumnCount() + 1):
        code, word = int(metadata.getColumnType(place)), str(metadata.getColumnTypeName(place)).lower()
        digits = (int(metadata.getPrecision(place)), int(metadata.getScale(place)))
        words = f"{word}({digits[0]},{digits[1]})" if code in _DECIMALS else word
        found.append((str(metadata.getColumnLabel(place)), _kind(code, word, digits), words))
    return found


def _kind(code: int, word: str, digits: tuple[int, int]) -> str | None:
    if word.startswith("decfloat"):
        return NUMBER
    if code in _DECIMALS:
        # Floating numbers of any length, which some drivers tell as a scale beyond reason.
        return kind_of_words(f"decimal({digits[0]},{digits[1]})", {}) if 0 <= digits[1] <= digits[0] else NUMBER
    if code == _BIT:
        return "BOOLEAN" if digits[0] <= 1 else None
    return _NAMED.get(word.partition("(")[0], _KINDS.get(code))


def way(column: Column) -> str:
    """The letter by which RowTexts.java reads values of the column."""
    if column.kind in INTEGERS:
        return "I" if column.kind != "UBIGINT" else "N"
    return "N" if column.kind.startswith("DECIMAL") else _WAYS.get(column.kind, "T")
