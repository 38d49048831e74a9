"""The SQL that reads JSON lines with every digit they have.

DuckDB's reader passes each number with a fraction through a double, also on its way to a DECIMAL or a text.
Lines that hold a number a double may not keep are read with their numbers as marked texts.
"""

from collections.abc import Callable
from typing import Any

from dataflow_platform.connectors.files import exact
from dataflow_platform.connectors.files.alike import refuse_alike
from dataflow_platform.core.sql import literal, quote

FILE = "_dataflow_file"
"""The column that holds the path of a row's file."""

# More than 15 digits, a great exponent, or a zero with a sign.
_DOUBTFUL = r"[0-9][0-9.]{15,}|[0-9][eE][+-]?[0-9]{2,}|-0[^0-9.]"
_TOKENS = r'("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.eE+-]*)'
# Control characters never stand in JSON as they are: they tell a number from a text meanwhile.
_MARKED = r"\u0001\u0002"
_NESTED = ("STRUCT", "MAP", "JSON")

OPTIONS = "format = 'newline_delimited', records = true"


def rows(paths: str, types: dict[str, str], ask: Callable[[str], list[tuple[Any, ...]]]) -> tuple[str, dict[str, str]]:
    """A FROM item over the files of ``paths`` (SQL), and SQL that makes each column's values of its rows.

    Objects and lists stay JSON, with every digit, unless ``types`` says otherwise.
    """
    described = ask(f"DESCRIBE SELECT * FROM read_json({paths}, union_by_name = true, {OPTIONS})")
    guessed = {str(name): str(kind) for name, kind, *_ in described}
    lines = f"read_ndjson_objects({paths}, filename = {literal(FILE)})"
    keys = ask(
        f"SELECT DISTINCT unnest(json_keys(json)) AS name FROM (FROM {lines} LIMIT {exact.SAMPLE}) ORDER BY name"
    )
    refuse_alike([*(str(row[0]) for row in keys), *(name for name in types if (name,) not in keys)])
    names = list(dict.fromkeys([*guessed, *types]))
    parsed = _parsed(lines, names)
    undeclared = {name: kind for name, kind in guessed.items() if name not in types and not _is_nested(kind)}
    texts = {name: _text(name, kind) for name, kind in undeclared.items()}
    tried, asked = exact.probe(texts, undeclared)
    answers = ask(f"SELECT {tried} FROM (SELECT * FROM {parsed} LIMIT {exact.SAMPLE})")[0] if asked else ()
    found = exact.chosen(answers, asked, list(undeclared))
    columns: dict[str, str] = {}
    for name in names:
        if name in types:
            columns[name] = _declared(name, types[name])
        elif name in undeclared:
            columns[name] = _typed(name, found[name], guessed[name])
        else:
            columns[name] = f"CAST({quote(name)} AS JSON)"
    return parsed, columns


def _is_nested(kind: str) -> bool:
    return kind.startswith(_NESTED) or kind.endswith("]")


def _parsed(lines: str, names: list[str]) -> str:
    """Each line's values as JSON texts with the digits of the file; a line with other keys is an error."""
    structure = "{" + ", ".join(f'{_json(name)}: "JSON"' for name in names) + "}"
    line = "CAST(json AS VARCHAR)"
    marked = f"regexp_replace({line}, {literal(_TOKENS)}, '\\1' || chr(1) || '\\2' || chr(2), 'g')"
    marked = f"replace({marked}, chr(1) || chr(2), '')"
    quoted = f"replace(replace({marked}, chr(1), {literal(chr(34) + _MARKED)}), chr(2), '\"')"
    safe = f"CASE WHEN regexp_matches({line}, {literal(_DOUBTFUL)}) THEN {quoted} ELSE {line} END"
    known = "[" + ", ".join(map(literal, names)) + "]"
    file = quote(FILE)
    others = f"list_filter(json_keys(json), lambda k: NOT list_contains({known}, k))"
    checked = (
        f"CASE WHEN json_type(json) <> 'OBJECT' THEN {exact.refusal(file, '', 'record', line)} "
        f"WHEN NOT list_has_all({known}, json_keys(json)) THEN {exact.refusal(file, '', 'key', f'{others}[1]')} "
        f"WHEN len(list_distinct(json_keys(json))) < len(json_keys(json)) "
        f"THEN {exact.refusal(file, '', 'unique key', line)} ELSE {safe} END"
    )
    values = ", ".join(exact.named(_restored(f"line.{quote(name)}"), name) for name in names)
    return (
        f"(SELECT {values}, {file} FROM "
        f"(SELECT json_transform({checked}, {literal(structure)}) AS line, {file} FROM {lines}) AS marked_lines)"
    )


def _json(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _restored(value: str) -> str:
    pattern = literal(r'"\\u0001\\u0002([^"]*)"')
    restored = f"regexp_replace(CAST({value} AS VARCHAR), {pattern}, '\\1', 'g')"
    marked = f"contains(CAST({value} AS VARCHAR), {literal(_MARKED)})"
    return f"CASE WHEN {marked} THEN {restored} ELSE CAST({value} AS VARCHAR) END"


def _said(name: str) -> str:
    """A text as it reads, anything else as its JSON."""
    value = quote(name)
    return f"CASE WHEN starts_with({value}, '\"') THEN CAST({value} AS JSON) ->> '$' ELSE {value} END"


def _text(name: str, guessed: str) -> str:
    """What the candidates are tried on: never a text where the sample has numbers, or the other way round."""
    return f"({_said(name)})"


def _typed(name: str, kind: str, guessed: str) -> str:
    value, file = quote(name), quote(FILE)
    said = f"({_said(name)})"
    made = exact.typed(kind, said, name, file, False)
    # A text among numbers, or a number among texts, is another type.
    texts = kind not in ("BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE") and not (kind == "VARCHAR" and guessed in _PLAIN)
    other = f"starts_with({value}, '\"') <> {'TRUE' if texts else 'FALSE'}"
    return f"CASE WHEN {other} THEN {exact.refusal(file, name, kind, value)} ELSE {made} END"


_PLAIN = frozenset({"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE", "BOOLEAN"})
"""Guesses that stand for JSON numbers and booleans; as VARCHAR they keep every digit."""


def _declared(name: str, kind: str) -> str:
    value, file = quote(name), quote(FILE)
    if kind == "JSON":
        return f"CAST({value} AS JSON)"
    if not _is_nested(kind):
        return exact.typed(kind, f"({_said(name)})", name, file, True)
    made = f"TRY_CAST(CAST({value} AS JSON) AS {kind})"
    # Members that are NULL may be missing; everything else has to be there again.
    back, there = (
        f"CAST(json_merge_patch('{{}}', {each}) AS VARCHAR)" for each in (f"to_json({made})", f"CAST({value} AS JSON)")
    )
    same = f"CAST(to_json({made}) AS VARCHAR) = {value} OR {back} = {there}"
    return (
        f"CASE WHEN {value} IS NULL THEN NULL WHEN {same} THEN {made} ELSE {exact.refusal(file, name, kind, value)} END"
    )
