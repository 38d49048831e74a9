"""Checks: what must hold of a stream's rows. What the checks of this folder share lives here."""

import re
import warnings
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Literal
from zlib import crc32

from pydantic import Field

from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Dimension, Rule, Severity
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.rule import RuleCode

_FAMILIES = {
    "integer": "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT BIGNUM INT",
    "float": "FLOAT DOUBLE REAL",
    "decimal": "DECIMAL NUMERIC",
    "text": "VARCHAR TEXT ENUM CHAR STRING",
    "boolean": "BOOLEAN BOOL",
    "date": "DATE",
    "timestamp": "TIMESTAMP TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS DATETIME",
    "timestamp with time zone": "TIMESTAMPTZ",
    "time": "TIME TIMETZ TIME_NS",
    "interval": "INTERVAL",
    "binary": "BLOB",
}
_FAMILY_OF = {name: family for family, names in _FAMILIES.items() for name in names.split()}
_NUMBERS = ("integer", "float", "decimal")
FAMILIES = frozenset({*_FAMILIES, "number"})
"""The words for kinds of types that people may write."""
_INSTANTS = ("date", "timestamp", "timestamp with time zone")
_OPERATORS = {"<=": "le", ">=": "ge", "<>": "ne", "!=": "ne", "<": "lt", ">": "gt", "=": "eq"}
Value = bool | int | float | Decimal | datetime | date | str


class RowCheck(Check):
    """Base of the checks that judge each row by itself."""

    scope: Literal["row", "set"] = Field(
        default="row",
        description="`row`: rows that break it go to quarantine; `set`: they are counted and judged, and stay.",
    )


def family(type_name: str) -> str:
    """The family ('integer', 'text', ...) of a DuckDB type; 'nested' for lists, structs and maps, else 'other'."""
    upper = type_name.upper().strip()
    if upper.endswith("]") or upper.startswith(("STRUCT", "MAP", "UNION")):
        return "nested"
    if upper.startswith("TIMESTAMP") and upper.endswith("WITH TIME ZONE"):
        return "timestamp with time zone"
    return _FAMILY_OF.get(re.split(r"[ (]", upper)[0], "other")


def column_of(name: str, columns: Sequence[Column]) -> Column:
    """The column called ``name`` (case does not matter); ConfigError ``column.unknown``."""
    found = sql.find_column(name, [column.name for column in columns])
    return next(column for column in columns if column.name == found)


def value_for(value: object, column: Column) -> str:
    """``value`` as a literal to compare ``column`` with; ConfigError ``check.type`` where they cannot be compared."""
    kind = family(column.type)
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if kind in _INSTANTS and isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            raise _mismatch(value, column, "write a date such as 2013-01-31") from None
    if kind in _NUMBERS and not number:
        raise _mismatch(value, column, "write a number, or cast the column first")
    if kind == "text" and not isinstance(value, str):
        raise _mismatch(value, column, "put the value in quotes, or cast the column first")
    if kind in _INSTANTS and not isinstance(value, date):
        raise _mismatch(value, column, "write a date such as 2013-01-31, or cast the column first")
    if kind == "boolean" and not isinstance(value, bool):
        raise _mismatch(value, column, "write true or false")
    return sql.literal(value)


def _mismatch(value: object, column: Column, fix: str) -> ConfigError:
    return ConfigError(
        "check.type", f"column '{column.name}' is {column.type} and cannot be compared with {value!r}",
        where=column.name, fix=fix,
    )  # fmt: skip


def require_text(column: Column) -> None:
    """ConfigError ``check.type`` where ``column`` holds no text."""
    if family(column.type) != "text":
        raise ConfigError(
            "check.type", f"column '{column.name}' is {column.type}, not text", where=column.name,
            fix="cast the column to varchar first",
        )  # fmt: skip


@cache
def regexp(pattern: str) -> str:
    """``pattern`` as a SQL literal; ConfigError ``check.pattern`` unless both RE2 and Python's re read it."""
    import duckdb

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
        text = sql.literal(pattern)
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"SELECT regexp_full_match('', {text})").fetchall()
    except (re.error, RecursionError, OverflowError, Warning, duckdb.Error) as error:
        raise ConfigError(
            "check.pattern", f"the pattern {pattern!r} cannot be used: {error}",
            fix="write an RE2 regular expression: no look-around, no back-references",
        ) from error  # fmt: skip
    return text


def word(text: str) -> str:
    """``text`` as part of an asset check's name: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def rule_names(check: Check, defaults: Sequence[str], parts: Sequence[str] = ()) -> list[str]:
    """The names of the rules of ``check``: ``defaults``, or its own ``name`` followed by the rule's part.

    They are made of letters, digits and underscores and differ from one another.
    """
    chosen = list(defaults)
    if check.name is not None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", check.name):
            raise ConfigError(
                "check.name", f"'{check.name}' cannot name a check", where="name",
                fix="use letters, digits and underscores",
            )  # fmt: skip
        chosen = [f"{check.name}_{part}" for part in parts] if len(defaults) > 1 else [check.name]
    names: list[str] = []
    for name in map(word, chosen):
        count, candidate = 1, name
        while candidate in names:
            count += 1
            candidate = f"{name}_{count}"
        names.append(candidate)
    return names


def rule(
    check: Check,
    name: str,
    message: str,
    *,
    column: str | None = None,
    violation: str | None = None,
    verdict: str | None = None,
    severity: Severity | None = None,
    tolerated: bool = True,
    shows: Sequence[str] = (),
    rows: str | None = None,
    measures: str | None = None,
    reads_history: bool = False,
    code: tuple[RuleCode, ...] = (),
    dimension: Dimension | None = None,
) -> Rule:
    """A Rule with the severity, tolerance (unless not ``tolerated``), description and owner that ``check`` sets."""
    at_most, is_share = check.tolerance() if tolerated else (0.0, False)
    return Rule(
        name=name,
        message=message,
        severity=severity or check.severity,
        column=column,
        violation=f"({violation})" if violation else None,
        verdict=verdict,
        at_most=at_most,
        at_most_is_share=is_share,
        description=check.description,
        dimension=dimension or check.dimension,
        owner=check.owner,
        rows=rows,
        measures=measures,
        reads_history=reads_history,
        code=code,
        shows=tuple(shows) or ((column,) if column else ()),
        quarantines=getattr(check, "scope", "row") == "row",
    )


def listed_values(values: Sequence[Value]) -> str:
    """The first ten of ``values``, in words."""
    return ", ".join(str(value) for value in values[:10]) + (", ..." if len(values) > 10 else "")


def words_of(text: str) -> str:
    """A SQL text as a part of a name, shortened by a checksum where it is long."""
    words = text.lower()
    for sign, name in _OPERATORS.items():
        words = words.replace(sign, f" {name} ")
    words = re.sub(r"[^a-z0-9_]+", "_", words).strip("_")
    return f"{words[:50]}_{crc32(text.encode()):08x}" if len(words) > 60 else words


def as_list(value: str | list[str]) -> list[str]:
    """One name or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def repeated_keys(columns: Sequence[str], *, nulls_repeat: bool = False) -> str:
    """The verdict on the key ``columns``: how many staged rows come after the first of their key.

    A key with a NULL in it is left out, as in SQL, unless ``nulls_repeat``.
    """
    key = ", ".join(sql.quote(column) for column in columns)
    known = " AND ".join(f"{sql.quote(column)} IS NOT NULL" for column in columns)
    where = "" if nulls_repeat else f" WHERE {known}"
    words = sql.literal(f" of ({', '.join(columns)})")
    return (
        "SELECT CAST(coalesce(sum(n - 1), 0) AS BIGINT) AS failing, CASE WHEN count(*) = 0 "
        f"THEN 'no key' || {words} || ' repeats' "
        f"ELSE CAST(sum(n - 1) AS BIGINT) || ' rows repeat ' || count(*) || ' keys' || {words} END AS sentence "
        f"FROM (SELECT count(*) AS n FROM staged{where} GROUP BY {key} HAVING count(*) > 1) AS repeated"
    )


def repeated_rows(columns: Sequence[str]) -> str:
    """The staged rows that ``repeated_keys`` counts: of each key all but one."""
    key = ", ".join(sql.quote(column) for column in columns)
    known = " AND ".join(f"{sql.quote(column)} IS NOT NULL" for column in columns)
    return f"SELECT * FROM staged WHERE {known} QUALIFY row_number() OVER (PARTITION BY {key}) > 1"


def is_of(type_name: str, wanted: str) -> bool:
    """True where a DuckDB type is of the family ``wanted``, or is that very type."""
    kind, word = family(type_name), wanted.lower()
    if word == "number":
        return kind in _NUMBERS
    if word in FAMILIES:
        return kind == word
    return data_type(wanted).upper() == data_type(type_name).upper() if kind != "nested" else False


def fact(failing: int, sentence: str) -> str:
    """A verdict that is known without looking at a row."""
    return f"SELECT {failing} AS failing, {sql.literal(sentence)} AS sentence"
