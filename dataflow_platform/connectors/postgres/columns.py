"""How each column of a PostgreSQL table travels to DuckDB without changing, and what the server filters.

The scanner alone is not exact: numeric without precision becomes DOUBLE, NaN becomes 0, blanks of
char(n) go. What it reads exactly is left to it; everything else travels as text.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.predicate import Predicate
from dataflow_platform.core.server_filter import ServerDialect, Sign
from dataflow_platform.core.sql import literal, quote

NOT_HELD = "DuckDB holds no such value"
"""Begins the server's complaint about a value without a counterpart, such as NaN in numeric(10,2)."""

# What the scanner reads exactly, with the DuckDB type that comes out.
_EXACT = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "name": "VARCHAR",
    "date": "DATE",
    "time": "TIME",
    "timetz": "TIME WITH TIME ZONE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
    "bytea": "BLOB",
}
# DuckDB reads these back from the server's text with another meaning.
_NOT_FROM_TEXT = frozenset({"bytea", "timetz"})

_DAY, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(\.\d{1,6})?"
_WHOLE, _NUMBER, _ANYTHING = r"-?\d+", r"-?\d+(\.\d+)?(e[+-]?\d+)?", r"(?s).*"
# The types a cursor may have, and the cursor texts that mean the same on both sides. A text that does
# not match is not sent: the server then returns more rows than asked for, and the engine filters.
_CURSORS = {
    "int2": _WHOLE,
    "int4": _WHOLE,
    "int8": _WHOLE,
    "numeric": _NUMBER,
    "float4": _NUMBER,
    "float8": _NUMBER,
    "date": _DAY,
    "time": _TIME,
    "timestamp": rf"{_DAY}( {_TIME})?",
    "timestamptz": rf"{_DAY} {_TIME}[+-]\d\d(:\d\d){{0,2}}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "text": _ANYTHING,
    "varchar": _ANYTHING,
    "name": _ANYTHING,
    "bpchar": _ANYTHING,
}
_CHARACTERS = frozenset({"text", "varchar", "name", "bpchar"})
_EQUAL_TEXT = frozenset({"text", "varchar"})
_WHOLE_NUMBERS = frozenset({"int2", "int4", "int8"})

_RESOLVED = """
    UNION ALL
    SELECT b.attnum, b.attname, t.typbasetype, t.typtypmod, t.typndims, TRUE, b.readable
    FROM base b JOIN pg_type t ON t.oid = b.typ WHERE t.typtype = 'd')
SELECT b.attname, b.readable, b.domain, format_type(t.oid, b.modifier), b.modifier, b.dims,
       CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END,
       CASE WHEN e.typnamespace = 'pg_catalog'::regnamespace THEN e.typname ELSE '' END, e.oid IS NOT NULL,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
FROM base b JOIN pg_type t ON t.oid = b.typ LEFT JOIN pg_type e ON e.typarray = t.oid
WHERE t.typtype <> 'd' ORDER BY b.attnum
"""
COLUMNS = f"""
WITH RECURSIVE base AS (
    SELECT attnum, attname, atttypid AS typ, atttypmod AS modifier, attndims::int AS dims, FALSE AS domain,
           has_column_privilege(attrelid, attnum, 'SELECT') AS readable
    FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped{_RESOLVED}"""
"""Parameter: the table's oid. One row a column, domains resolved, in the order ``_Declared`` has."""
RESULT_COLUMNS = f"""
WITH RECURSIVE base AS (
    SELECT r.place AS attnum, r.name AS attname, COALESCE(a.atttypid, r.typ) AS typ,
           COALESCE(a.atttypmod, r.modifier) AS modifier, COALESCE(a.attndims::int, 0) AS dims, FALSE AS domain,
           TRUE AS readable
    FROM unnest(%s::text[], %s::oid[], %s::int[], %s::oid[], %s::int[])
         WITH ORDINALITY AS r(name, typ, modifier, relation, attribute, place)
    LEFT JOIN pg_attribute a ON a.attrelid = r.relation AND a.attnum = r.attribute{_RESOLVED}"""
"""The same of a query's result. Parameters, a value for each column: name, type, modifier, and the table's oid and
number of the column it comes from unchanged (0 where it is computed), whose declaration then counts."""


@dataclass(frozen=True)
class _Declared:
    """A column as the server's catalogue describes it. ``kind`` and ``element`` are '' for a user's own types."""

    name: str
    readable: bool
    domain: bool
    declared: str
    modifier: int
    dims: int
    kind: str
    element: str
    is_array: bool
    labels: list[str]


@dataclass(frozen=True)
class SourceColumn:
    """A column to read: ``sql`` is what the server computes, ``cast`` what DuckDB makes of that.

    ``plain`` means both are the bare column. ``cursor`` is its type where its order is useful, else None.
    ``word`` is the DuckDB type in which what the server computes arrives.
    """

    name: str
    readable: bool
    sql: str
    cast: str
    plain: bool
    cursor: str | None
    word: str


def source_column(row: tuple[Any, ...], as_text: tuple[str, ...]) -> SourceColumn:
    """One row of ``COLUMNS`` as a column that arrives exactly."""
    column = _Declared(*row)
    quoted = quote(column.name)
    if column.name in as_text:
        sql, cast, cursor = f"{quoted}::text", quoted, ""
    elif column.is_array:
        (sql, cast), cursor = _array(column, quoted), ""
    elif column.labels:
        labels = ", ".join(literal(label) for label in column.labels)
        sql, cast, cursor = f"{quoted}::text", f"CAST({quoted} AS ENUM({labels}))", ""
    else:
        sql, cast, cursor = _scalar(column, quoted)
    return SourceColumn(
        column.name,
        column.readable,
        f"{sql} AS {quoted}",
        f"{cast} AS {quoted}",
        sql == quoted,
        cursor if cursor in _CURSORS else None,
        _word(column, sql),
    )


def _word(column: _Declared, sql: str) -> str:
    if sql.endswith("::text[]"):
        return "VARCHAR[]"
    if sql.endswith("::text") or sql.startswith("textin("):
        return "VARCHAR"
    if column.is_array:
        return f"{_EXACT[column.element]}[]"
    number = re.search(r"::numeric(\(\d+,\d+\))$", sql)
    if number:
        return f"DECIMAL{number[1]}"
    return "INTERVAL" if column.kind == "interval" else _EXACT.get(column.kind, "VARCHAR")


def _scalar(column: _Declared, quoted: str) -> tuple[str, str, str]:
    """The server's expression, DuckDB's expression and the type as a cursor."""
    kind = column.kind
    if kind in _EXACT:
        return (f"{quoted}::{column.declared}" if column.domain else quoted), quoted, kind
    if kind in ("json", "jsonb"):
        return (f"{quoted}::text" if column.domain else quoted), f"CAST({quoted} AS JSON)", ""
    if kind == "bpchar":
        return _characters(quoted), quoted, kind
    if kind == "interval":  # from PostgreSQL 17 on an interval can be infinite
        return _held(quoted, f"NOT isfinite({quoted})", kind), quoted, ""
    if kind == "numeric" and column.modifier >= 4:
        typmod = column.modifier - 4
        precision, scale = typmod >> 16 & 0xFFFF, ((typmod & 0x7FF) ^ 0x400) - 0x400
        # numeric(5,-2) and numeric(3,5) are legal there; here the scale lies between 0 and the precision.
        digits, places = (max(precision, scale), scale) if scale >= 0 else (precision - scale, 0)
        if digits <= 38:
            return _held(quoted, f"{quoted} = 'NaN'", f"numeric({digits},{places})"), quoted, kind
    return f"{quoted}::text", quoted, ""


def _characters(quoted: str) -> str:
    """char(n) as text with its blanks, which a cast would strip."""
    return f"textin(bpcharout({quoted}))"


def _held(quoted: str, bad: str, kind: str) -> str:
    """The column, or a server error that names it where DuckDB has no such value (it would read 0)."""
    complaint = literal(f"{NOT_HELD}: {quoted} is ")
    return f"CASE WHEN {bad} THEN ({complaint} || {quoted}::text)::{kind} ELSE {quoted} END::{kind}"


def _array(column: _Declared, quoted: str) -> tuple[str, str]:
    """How an array travels: as it is, as an array of texts, or (several dimensions) as JSON of texts."""
    if column.element == "bpchar":  # ::text[] would strip the blanks
        return f"{quoted}::text", quoted
    if column.dims <= 1 and column.element == "bytea":  # the scanner hands the whole array on as one text
        return f"{quoted}::text[]", f"list_transform({quoted}, lambda text: unhex(substr(text, 3)))"
    if column.dims <= 1:
        exact = column.element in _EXACT and not column.domain
        return (quoted if exact else f"{quoted}::text[]"), quoted
    inner = "VARCHAR" if column.element in _NOT_FROM_TEXT else _EXACT.get(column.element, "VARCHAR")
    return f"to_json({quoted}::text[])::text", f"CAST(CAST({quoted} AS JSON) AS {inner}{'[]' * column.dims})"


def refuse_unfit(columns: list[SourceColumn], table: str, where: Location) -> None:
    """ConfigError ``postgres.columns`` for a table without a column, or with two whose names differ only in case."""
    names: dict[str, str] = {}
    for column in columns:
        other = names.setdefault(column.name.lower(), column.name)
        if other != column.name:
            raise ConfigError(
                "postgres.columns",
                f"'{other}' and '{column.name}' of {table} differ only in case, and the engine takes them for one",
                where=where,
                fix="read a view that renames one of them",
            )
    if not columns:
        fix = "add a column, or leave the table out"
        raise ConfigError("postgres.columns", f"{table} has no column", where=where, fix=fix)


def _compared(name: str, kind: str, sign: Sign, value: str) -> str:
    if kind not in _CHARACTERS:
        return f"{name} {sign} {literal(value)}"
    characters = _characters(name) if kind == "bpchar" else f"{name}::text"
    # DuckDB compares bytes; the server's own collation may order otherwise and leave rows out.
    return f'{characters} COLLATE "C" {sign} {literal(value)}'


def _keeps(name: str, kind: str, predicate: Predicate) -> str | None:
    """Whole numbers, dates, times and equal texts only: of these both sides think alike."""
    if predicate.operator in ("is null", "is not null"):
        return f"{name} {predicate.operator.upper()}"
    if not all(_same_there(kind, value) for value in predicate.values):
        return None
    if kind in _EQUAL_TEXT:
        if predicate.operator not in ("=", "<>", "in"):
            return None
        name = f'{name}::text COLLATE "C"'
    values = ", ".join(str(value) if isinstance(value, int) else literal(value) for value in predicate.values)
    return f"{name} IN ({values})" if predicate.operator == "in" else f"{name} {predicate.operator} {values}"


def _same_there(kind: str, value: int | str) -> bool:
    if isinstance(value, int):
        return kind in _WHOLE_NUMBERS
    if kind in _EQUAL_TEXT:
        return "\0" not in value
    if kind not in ("date", "timestamp", "timestamptz") or not re.fullmatch(_CURSORS[kind], value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:  # there is no such day: the engine says so
        return False
    return True


def _moment(kind: str | None, moment: datetime) -> str | None:
    """A time as the server's literal; columns without a zone hold its wall time."""
    aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if kind == "timestamptz":
        return f"TIMESTAMPTZ '{aware.isoformat(sep=' ')}'"
    if kind == "timestamp":
        return f"TIMESTAMP '{moment.replace(tzinfo=None).isoformat(sep=' ')}'"
    return f"DATE '{moment.date().isoformat()}'" if kind == "date" else None


DIALECT = ServerDialect(
    name="postgres",
    cursor_types="a whole number, numeric(p,s), date, time, timestamp, uuid or character type",
    cursors=_CURSORS,
    numbers=frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"}),
    quoted=quote,
    compared=_compared,
    moment=_moment,
    keeps=_keeps,
)
