"""Text of a file to a typed value, only where the value says exactly what the text says.

DuckDB's own readers guess types from the first rows and then convert what comes later: 1.5 becomes 2 in a
column of whole numbers, 12345678901234567.89 loses its pence in a DOUBLE, 007 becomes 7, 01/02/2020 a day
in February. Here a text that a type does not hold exactly is an error with file, column and words.
"""

import re

from dataflow_platform.core.sql import literal, quote

MARK = "\x1f"
"""Separates the parts of the message that ``refusal`` makes."""
SAMPLE = 20_480
"""How many rows the types are taken from, as many as DuckDB looks at itself."""

_CANDIDATES = {
    "BOOLEAN": ("BOOLEAN",),
    "BIGINT": ("BIGINT", "HUGEINT"),
    "UBIGINT": ("BIGINT", "HUGEINT"),
    "HUGEINT": ("BIGINT", "HUGEINT"),
    "DOUBLE": ("DOUBLE", "HUGEINT"),
    "DATE": ("DATE",),
    "TIME": ("TIME",),
    "TIMESTAMP": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP WITH TIME ZONE",),
    "UUID": ("UUID",),
}
_INTEGERS = frozenset(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE"))
_NUMBERS = _INTEGERS | {"INTEGER", "UINTEGER", "FLOAT", "DOUBLE"}
_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)"
_MOMENTS = {
    "DATE": _DAY,
    "TIME": rf"({_CLOCK}(\.\d{{1,6}}0*)?|24:00:00)",
    "TIME_NS": rf"{_CLOCK}(\.\d{{1,9}})?",
    "TIME WITH TIME ZONE": rf"{_CLOCK}(\.\d{{1,6}}0*)?{_ZONE}",
    "TIMESTAMP": rf"{_DAY}[ T]{_CLOCK}(\.\d{{1,6}}0*)?",
    "TIMESTAMP_S": rf"{_DAY}[ T]{_CLOCK}",
    "TIMESTAMP_MS": rf"{_DAY}[ T]{_CLOCK}(\.\d{{1,3}}0*)?",
    "TIMESTAMP_NS": rf"{_DAY}[ T]{_CLOCK}(\.\d{{1,9}})?",
    "TIMESTAMP WITH TIME ZONE": rf"{_DAY}[ T]{_CLOCK}(\.\d{{1,6}}0*)? ?{_ZONE}",
}
_ENDLESS = r"|-?infinity|\d{4,7}-\d\d-\d\d( \(BC\))?( \d\d:\d\d:\d\d(\.\d{1,6})?)?"
"""What DuckDB itself writes for far dates: taken where the type was declared."""


def candidates(guessed: str) -> tuple[str, ...]:
    """The types to try, in order, where DuckDB guessed ``guessed``; VARCHAR, which holds any text, comes after."""
    return _CANDIDATES.get(guessed, ())


def fits(kind: str, text: str, declared: bool) -> str:
    """SQL that is TRUE where the SQL expression ``text``, not NULL, is exactly a value of ``kind``.

    A type nobody declared has to come back as the very text (DOUBLE: as the same number).
    """
    value = f"TRY_CAST({text} AS {kind})"
    if kind == "VARCHAR":
        return "TRUE"
    if kind in _NUMBERS or kind.startswith("DECIMAL"):
        return _number(kind, text, value, declared)
    if kind in _MOMENTS:
        pattern = _MOMENTS[kind] + (_ENDLESS if declared and kind not in ("TIME", "TIME_NS") else "")
        return f"({value} IS NOT NULL AND regexp_full_match(trim({text}), {literal(pattern)}))"
    if kind == "BOOLEAN" and not declared:
        return f"(lower(trim({text})) IN ('true', 'false'))"
    if kind == "UUID" and not declared:
        return f"(CAST({value} AS VARCHAR) IS NOT DISTINCT FROM {text})"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return f"(replace(CAST({value} AS VARCHAR), ' ', '') IS NOT DISTINCT FROM replace({text}, ' ', ''))"
    return f"({value} IS NOT NULL)"


def _number(kind: str, text: str, value: str, declared: bool) -> str:
    same = f"CAST({value} AS VARCHAR) IS NOT DISTINCT FROM trim({text})"
    if kind not in ("DOUBLE", "FLOAT") and not declared:
        return f"({same})"
    short = f"len({text}) <= 15 AND NOT contains(lower({text}), 'e')" if kind == "DOUBLE" else same
    plain = "" if declared else rf" AND NOT regexp_matches({text}, '^\s*(\+|-?0\d)')"
    written = [_digits(f"CAST({value} AS VARCHAR)")]
    if kind in ("DOUBLE", "FLOAT"):
        # Programs write it with the fewest digits that tell it from its neighbours, or with all it may need.
        written.append(_digits(f"format('{{:.{17 if kind == 'DOUBLE' else 9}g}}', {value})"))
    alike = f"{_digits(text)} IN ({', '.join(written)})"
    return f"({value} IS NOT NULL{plain} AND CASE WHEN {short} THEN TRUE ELSE {alike} END)"


def _digits(number: str) -> str:
    """The digits that count: equal ones, after a cast that rounds correctly, are the same number."""
    mantissa = rf"replace(regexp_extract({number}, '^\s*[+-]?([0-9.]*)', 1), '.', '')"
    return f"rtrim(ltrim({mantissa}, '0'), '0')"


def typed(kind: str, text: str, column: str, file: str, declared: bool, place: str = "") -> str:
    """SQL: ``text`` as ``kind``, NULL for NULL, an error that ``refused`` reads where it is no such value."""
    if kind == "VARCHAR":
        return text
    value = f"CAST({text} AS {kind})"
    refused = refusal(file, column, kind, text, place)
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN {fits(kind, text, declared)} THEN {value} ELSE {refused} END"


def refusal(file: str, column: str, kind: str, text: str, place: str = "") -> str:
    """SQL of the error for ``text`` (SQL) of ``column`` in ``file`` (SQL), which is no ``kind``.

    ``place`` helps to find the line again: number and separator of a CSV column (``3:;``).
    """
    parts = [literal("files.exact"), file, literal(place), literal(column), literal(kind), f"left({text}, 200)"]
    return f"error({f' || chr({ord(MARK)}) || '.join(parts)})"


def refused(text: str) -> tuple[str, str, str, str, str] | None:
    """File, place, column, kind and value of an error that ``refusal`` made; None for another one."""
    part = f"{MARK}([^{MARK}]*)"
    found = re.search(f"files\\.exact{part * 4}{MARK}(.*)", text, re.DOTALL)
    return (found[1], found[2], found[3], found[4], found[5]) if found else None


def probe(texts: dict[str, str], guessed: dict[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """A SELECT list of one row, TRUE where a column's texts all fit a candidate, and which column and type each is."""
    asked = [(name, kind) for name in texts for kind in candidates(guessed.get(name, "VARCHAR"))]
    tried = [
        f"coalesce(bool_and({fits(kind, texts[name], False)}) FILTER ({texts[name]} IS NOT NULL), TRUE)"
        for name, kind in asked
    ]
    return ", ".join(tried), asked


def chosen(answers: tuple[bool, ...], asked: list[tuple[str, str]], names: list[str]) -> dict[str, str]:
    """The type of each of ``names``: the first candidate whose answer was TRUE, else VARCHAR."""
    types: dict[str, str] = {}
    for (name, kind), fit in zip(asked, answers, strict=True):
        if fit:
            types.setdefault(name, kind)
    return {name: types.get(name, "VARCHAR") for name in names}


def named(expression: str, name: str) -> str:
    """``expression AS "name"``."""
    return f"{expression} AS {quote(name)}"
