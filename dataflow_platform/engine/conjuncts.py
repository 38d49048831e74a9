"""A condition as the simple predicates it is made of: those a source may be asked."""

from collections.abc import Iterator
from datetime import date, datetime

import sqlglot
from sqlglot import exp

from dataflow_platform.core.expression import expression
from dataflow_platform.core.predicate import Operator, Predicate

_OPERATORS: dict[type[exp.Expr], tuple[Operator, Operator]] = {
    exp.EQ: ("=", "="),
    exp.NEQ: ("<>", "<>"),
    exp.LT: ("<", ">"),
    exp.LTE: ("<=", ">="),
    exp.GT: (">", "<"),
    exp.GTE: (">=", "<="),
}
"""Node -> its operator, and the same with the two sides changed over."""
_UNZONED = (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ)


def simple(condition: str) -> Iterator[Predicate]:
    """Those of its conjuncts that are simple: a row one of them is not TRUE for is not kept by the whole."""
    tree = sqlglot.parse_one(expression(condition, scope="row"), read="duckdb")
    waiting = [tree]
    while waiting:
        node = waiting.pop().unnest()
        if isinstance(node, exp.And):
            waiting += [node.expression, node.this]
        else:
            yield from _predicates(node)


def _predicates(node: exp.Expr) -> Iterator[Predicate]:
    if isinstance(node, exp.Between):
        column, low, high = _column(node.this), _value(node.args["low"]), _value(node.args["high"])
        if column is not None and low is not None and high is not None:
            yield from (Predicate(column, ">=", (low,)), Predicate(column, "<=", (high,)))
    elif isinstance(node, exp.In) and not node.args.get("query") and not node.args.get("unnest"):
        column, values = _column(node.this), [_value(each) for each in node.expressions]
        known = tuple(value for value in values if value is not None)
        if column is not None and known and len(known) == len(values):
            yield Predicate(column, "in", known)
    elif isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        if (column := _column(node.this)) is not None:
            yield Predicate(column, "is null")
    elif isinstance(node, exp.Not) and isinstance(inner := node.this.unnest(), exp.Is):
        column = _column(inner.this)
        if column is not None and isinstance(inner.expression, exp.Null):
            yield Predicate(column, "is not null")
    elif type(node) in _OPERATORS:
        straight, turned = _OPERATORS[type(node)]
        for side, other, operator in ((node.this, node.expression, straight), (node.expression, node.this, turned)):
            column, value = _column(side), _value(other)
            if column is not None and value is not None:
                yield Predicate(column, operator, (value,))


def _column(node: exp.Expr) -> str | None:
    node = node.unnest()
    return node.name if isinstance(node, exp.Column) and len(node.parts) == 1 else None


def _value(node: exp.Expr) -> int | str | None:
    """A whole number, or a text; a DATE or TIMESTAMP literal counts as its text where it is nothing but that."""
    node = node.unnest()
    if isinstance(node, exp.Neg):
        value = _value(node.this)
        return -value if isinstance(value, int) else None
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
        return node.this.name if _is_plain(node.this.name, node.to) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.name
    return int(node.name) if node.name.isdecimal() else None


def _is_plain(text: str, kind: exp.DataType) -> bool:
    try:
        if kind.this == exp.DataType.Type.DATE:
            return date.fromisoformat(text).isoformat() == text
        return kind.this in _UNZONED and datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False
