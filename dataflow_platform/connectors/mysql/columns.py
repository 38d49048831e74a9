"""How each column of a MySQL table travels to DuckDB without changing.

The scanner alone is not exact: a zero date becomes NULL, tinyint(1) holding 2 becomes true, decimal(10,0)
becomes DECIMAL(9,0), text of a binary collation becomes BLOB. So the server is asked for expressions the
scanner reads exactly, and DuckDB casts them to the type the catalogue declares.
"""

import re
from dataclasses import dataclass
from typing import Any

from dataflow_platform.connectors.mysql.dialect import CURSORS, text_kind, ticked
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.sql import literal, quote

NOT_HELD = "DuckDB holds no such value"
"""Begins the complaint about a value without a counterpart, such as the date 0000-00-00."""

_WHOLE = {
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "mediumint": "INTEGER",
    "int": "INTEGER",
    "bigint": "BIGINT",
}
_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_GEOMETRY = frozenset(
    {
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geometrycollection", "geomcollection",
    }
)  # fmt: skip
# MariaDB's own types, by their text.
_WRITTEN = {"uuid": "UUID", "inet4": "VARCHAR", "inet6": "VARCHAR"}
_DATED = {"date": "DATE", "datetime": "TIMESTAMP", "timestamp": "TIMESTAMP WITH TIME ZONE"}

COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, column_type, numeric_precision, numeric_scale,
       collation_name, FIND_IN_SET('select', privileges) > 0
FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
"""Parameters: schema and table. May bring tables that differ in case only: the first two fields tell them apart."""


@dataclass(frozen=True)
class _Declared:
    """A column as the server's catalogue describes it; ``kind`` is the bare type, ``declared`` the whole one."""

    name: str
    kind: str
    declared: str
    precision: int | None
    scale: int | None
    collation: str | None
    readable: bool


@dataclass(frozen=True)
class SourceColumn:
    """A column to read: ``sql`` are the server's expressions, named, and ``cast`` what DuckDB makes of them.

    ``cursor`` is the kind of its values where their order is useful, else None.
    """

    name: str
    readable: bool
    sql: tuple[str, ...]
    cast: str
    cursor: str | None


def source_column(
    row: tuple[Any, ...], position: int, as_text: tuple[str, ...], definition: str, where: Location
) -> SourceColumn:
    """One row of ``COLUMNS`` (from the third field on) as a column that arrives exactly.

    ``definition`` is the table's, as the server writes it ('' for a view).
    ConfigError ``mysql.type`` for a type nobody here knows how to keep.
    """
    column = _Declared(*row)
    name, here = ticked(column.name), f"c{position}"
    sql: tuple[str, ...]
    if column.name in as_text:
        sql, cast, cursor = (_as_text(column, name),), here, ""
    elif column.kind in _DATED:
        (sql, cast), cursor = _dated(column, name, position), column.kind
    elif column.kind in _GEOMETRY:
        guard = f"CASE WHEN ST_SRID({name}) <> 0 THEN CONCAT('a geometry of SRID ', ST_SRID({name})) END AS g{position}"
        sql, cast, cursor = (f"HEX(ST_AsWKB({name}))", guard), _guarded(column, position, f"unhex({here})"), ""
    elif column.kind == "longtext" and f"CHECK (json_valid({name}))" in definition:  # MariaDB's json
        sql, cast, cursor = (_text(column, name),), f"CAST({here} AS JSON)", ""
    else:
        expression, cast, cursor = _scalar(column, name, here, where)
        sql = (expression,)
    return SourceColumn(
        column.name,
        column.readable,
        (f"{sql[0]} AS {here}", *sql[1:]),
        f"{cast} AS {quote(column.name)}",
        cursor if cursor in CURSORS else None,
    )


def _scalar(column: _Declared, name: str, here: str, where: Location) -> tuple[str, str, str]:
    """The server's expression, DuckDB's expression and the kind of cursor."""
    kind, declared = column.kind, column.declared
    if kind in _WHOLE:
        word = ("U" if "unsigned" in declared else "") + _WHOLE[kind]
        # The scanner takes tinyint(1) for a boolean, whatever it holds.
        return (f"CAST({name} AS SIGNED)" if kind == "tinyint" else name), f"CAST({here} AS {word})", "whole"
    if kind in _TEXT:
        return _text(column, name), here, text_kind(column.collation)
    if kind == "decimal":
        exact = column.precision is not None and column.precision <= 38
        word = f"DECIMAL({column.precision},{column.scale})" if exact else "VARCHAR"
        return f"CAST({name} AS CHAR)", f"CAST({here} AS {word})", "decimal" if exact else ""
    if kind in ("float", "double"):
        # The text of a float need not compare as the float does: no cursor.
        return name, f"CAST({here} AS {kind.upper()})", kind
    if kind == "year":
        return f"CAST({name} AS SIGNED)", f"CAST({here} AS INTEGER)", "year"
    if kind == "bit":
        word = "BOOLEAN" if declared == "bit(1)" else "UBIGINT"
        return f"CAST({name} AS UNSIGNED)", f"CAST({here} AS {word})", ""
    if kind == "time":  # a span of up to 838 hours, and negative ones
        return f"CAST({name} AS CHAR)", f"CAST({here} AS INTERVAL)", ""
    if kind == "enum":
        labels = ", ".join(literal(label) for label in _labels(declared))
        return _text(column, name), f"CAST({here} AS ENUM({labels}))", ""
    if kind == "set":
        return _text(column, name), here, ""
    if kind == "json":
        return f"CAST({name} AS CHAR)", f"CAST({here} AS JSON)", ""
    if kind in _BINARY:
        return name, here, ""
    if kind in _WRITTEN:
        return f"CAST({name} AS CHAR)", f"CAST({here} AS {_WRITTEN[kind]})", kind
    raise ConfigError(
        "mysql.type",
        f"column '{column.name}' is of type {declared}, which is not known here",
        where=where,
        fix="name the column under `as_text`: it is then read as text",
    )


def _text(column: _Declared, name: str) -> str:
    """Characters; the scanner takes those of a binary collation for bytes."""
    binary = (column.collation or "").endswith("_bin")
    return f"CONVERT({name} USING utf8mb4) COLLATE utf8mb4_general_ci" if binary else name


def _as_text(column: _Declared, name: str) -> str:
    if column.kind in _TEXT:
        return _text(column, name)
    if column.kind in _BINARY or column.kind in _GEOMETRY:
        return f"HEX({name})"
    return f"CAST({name} AS CHAR)"


def _dated(column: _Declared, name: str, position: int) -> tuple[tuple[str, ...], str]:
    """A date, or the complaint about one without month or day, which the scanner reads as NULL."""
    whole = f"MONTH({name}) * DAY({name})"
    value = f"IF({whole}, {name}, NULL)"
    guard = f"IF({whole}, NULL, CAST({name} AS CHAR)) AS g{position}"
    # The session's zone is UTC.
    cast = f"timezone('UTC', c{position})" if column.kind == "timestamp" else f"c{position}"
    return (value, guard), _guarded(column, position, f"CAST({cast} AS {_DATED[column.kind]})")


def _guarded(column: _Declared, position: int, cast: str) -> str:
    complaint = literal(f"{NOT_HELD}: {quote(column.name)} is ")
    return f"CASE WHEN g{position} IS NOT NULL THEN error({complaint} || g{position}) ELSE {cast} END"


_ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def _labels(declared: str) -> list[str]:
    """The labels of ``enum('a','it''s')`` as the catalogue writes them."""
    return [
        re.sub(r"''|\\(.)", lambda found: _ESCAPES.get(found[1], found[1]) if found[1] else "'", written, flags=re.S)
        for written in re.findall(r"'((?:[^'\\]|''|\\.)*)'", declared, flags=re.S)
    ]
