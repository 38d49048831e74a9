"""Pipelines made by chance: steps over the columns that are there, of expressions of a wanted type."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from random import Random
from typing import Any

import duckdb
from pydantic import ValidationError

from dataflow_platform.core import registry
from dataflow_platform.core.base import Column, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import quote
from dataflow_platform.engine import step_functions, step_typing
from tests.portable.rows import TEXTS

_TEXT_CALLS = (
    "lower({t})", "upper({t})", "trim({t})", "ltrim({t}, 'a ')", "rtrim({t})", "left({t}, 2)", "right({t}, 3)",
    "substring({t}, 2, 2)", "lpad({t}, 4, 'xy')", "rpad({t}, 3, '-')", "replace({t}, 'a', 'é')", "repeat({t}, 2)",
    "translate({t}, 'ab', 'x')", "split_part({t}, ',', 2)", "nfc_normalize({t})", "md5({t})", "sha256({t})",
    "{t} || {t}", "concat({t}, {i}, {d}, {o})", "concat_ws('-', {t}, {p}, {m})", "coalesce({t}, '?')",
    "regexp_replace({t}, '[ab]+', '-', 'g')", "regexp_extract({t}, '[0-9]+')", "nullif({t}, 'a')",
    "greatest({t}, {t})", "least({t}, 'B')", "CASE WHEN {o} THEN {t} ELSE 'no' END", "CAST({i} AS VARCHAR)",
    "CAST({p} AS VARCHAR)", "CAST({d} AS VARCHAR)", "CAST({m} AS VARCHAR)", "CAST({o} AS VARCHAR)",
    "strftime({m}, '%Y-%m-%d %H:%M:%S')", "monthname({d})", "min({t}) OVER (PARTITION BY {o})",
    "CASE {t} WHEN 'a' THEN 'is a' WHEN 'A' THEN NULL ELSE {t} END",
)  # fmt: skip
_CALLS: dict[str, tuple[str, ...]] = {
    "t": _TEXT_CALLS,
    "i": (
        "({i} % 100) + ({i} % 100)", "({i} % 10) * ({i} % 10)", "{i} % {i}", "- ({i} % 50)", "abs({i} % 9)",
        "coalesce({i}, 0)",
        "nullif({i}, 0)", "greatest({i}, {i}, 0)", "least({i}, {i})", "CASE WHEN {o} THEN {i} END", "round({i}, 2)",
        "TRY_CAST({t} AS INTEGER)", "TRY_CAST({x} AS INTEGER)", "TRY_CAST({p} AS INTEGER)", "TRY_CAST({b} AS INTEGER)",
        "CAST({o} AS INTEGER)", "xor({i}, {i})", "({i} // 2)", "CAST('2.5' AS INTEGER)",
        "max({i}) OVER (PARTITION BY {t})",
        "lag({i}) OVER (ORDER BY {i} DESC)", "ascii({t})",
    ),
    "b": (
        "({b} // 3)", "{b} // {i}", "({b} % 1000) + {i}", "length({t})", "strlen({t})", "strpos({t}, 'a')", "year({d})",
        "month({m})", "dayofyear({d})", "dayofweek({d})", "isodow({m})", "week({d})", "isoyear({d})", "quarter({d})",
        "hour({m})", "minute({m})", "second({m})", "{d} - {d}", "date_diff('day', {d}, {m})",
        "date_diff('month', {m}, {d})", "date_diff('hour', {m}, {m})", "date_diff('second', {d}, {m})",
        "extract(year FROM {d})", "count(*) OVER (PARTITION BY {t})",
        "rank() OVER (ORDER BY {t}, {x} DESC NULLS FIRST)",
        "dense_rank() OVER (PARTITION BY {o} ORDER BY {t} DESC)", "TRY_CAST({x} AS BIGINT)", "TRY_CAST({t} AS BIGINT)",
        "CAST(round({p}) AS BIGINT)", "count({t}) OVER (ORDER BY {d})",
    ),
    "p": (
        "CAST({i} AS DECIMAL(9,2))", "TRY_CAST({q} AS DECIMAL(9,2))", "TRY_CAST({t} AS DECIMAL(9,2))",
        "TRY_CAST({x} AS DECIMAL(9,2))", "TRY_CAST({p} + {p} AS DECIMAL(9,2))", "TRY_CAST({p} * 3 AS DECIMAL(9,2))",
        "TRY_CAST({p} - {i} AS DECIMAL(9,2))", "abs({p})", "- {p}", "nullif({p}, 0)", "greatest({p}, {p})",
        "CASE WHEN {p} > {i} THEN {p} ELSE NULL END", "coalesce({p}, 0.5)", "TRY_CAST(round({p}, 1) AS DECIMAL(9,2))",
        "TRY_CAST(floor({p}) AS DECIMAL(9,2))", "TRY_CAST(ceil({p}) AS DECIMAL(9,2))",
        "TRY_CAST(trunc({p}) AS DECIMAL(9,2))",
        "TRY_CAST({p} % {p} AS DECIMAL(9,2))", "TRY_CAST(round({q}, 2) AS DECIMAL(9,2))",
    ),
    "x": (
        "{i} / {i}", "{p} / {q}", "{x} + {x}", "{x} - {i}", "{x} * 0.5", "{x} / abs({x})", "- {x}", "abs({x})",
        "floor({x})",
        "ceil({x})", "round({x})", "round({x}, 1)", "trunc({x})", "coalesce({x}, {i})", "greatest({x}, {x})",
        "least({x}, {i})", "CAST({p} AS DOUBLE)", "CASE WHEN {x} > {i} THEN {x} ELSE {p} END",
        "TRY_CAST({t} AS DOUBLE)",
        "avg({i}) OVER (PARTITION BY {o})", "sqrt(abs({i}))",
    ),
    "d": (
        "{d} + ({i} % 100)", "{d} - 5", "last_day({d})", "CAST({m} AS DATE)", "greatest({d}, {d})",
        "coalesce({d}, DATE '2020-02-29')",
        "CASE WHEN {o} THEN {d} END", "TRY_CAST({t} AS DATE)", "CAST(date_trunc('month', {d}) AS DATE)",
        "nullif({d}, {d})",
        "max({d}) OVER (PARTITION BY {t})",
    ),
    "m": (
        "date_trunc('month', {d})", "date_trunc('week', {m})", "date_trunc('hour', {m})", "{d} + INTERVAL 1 MONTH",
        "{m} - INTERVAL 2 HOUR", "{m} + to_days({i} % 50)", "CAST({d} AS TIMESTAMP)", "coalesce({m}, {m})",
        "least({m}, {d})", "TRY_CAST({t} AS TIMESTAMP)", "date_trunc('quarter', {m})",
    ),
    "o": (
        "{i} = {i}", "{i} < {p}", "{x} >= {i}", "{x} = {x}", "{t} = {t}", "{t} < {t}", "{t} >= 'a'", "{d} <= {m}",
        "{p} <> {q}",
        "{t} IS NULL", "NOT {o}", "{o} AND {i} > 0", "{o} OR {t} = 'a'", "{i} BETWEEN -5 AND 5",
        "{t} BETWEEN 'A' AND 'b'",
        "{i} IN (1, 2, NULL)", "{t} NOT IN ('a', 'é')", "{i} IS DISTINCT FROM {i}", "{t} IS NOT DISTINCT FROM {t}",
        "{x} IS NOT DISTINCT FROM {x}", "{t} LIKE '%a%'", "{t} LIKE {t}", "{t} ILIKE 'é%'", "{t} LIKE '\\_'",
        "contains({t}, {t})",
        "starts_with({t}, 'a')", "ends_with({t}, {t})", "regexp_matches({t}, '^[a-z]+$')",
        "regexp_matches({t}, '(a|ab)(b|\\d)')",
        "regexp_full_match({t}, '.*\\s?')", "isnan({x})", "isfinite({x})", "TRY_CAST({t} AS BOOLEAN)",
        "CAST({i} AS BOOLEAN)",
        "coalesce({o}, FALSE)", "{d} > '2024-01-01'", "bool_or({o}) OVER (PARTITION BY {t})", "{b} > {x}",
    ),
}  # fmt: skip
"""Expressions of each type: of i INTEGER, b BIGINT, p DECIMAL(9,2), q DECIMAL(12,4), x DOUBLE, t, d, m and o."""
_TYPES = {
    "i": "INTEGER", "b": "BIGINT", "p": "DECIMAL(9,2)", "q": "DECIMAL(12,4)", "x": "DOUBLE", "t": "VARCHAR",
    "d": "DATE", "m": "TIMESTAMP", "o": "BOOLEAN",
}  # fmt: skip
_CONSTANTS = {
    "i": "7", "b": "-3", "p": "2.50", "q": "1.0050", "x": "-1.5", "t": "'a'", "d": "'2024-02-29'",
    "m": "'2024-02-29 12:30:00'", "o": "TRUE",
}  # fmt: skip
"""What stands where there is no column of a type."""
_AGGREGATES = (
    "count(*)", "count({t})", "count(DISTINCT {t})", "count(DISTINCT {x})", "sum({i})", "sum({p})", "sum({b})",
    "avg({i})", "min({t})",
    "max({t})", "min({x})", "max({x})", "min({d})", "max({m})", "max({o})", "bool_and({o})", "count_if({o})",
    "sum({i}) FILTER (WHERE {o})", "sum({i}) / count(*)", "max({i}) - min({i})", "min({p})",
    "count(*) FILTER (WHERE {t} > 'a')",
    "coalesce(sum({p}), 0)",
)  # fmt: skip


def _of(columns: Sequence[Column], letter: str) -> list[str]:
    return [quote(column.name) for column in columns if column.type == _TYPES[letter]]


def expression(chance: Random, columns: Sequence[Column], letter: str, depth: int = 2, window: bool = True) -> str:
    """An expression of a type over ``columns``."""
    plain = _of(columns, letter)
    if depth == 0 or (plain and chance.randint(0, 3) == 0):
        return chance.choice(plain) if plain else f"CAST({_CONSTANTS[letter]} AS {_TYPES[letter]})"
    choice = [each for each in _CALLS.get(letter, ()) if window or " OVER " not in each]
    if not choice:
        return chance.choice(plain) if plain else f"CAST({_CONSTANTS[letter]} AS {_TYPES[letter]})"
    return _filled(chance, columns, chance.choice(choice), depth - 1)


def _filled(chance: Random, columns: Sequence[Column], template: str, depth: int) -> str:
    """The template with expressions; none of them looks along the rows where the template does."""
    parts, rest = "", template
    while "{" in rest:
        before, _, rest = rest.partition("{")
        letter, _, rest = rest.partition("}")
        inner = expression(chance, columns, letter, 0 if " OVER " in template else depth, window=False)
        parts += f"{before}({inner})"
    return parts + rest


def _names(columns: Sequence[Column], letters: str = "ibpqxtdmo") -> list[str]:
    return [column.name for column in columns if column.type in {_TYPES[letter] for letter in letters}]


def _some(chance: Random, names: Sequence[str], least: int = 1, most: int = 3) -> list[str]:
    return chance.sample(list(names), min(chance.randint(least, most), len(names)))


def _derive(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    names = [chance.choice([f"{fresh}{place}", columns[place % len(columns)].name]) for place in range(4)]
    return {name: expression(chance, columns, chance.choice("ttibpxdmoo"), 3) for name in dict.fromkeys(names)}


def _filter(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    return expression(chance, columns, "o", window=False)


def _filter_data(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    field = chance.choice(_names(columns, "it"))
    whole = _type(columns, field) == "INTEGER"
    value = chance.randint(-3, 3) if whole else chance.choice(["a", "A", "é", ""])
    operators = (
        ["eq", "ne", "gt", "lte"] if whole else ["eq", "ne", "lt", "gte", "contains", "starts_with", "ends_with"]
    )
    one = {"field": field, "operator": chance.choice(operators), "value": value}
    return chance.choice([one, {"not": one}, {"or": [one, {"field": field, "operator": "is_null"}]}])


def _type(columns: Sequence[Column], name: str) -> str:
    return next(column.type for column in columns if column.name == name)


def _cast(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    name = chance.choice(_names(columns, "ibptdmo"))
    to = {
        "INTEGER": ["bigint", "varchar", "double", "decimal(18,2)"], "BIGINT": ["varchar", "integer"],
        "DECIMAL(9,2)": ["varchar", "integer", "decimal(6,1)", "double"], "DATE": ["timestamp", "varchar"],
        "VARCHAR": ["integer", "decimal(9,2)", "date", "timestamp", "boolean", "double"],
        "TIMESTAMP": ["date", "varchar"], "BOOLEAN": ["integer", "varchar"],
    }[_type(columns, name)]  # fmt: skip
    return {name: {"type": chance.choice(to), "misfit": chance.choice(["null", "quarantine"])}}


def _clean(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    switches = {name: chance.random() < 0.5 for name in ("trim", "collapse", "nfc", "empty_as_null")}
    return {**switches, "case": chance.choice(["keep", "lower", "upper"])}


def _fill(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    text, number = _names(columns, "t"), _names(columns, "i")
    if text and chance.random() < 0.5:
        return {"columns": text[:1], "value": chance.choice(TEXTS)}
    if number and chance.random() < 0.5:
        return {"columns": number[:1], "statistic": chance.choice(["mean", "min", "max"])}
    return {"columns": (text + number)[:1], "statistic": "max", "by": [columns[-1].name]}


def _join(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    name = chance.choice(_names(columns, "ti"))
    key = "t" if _type(columns, name) == "VARCHAR" else "i"
    how = chance.choice(["left", "inner", "semi", "anti"])
    taken = {"columns": {"note": fresh}, "matches": "many"} if how in ("left", "inner") else {}
    return {"table": "side.other", "by": {name: key}, "how": how, **taken}


def _pivot(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    key, *by = _some(chance, _names(columns, "ti"), 2, 3)
    values = [0, 1, -7] if _type(columns, key) == "INTEGER" else ["b", "é", "Z_"]
    function = chance.choice(["count", "min", "max"])
    return {"by": by, "column": key, "values": values, "function": function, "of": columns[0].name}


def _one_hot(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    return {
        "column": chance.choice(_names(columns, "t")),
        "values": [f"v{fresh}", "a"],
        "keep": chance.random() < 0.5,
    }


def _ordinal(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    return {"column": chance.choice(_names(columns, "t")), "values": ["a", "A", "é"], "into": fresh}


def _bucket(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    return {"column": chance.choice(_names(columns, "ipx")), "bounds": [-1, 0.5, 7], "into": fresh}


def _merge(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    names = _some(chance, _names(columns, "ibtpdmo"), 2, 3)
    return {"columns": names, "separator": chance.choice(["", "-", "'"]), "into": fresh, "keep": True}


def _split(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    name = chance.choice(_names(columns, "t"))
    return {
        "column": name,
        "separator": chance.choice([",", "a", "-"]),
        "into": [fresh, f"{fresh}_"],
        "keep": True,
    }


def _deduplicate(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    names = _names(columns)
    down, nulls = chance.choice(["", " DESC"]), chance.choice(["", " NULLS FIRST"])
    return {"by": _some(chance, names), "order": f"{quote(chance.choice(names))}{down}{nulls}"}


def _aggregate(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    made = {
        f"{fresh}_{place}": _filled(chance, columns, chance.choice(_AGGREGATES), 1)
        for place in range(chance.randint(1, 3))
    }
    return {"by": _some(chance, _names(columns), 0, 2), "compute": made}


def _window(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    order, by = f"{quote(chance.choice(_names(columns)))}{chance.choice(['', ' DESC'])}", _some(chance, _names(columns))
    number, any_one = chance.choice(_names(columns, "i")), chance.choice(_names(columns))
    made = {
        f"{fresh}a": chance.choice(["rank", "dense_rank", "row_number", "percent_rank", "cume_dist"]),
        f"{fresh}b": {"function": chance.choice(["sum", "avg", "min", "count"]), "of": number, "rows": 3},
        f"{fresh}c": {"function": chance.choice(["lag", "lead"]), "of": any_one, "offset": 2},
        f"{fresh}d": {"function": chance.choice(["first_value", "last_value", "max"]), "of": any_one},
    }
    return {"by": by, "order": order, "columns": made}


def _sort(chance: Random, columns: Sequence[Column], fresh: str) -> Any:
    by = f"{quote(chance.choice(_names(columns)))}{chance.choice(['', ' DESC', ' DESC NULLS FIRST'])}"
    return {"by": by, "limit": chance.choice([None, 0, 7])}


_STEPS: dict[str, tuple[Callable[[Random, Sequence[Column], str], Any], str]] = {
    "derive": (_derive, ""), "filter": (_filter, ""), "filter ": (_filter_data, "it"), "cast": (_cast, "ibptdmo"),
    "clean": (_clean, "t"), "fill": (_fill, "ti"), "join": (_join, "ti"), "one_hot": (_one_hot, "t"),
    "ordinal": (_ordinal, "t"), "bucket": (_bucket, "ipx"), "merge_columns": (_merge, "tt"), "split_column": (_split,
    "t"),
    "deduplicate": (_deduplicate, ""), "aggregate": (_aggregate, ""), "pivot": (_pivot, "ti"),
    "select": (lambda chance, columns, fresh: _some(chance, [each.name for each in columns], 1, 9), ""),
    "drop": (lambda chance, columns, fresh: [columns[-1].name], ""),
    "rename": (lambda chance, columns, fresh: {columns[0].name: f'R "{fresh}" é'}, ""),
    "window": (_window, "i"), "sort": (_sort, ""),
    "union": (lambda chance, columns, fresh: "side.other", ""),
}  # fmt: skip
PORTABLE = frozenset(name.strip() for name in _STEPS)
Pipeline = list[tuple[str, Any]]


def pipeline_of(chance: Random, columns: Sequence[Column], other: Sequence[Column]) -> Pipeline:
    """Two to five steps, as YAML says them, that fit ``columns``; ``other`` are those of side.other."""
    made: Pipeline = []
    now = list(columns)
    for place in range(chance.randint(2, 5)):
        fitting = [
            name for name, (_, letters) in _STEPS.items()
            if not letters or len(_names(now, letters)) >= (2 if name in ("pivot", "merge_columns") else 1)
        ]  # fmt: skip
        name = chance.choice(fitting)
        step = (name.strip(), _STEPS[name][0](chance, now, f"n{place}"))
        try:
            now = shape([*made, step], columns, other)
        except (ConfigError, ValidationError):  # it does not fit: a column twice, rows judged before; others stand
            continue
        made.append(step)
    return made or [("select", [columns[0].name])]


def steps_of(pipeline: Pipeline) -> list[Transformation]:
    """The steps."""
    found: list[Transformation] = []
    for name, value in pipeline:
        cls: Any = registry.transformation(name)
        found.append(cls.model_validate(value))
    return found


_OPEN = ExitStack()


@cache
def _engines() -> tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]:
    """Those the steps of all pipelines are typed in: to open one takes longer than to type a step."""
    return _OPEN.enter_context(step_typing.locked_engine()), duckdb.connect(config={"threads": 1})


def shape(pipeline: Pipeline, columns: Sequence[Column], other: Sequence[Column]) -> list[Column]:
    """The columns behind the last step."""
    locked, engine = _engines()
    with step_functions.opened(engine, only_types=True) as functions:
        found = step_typing.typed(
            columns, steps_of(pipeline), {"side.other": other}, step_typing.by_position, functions, locked
        )
    return list(found.columns)
