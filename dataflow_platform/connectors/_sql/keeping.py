"""The rows a pipeline's first filters keep, as far as a server judges them as DuckDB does.

The engine filters again: a condition that is not sent costs time, one that is judged otherwise would cost rows.
"""

import datetime as dt
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql.facts import SqlFacts
from dataflow_platform.connectors._sql.kinds import INTEGERS, NUMBER
from dataflow_platform.connectors._sql.selecting import bound, written
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core.predicate import Operator, Predicate

if TYPE_CHECKING:
    import sqlalchemy as sa

_SIGNS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DIGITS = 18  # of a literal that every system reads as a whole number
_BITS = {"TINY": 8, "SMALL": 16, "": 32, "BIG": 64}
_DAY, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(\.\d{1,6})?"
_TEXTS = {
    "DATE": _DAY,
    "TIMESTAMP": rf"{_DAY}( {_TIME})?",
    "TIMESTAMPTZ": rf"{_DAY} {_TIME}[+-]\d\d(:\d\d)?",
}
"""Texts that mean the same date or moment everywhere."""
_UNPADDED = re.compile(r"(?i)\b(varchar|text|string|character varying)\b")
_MOST_VALUES = 500  # Oracle takes no list of more than 1,000


def kept(
    source: "sa.FromClause",
    columns: Sequence[Column],
    predicates: Sequence[Predicate],
    overruled: Collection[str],
    facts: SqlFacts,
    filtered: frozenset[str],
    dialect: Any,
) -> "Iterator[sa.ColumnElement[bool]]":
    """The conditions the server is given. Of columns whose type a person overruled, nothing is said."""
    known = {column.name.lower(): column for column in columns if column.name not in overruled}
    for predicate in predicates:
        column = known.get(predicate.column.lower())
        if column is not None and len(predicate.values) <= _MOST_VALUES:
            said = _said(source.c[column.name], column, predicate, facts, filtered, dialect)
            if said is not None:
                yield said


def _said(
    compared: "sa.ColumnElement[Any]",
    column: Column,
    predicate: Predicate,
    facts: SqlFacts,
    filtered: frozenset[str],
    dialect: Any,
) -> "sa.ColumnElement[bool] | None":
    if predicate.operator in ("is null", "is not null"):
        return _nothing_in(compared, column.kind, predicate.operator)
    if column.kind == "VARCHAR":
        texts = [value for value in predicate.values if isinstance(value, str) and "\0" not in value]
        unpadded = facts.text_order and _UNPADDED.search(column.declared)
        if not unpadded or predicate.operator not in ("=", "in") or len(texts) < len(predicate.values):
            return None
        assert facts.text_order is not None
        return written(facts.text_order, column.name, dialect).in_([_text(text) for text in texts])
    if ("INTEGER" if column.kind in INTEGERS else column.kind.partition("(")[0]) not in filtered:
        return None
    if (span := _range(column)) is not None:
        low, high = span
        numbers = [value for value in predicate.values if isinstance(value, int) and low <= value <= high]
        return _compared(compared, predicate, [_number(number) for number in numbers])
    return _compared_time(compared, column.kind, predicate, facts.clock_slack)


def _nothing_in(compared: "sa.ColumnElement[Any]", kind: str, asked: Operator) -> "sa.ColumnElement[bool] | None":
    # Some systems take an empty text for NULL and hand it out all the same.
    if asked == "is not null" and kind == "VARCHAR":
        return None
    known = kind in INTEGERS or kind in ("VARCHAR", NUMBER, "DOUBLE", *_TEXTS) or kind.startswith("DECIMAL")
    if not known:
        return None
    return compared.is_(None) if asked == "is null" else compared.is_not(None)


def _compared(
    compared: "sa.ColumnElement[Any]", predicate: Predicate, values: "Sequence[sa.ColumnElement[Any]]"
) -> "sa.ColumnElement[bool] | None":
    if len(values) < len(predicate.values):
        return None
    if predicate.operator == "in":
        return compared.in_(values)
    said: sa.ColumnElement[bool] = _SIGNS[predicate.operator](compared, values[0])
    return said


def _compared_time(
    compared: "sa.ColumnElement[Any]", kind: str, predicate: Predicate, clock_slack: float
) -> "sa.ColumnElement[bool] | None":
    """A date by any operator; a time by its order, with the slack of the server's clock."""
    values = [time for value in predicate.values if (time := _time(kind, value)) is not None]
    if len(values) < len(predicate.values) or kind not in _TEXTS:
        return None
    if kind == "DATE":
        return _compared(compared, predicate, [bound(value, kind) for value in values])
    if predicate.operator not in ("<", "<=", ">", ">="):
        return None
    slack = dt.timedelta(seconds=clock_slack)
    edge = bound(values[0] - slack if predicate.operator.startswith(">") else values[0] + slack, kind)
    said: sa.ColumnElement[bool] = _SIGNS[predicate.operator](compared, edge)
    return said


def _time(kind: str, value: int | str) -> Any:
    if not isinstance(value, str) or not re.fullmatch(_TEXTS.get(kind, ""), value):
        return None
    try:
        return dt.date.fromisoformat(value) if kind == "DATE" else dt.datetime.fromisoformat(value)
    except ValueError:  # there is no such day: the engine says so
        return None


def _range(column: Column) -> tuple[int, int] | None:
    """The whole numbers the column holds; None where it holds others as well."""
    if column.declared.startswith("year"):  # MySQL reads a small number there as a year of some century
        return None
    if column.kind in INTEGERS:
        bits = _BITS[column.kind.removeprefix("U").removesuffix("INTEGER").removesuffix("INT")]
        return (0, 2**bits - 1) if column.kind.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    whole = re.fullmatch(r"DECIMAL\((\d+),0\)", column.kind)
    most = 10 ** min(int(whole[1]), _DIGITS) - 1 if whole else 0
    return (-most, most) if whole else None


def _number(number: int) -> "sa.ColumnElement[Any]":
    """In the statement itself: of a parameter, some servers make the type of the column it is compared with."""
    import sqlalchemy as sa

    return sa.literal_column(str(number))


def _text(text: str) -> "sa.ColumnElement[Any]":
    import sqlalchemy as sa

    return sa.bindparam(None, text, sa.String())
