"""Operators in other dialects: arithmetic in DuckDB's type of the result, comparisons in the type it compares in."""

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow_platform.engine.portable import literals
from dataflow_platform.engine.portable.types import NUMBERS, WHOLE, kind

if TYPE_CHECKING:
    from dataflow_platform.engine.portable.writing import Writer

COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
BITS: dict[type[exp.Expr], str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|"}
UNITS = ("YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")
_DAYS: dict[str, str] = {
    "postgres": "({0} + {1})", "spark": "date_add({0}, {1})", "snowflake": "dateadd(day, {1}, {0})",
    "bigquery": "date_add({0}, INTERVAL {1} DAY)",
}  # fmt: skip


def write(writer: "Writer", node: exp.Expr) -> str:
    """The expression; ConfigError where it does not hold."""
    if type(node) in COMPARISONS:
        return _comparison(writer, node)
    if isinstance(node, exp.Add | exp.Sub) and (moved := _moved(writer, node)) is not None:
        return moved
    if type(node) in ARITHMETIC:
        return _arithmetic(writer, node)
    if isinstance(node, exp.Div):
        return _division(writer, node)
    if isinstance(node, exp.IntDiv | exp.Mod):
        return _whole_division(writer, node)
    if isinstance(node, exp.DPipe):
        return f"({writer.as_type(node.this, 'VARCHAR')} || {writer.as_type(node.expression, 'VARCHAR')})"
    if isinstance(node, exp.Like | exp.ILike):
        return _like(writer, node)
    if type(node) in BITS and kind(writer.type_of(node)) in WHOLE[:-1] and writer.dialect != "snowflake":
        sides = [writer.as_type(side, writer.type_of(node)) for side in (node.this, node.expression)]
        return f"({f' {BITS[type(node)]} '.join(sides)})"
    if isinstance(node, exp.Interval) and writer.dialect == "postgres":
        return interval(writer, node)
    raise writer.refused(f"{type(node).__name__}, '{node.sql('duckdb')[:60]}',", "another expression")


def _comparison(writer: "Writer", node: exp.Expr) -> str:
    sides = [node.this, node.expression]
    left, right = (writer.compared(side, sides) for side in sides)
    return f"({left} {COMPARISONS[type(node)]} {right})"


def _arithmetic(writer: "Writer", node: exp.Expr) -> str:
    result = writer.type_of(node)
    if kind(result) == "INTERVAL":
        raise writer.refused("an interval as a value", "date_diff()")
    if kind(result) not in NUMBERS or kind(result) in ("TINYINT", "FLOAT"):
        raise writer.refused(f"arithmetic that gives {result}", "integer, bigint, decimal or double")
    if kind(result) == "DECIMAL" and writer.dialect != "postgres":
        sides = [writer.write(side) for side in (node.this, node.expression)]
    elif kind(result) == "DECIMAL":
        # Exact whatever the scales are; the cast behind says the width of the result.
        sides = [_numeric(writer, side) for side in (node.this, node.expression)]
    else:
        sides = [writer.as_type(side, result) for side in (node.this, node.expression)]
    made = f"({f' {ARITHMETIC[type(node)]} '.join(sides)})"
    return made if result in ("INTEGER", "BIGINT", "DOUBLE") else f"CAST({made} AS {writer.named_type(result)})"


def _numeric(writer: "Writer", node: exp.Expr) -> str:
    value = writer.write(node)
    return value if kind(writer.type_of(node)) == "DECIMAL" else f"CAST({value} AS numeric)"


def _division(writer: "Writer", node: exp.Expr) -> str:
    """DuckDB divides as DOUBLE; by 0 it is infinite, or NaN."""
    if writer.type_of(node) != "DOUBLE":
        raise writer.refused(f"a division that gives {writer.type_of(node)}", "a division of numbers")
    above, below = (writer.as_type(side, "DOUBLE") for side in (node.this, node.expression))
    infinite = f"{above} * CAST('Infinity' AS {writer.named_type('DOUBLE')})"
    return f"(CASE WHEN {below} = 0 THEN {infinite} ELSE {above} / {below} END)"


def _whole_division(writer: "Writer", node: exp.Expr) -> str:
    """Both cut towards 0, the rest has the dividend's sign; by 0 it is NULL."""
    result = writer.type_of(node)
    fits = kind(result) in ("SMALLINT", "INTEGER", "BIGINT") or (
        isinstance(node, exp.Mod) and kind(result) == "DECIMAL"
    )
    if not fits:
        raise writer.refused(f"// or % that gives {result}", "bigint, or % of decimals")
    above, below = (writer.as_type(side, result) for side in (node.this, node.expression))
    below = f"nullif({below}, 0)"
    if isinstance(node, exp.Mod):
        made = f"mod({above}, {below})"
    else:
        made = {
            "postgres": f"({above} / {below})", "spark": f"({above} div {below})",
            "snowflake": f"trunc({above} / {below}, 0)", "bigquery": f"div({above}, {below})",
        }[writer.dialect]  # fmt: skip
    return f"CAST({made} AS {writer.named_type(result)})"


def _like(writer: "Writer", node: exp.Expr) -> str:
    """DuckDB's LIKE has no sign of escape unless one is named."""
    value, form = (writer.as_type(side, "VARCHAR") for side in (node.this, node.expression))
    if isinstance(node, exp.ILike):
        value, form = (_lower(writer, each) for each in (value, form))
    if writer.dialect == "postgres":
        return f"({value} LIKE {form} ESCAPE '')"
    if not (isinstance(node.expression, exp.Literal) and "\\" not in node.expression.name):
        raise writer.refused("LIKE with a backslash, or with what is no constant", "contains() or starts_with()")
    return f"({value} LIKE {form})"


def _lower(writer: "Writer", value: str) -> str:
    from dataflow_platform.engine.portable.functions import FUNCTIONS

    template = FUNCTIONS["lower"][0].template(writer.dialect)
    assert template is not None
    return template.replace("{0}", value)


def _moved(writer: "Writer", node: exp.Expr) -> str | None:
    """A date moved by days or by an interval, two dates taken from one another; None where it is about numbers."""
    left, right = node.this, node.expression
    types = [kind(_type(writer, side)) for side in (left, right)]
    sign = "+" if isinstance(node, exp.Add) else "-"
    if types == ["DATE", "DATE"]:
        template = {"postgres": "({0} - {1})", "spark": "datediff({0}, {1})", "snowflake": "datediff(day, {1}, {0})",
                    "bigquery": "date_diff({0}, {1}, DAY)"}[writer.dialect]  # fmt: skip
        made = template.replace("{0}", writer.write(left)).replace("{1}", writer.write(right))
        return f"CAST({made} AS {writer.named_type('BIGINT')})"
    if sign == "+" and types[1] == "DATE" and types[0] in WHOLE:
        left, right, types = right, left, types[::-1]
    if types[0] == "DATE" and types[1] in WHOLE:
        days = writer.as_type(right, "INTEGER")
        days = days if sign == "+" else f"(- {days})"
        return _DAYS[writer.dialect].replace("{0}", writer.write(left)).replace("{1}", days)
    if sign == "+" and types[0] == "INTERVAL" and types[1] in ("DATE", "TIMESTAMP"):
        left, right, types = right, left, types[::-1]
    if types[0] in ("DATE", "TIMESTAMP") and types[1] == "INTERVAL":
        return _by_interval(writer, writer.as_type(left, "TIMESTAMP"), right, sign)
    return None


def _type(writer: "Writer", node: exp.Expr) -> str:
    return "INTERVAL" if isinstance(node.unnest(), exp.Interval) else writer.type_of(node)


def _by_interval(writer: "Writer", moment: str, node: exp.Expr, sign: str) -> str:
    if writer.dialect == "postgres":
        return f"({moment} {sign} {writer.write(node)})"
    number, unit = _count(writer, node.unnest())
    if writer.dialect == "spark":
        return f"({moment} {sign} INTERVAL '{number}' {unit})"
    if writer.dialect == "snowflake":
        return f"dateadd({unit.lower()}, {number if sign == '+' else f'-({number})'}, {moment})"
    return f"datetime_{'add' if sign == '+' else 'sub'}({moment}, INTERVAL {number} {unit})"


def _count(writer: "Writer", node: exp.Expr) -> tuple[str, str]:
    """An INTERVAL of a constant number of one unit."""
    called, arguments = writer.call(node)
    if called is not None and called.startswith("to_") and len(arguments) == 1:  # to_days(3)
        number, name = arguments[0].unnest(), called.removeprefix("to_").removesuffix("s").upper()
    elif isinstance(node, exp.Interval) and node.this is not None and node.args.get("unit") is not None:
        number, name = node.this.unnest(), str(node.args["unit"].name).upper().removesuffix("S")
    else:
        number, name = None, ""
    if not isinstance(number, exp.Literal) or not re.fullmatch(r"-?\d+", number.name) or name not in UNITS:
        raise writer.refused("an interval that is no whole number of one unit", "INTERVAL 3 DAY")
    if name == "WEEK" and writer.dialect == "spark":
        return str(int(number.name) * 7), "DAY"
    return number.name, name


def interval(writer: "Writer", node: exp.Expr) -> str:
    """PostgreSQL's interval."""
    value, unit = node.this.unnest(), node.args.get("unit")
    name = str(unit.name).lower().removesuffix("s") if unit is not None else ""
    if name.upper() not in UNITS:
        raise writer.refused("this interval", "INTERVAL 3 DAY")
    if isinstance(value, exp.Literal):
        number, unit_name = _count(writer, node)
        return f"INTERVAL {literals.text(f'{number} {unit_name.lower()}', 'postgres')}"
    return f"({writer.as_type(value, 'INTEGER')} * INTERVAL '1 {name}')"
