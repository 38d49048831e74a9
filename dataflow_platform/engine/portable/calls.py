"""Calls of functions in other dialects, by the table ``functions``: scalar, aggregate and window."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow_platform.engine.portable import functions, literals, patterns
from dataflow_platform.engine.portable.functions import ALIASES, DATE_PARTS, FUNCTIONS, INSTEAD, Function, forms
from dataflow_platform.engine.portable.typed import call_name, is_aggregate
from dataflow_platform.engine.portable.types import NUMBERS, WHOLE, kind

if TYPE_CHECKING:
    from dataflow_platform.engine.portable.writing import Writer

_NAMED_PARTS = {"date_part", "datepart"}
_EXACT_RESULT = ("VARCHAR", "BOOLEAN", "VARCHAR[]", "INTERVAL")
_SPACES = " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
"""What trim() takes off in DuckDB, by itself."""
_FRAME_ENDS = re.compile(r"UNBOUNDED|CURRENT ROW|\d+")


class _NoFitError(Exception):
    """The form takes other arguments."""


def write(writer: "Writer", node: exp.Expr, name: str, arguments: list[exp.Expr]) -> str:
    """The call; ConfigError where it does not hold."""
    if name in _NAMED_PARTS and isinstance(arguments[0], exp.Literal):
        return date_part(writer, node, arguments[0].name.lower(), arguments[1])
    if name == "nullif":
        sides = [writer.compared(arguments[0], arguments[1:]), writer.compared(arguments[1], arguments[:1])]
        value = writer.as_type(arguments[0], writer.type_of(node))
        return f"(CASE WHEN {' = '.join(sides)} THEN NULL ELSE {value} END)"
    if is_aggregate(node):
        return aggregate(writer, node, writer.type_of(node), None)
    return _result(writer, _called(writer, node, name, arguments), writer.type_of(node))


def date_part(writer: "Writer", node: exp.Expr, unit: str, of: exp.Expr) -> str:
    """EXTRACT, or date_part()."""
    if unit not in DATE_PARTS:
        raise writer.refused(f"the part '{unit}' of a date", ", ".join(sorted(DATE_PARTS)))
    return _result(writer, _called(writer, node, DATE_PARTS[unit], [of]), writer.type_of(node))


def aggregate(writer: "Writer", node: exp.Expr, result: str, condition: exp.Expr | None) -> str:
    """An aggregate of a group, of the rows that fulfil ``condition`` if there is one."""
    return _result(writer, _folded(writer, node, result, condition), result)


def window(writer: "Writer", node: exp.Expr) -> str:
    """A call with OVER."""
    inner, result = node.this, writer.type_of(node)
    condition = inner.expression.this if isinstance(inner, exp.Filter) else None
    function = inner.this if isinstance(inner, exp.Filter) else inner
    ignored = any(isinstance(each, exp.IgnoreNulls) for each in function.find_all(exp.IgnoreNulls))
    if ignored and writer.dialect == "postgres":
        raise writer.refused("IGNORE NULLS", "max() or min() over the window")
    if function.find(exp.Distinct) is not None:
        raise writer.refused("DISTINCT over a window", "a step aggregate")
    parts = []
    if node.args.get("partition_by"):
        keys = [writer.comparable(writer.write(key), writer.type_of(key)) for key in node.args["partition_by"]]
        parts.append(f"PARTITION BY {', '.join(keys)}")
    if node.args.get("order") is not None:
        parts.append(writer.ordered(node.args["order"]))
    if node.args.get("spec") is not None:
        parts.append(_frame(writer, node.args["spec"]))
    over = f"{' IGNORE NULLS' if ignored else ''} OVER ({' '.join(parts)})"
    return _result(writer, _folded(writer, function, result, condition, over), result)


def _frame(writer: "Writer", spec: exp.Expr) -> str:
    def end(side: str) -> str:
        place, word = spec.args.get(side), spec.args.get(f"{side}_side")
        name = (place if isinstance(place, str) else place.name if place is not None else "CURRENT ROW").upper()
        if not _FRAME_ENDS.fullmatch(name):
            raise writer.refused("a frame with an expression", "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW")
        return f"{name} {word}" if word else name

    kind_of = str(spec.args.get("kind")).upper()
    numbered = any(end(side)[0].isdigit() for side in ("start", "end"))
    if spec.args.get("exclude") or kind_of not in ("ROWS", "RANGE") or (kind_of == "RANGE" and numbered):
        raise writer.refused("this frame", "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW")
    return f"{kind_of} BETWEEN {end('start')} AND {end('end')}"


def _folded(writer: "Writer", node: exp.Expr, result: str, condition: exp.Expr | None, over: str = "") -> str:
    """An aggregate or a function of windows, with what stands behind it."""
    name, arguments = writer.call(node)
    if name is None:
        raise writer.refused(f"the aggregate {type(node).__name__}", "sum(), min() or max()")
    arguments = [each.this if isinstance(each, exp.IgnoreNulls) else each for each in arguments]
    distinct = ""
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        distinct, arguments = "DISTINCT ", list(arguments[0].expressions)
        if ALIASES.get(name, name) != "count" or len(arguments) != 1:
            raise writer.refused(f"{name}(DISTINCT ...)", "count(DISTINCT column)")
    if len(arguments) == 1 and isinstance(arguments[0], exp.Star):
        arguments = []
    if condition is not None and writer.dialect in ("snowflake", "bigquery"):
        raise writer.refused("FILTER (WHERE ...)", "sum(CASE WHEN ... THEN ... END)")
    filtered = f" FILTER (WHERE {writer.as_type(condition, 'BOOLEAN')})" if condition is not None else ""
    return _called(writer, node, name, arguments, result, {"over": filtered + over, "distinct": distinct})


def _called(
    writer: "Writer", node: exp.Expr, name: str, arguments: Sequence[exp.Expr], result: str | None = None,
    besides: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """The call by the first of its forms that takes the arguments; ``besides``: what else a template asks for."""
    why = ""
    for form in forms(name):
        template = form.template(writer.dialect)
        try:
            if template is None:
                raise _NoFitError
            whole = name == "regexp_full_match"
            return _filled(template, _taken(writer, node, form, arguments, result, whole), besides or {})
        except _NoFitError as error:
            why = str(error) or why
    told = ", ".join(str(_type_or_none(writer, each)) for each in arguments)
    raise writer.refused(f"{name}({told}){f': {why},' if why else ''}", _instead(writer, name))


def _instead(writer: "Writer", name: str) -> str:
    if name in INSTEAD:
        return INSTEAD[name]
    holding = [each for each, known in FUNCTIONS.items() if any(form.template(writer.dialect) for form in known)]
    if name in holding or ALIASES.get(name) in holding:
        return f"{name}({' or '.join(form.takes.replace(' ', ', ') for form in forms(name))})"
    near = get_close_matches(name, holding, n=1, cutoff=0.6)
    return f"{near[0]}()" if near else "leave it to DuckDB"


def _type_or_none(writer: "Writer", node: exp.Expr) -> str:
    if isinstance(node, exp.Literal):
        return node.sql("duckdb")
    return "NULL" if isinstance(node, exp.Null | exp.Star) else writer.type_of(node)


def _result(writer: "Writer", made: str, result: str) -> str:
    if kind(result) in _EXACT_RESULT:
        return made
    return f"CAST({made} AS {writer.named_type(result)})"


def _filled(template: str, values: list[str], besides: Mapping[str, str]) -> str:
    """The template with the arguments, in one go: what an argument holds is no template."""

    def argument(found: re.Match[str]) -> str:
        if found[1].isdigit():
            return values[int(found[1])]
        if found[1] == "filled":
            return ", ".join(f"coalesce({value}, '')" for value in values)
        if found[1] in besides:
            return besides[found[1]]
        return ", ".join(values if found[1] == "*" else values[1:])

    return re.sub(r"\{(\d|\*|rest|filled|over|distinct)\}", argument, template)


def _taken(
    writer: "Writer",
    node: exp.Expr,
    form: Function,
    arguments: Sequence[exp.Expr],
    result: str | None,
    whole: bool = False,
) -> list[str]:
    wanted = form.takes.split()
    if wanted and wanted[-1].endswith("*"):
        last = wanted.pop().removesuffix("*")
        wanted += [last] * max(len(arguments) - len(wanted), 1)
    if "blanks" in wanted and len(arguments) == len(wanted) - 1:
        arguments = [*arguments, exp.Literal.string(_SPACES)]
    if len(wanted) != len(arguments):
        raise _NoFitError
    found: list[str] = []
    for word, argument in zip(wanted, arguments, strict=True):
        if word.startswith("="):
            if _constant(argument).lower() not in (word[1:], f"{word[1:]}s"):
                raise _NoFitError
            continue
        found.append(_argument(writer, node, word, argument, result, whole))
    return found


def _constant(node: exp.Expr) -> str:
    if not isinstance(node, exp.Literal):
        raise _NoFitError("an argument that has to be a constant")
    return str(node.name)


def _argument(
    writer: "Writer", node: exp.Expr, word: str, argument: exp.Expr, result: str | None,
    whole: bool,
) -> str:  # fmt: skip
    if word in ("text1", "plain", "g", "format", "pattern", "simple_pattern", "blanks"):
        return _text_constant(writer, word, _constant(argument), whole)
    if word in ("place", "start"):
        number = _constant(argument)
        if not number.isdecimal() or int(number) < (word == "start"):
            raise _NoFitError(f"a constant of at least {int(word == 'start')} is wanted")
        return number
    if word == "result":
        return writer.as_type(argument, result or writer.type_of(node))
    if word == "ordered":
        wanted = result or writer.type_of(node)
        return writer.comparable(writer.as_type(argument, wanted), wanted)
    if word == "words":
        return writer.as_type(argument, "VARCHAR")
    if word == "any":
        return writer.write(argument)
    return _of_type(writer, word, argument)


_KINDS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "text": (("VARCHAR", '"NULL"'), "VARCHAR"),
    "int": (WHOLE, "INTEGER"),
    "big": (WHOLE, "BIGINT"),
    "whole": (WHOLE, None),
    "decimal": (("DECIMAL",), None),
    "exact": ((*WHOLE, "DECIMAL"), None),
    "double": (tuple(each for each in NUMBERS if each != "FLOAT"), "DOUBLE"),
    "number": (tuple(each for each in NUMBERS if each != "FLOAT"), None),
    "date": (("DATE", "TIMESTAMP"), None),
    "day": (("DATE",), None),
    "moment": (("DATE", "TIMESTAMP"), "TIMESTAMP"),
    "bool": (("BOOLEAN",), None),
    "list": (("VARCHAR[]",), None),
}
"""Word -> the types that fit, and the one they are made, if any."""


def _of_type(writer: "Writer", word: str, argument: exp.Expr) -> str:
    fitting, made = _KINDS[word]
    if kind(writer.type_of(argument)) not in fitting:
        raise _NoFitError
    return writer.write(argument) if made is None else writer.as_type(argument, made)


def _text_constant(writer: "Writer", word: str, value: str, whole: bool) -> str:
    try:
        if word in ("pattern", "simple_pattern"):
            value = patterns.pattern(value, writer.dialect, whole, simple=word == "simple_pattern")
        elif word == "format":
            value = patterns.moment_format(value, writer.dialect)
    except patterns.NotPortableError as error:
        raise _NoFitError(f"{error} has not one meaning") from None
    wrong = (word == "text1" and not value) or (word == "g" and value != "g")
    if wrong or (word == "plain" and re.search(r"[\\$&]", value)):
        raise _NoFitError("a constant that means the same everywhere is wanted")
    return literals.text(value, writer.dialect)


__all__ = ["aggregate", "call_name", "date_part", "functions", "window", "write"]
