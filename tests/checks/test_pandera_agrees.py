"""The rows that the compiled rules find are those that Pandera finds, over generated schemas and data, both flavours.

Deliberate differences are those of ``DIFFERENCES``; ``docs/decisions/0035-pandera-compiled.md`` says why.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
import pandera.pandas as pa
import pandera.polars as pp
import pytest
from hypothesis import HealthCheck, given, settings

from dataflow_platform.checks.pandera.check import Pandera
from dataflow_platform.checks.pandera.declared import declared
from dataflow_platform.core.base import Column, Rule
from dataflow_platform.engine import step_functions, validate
from tests.checks import schemas
from tests.checks.generated_schemas import KINDS, NOT_OF_POLARS, PATTERNS, TELLING, Case, Key, cases, pandera_finds

WORDS = {
    "not_null": "not_nullable", "unique": "field_uniqueness", "dtype": "dtype", "coerce": "coerce_dtype",
    "columns": "column_in_schema", "order": "column_ordered",
}  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """One engine for all cases: opening one costs more than a case."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET threads = 1")
        yield connection


def keyed(made: Pandera) -> list[Key]:
    """The rules' keys, in Pandera's words."""
    keys: list[Key] = []
    counted: dict[str | None, int] = {}
    for part in made._parts(declared(made.schema_path)):
        column = part.column
        if part.label.startswith("unique_") and column is None:
            keys.append((None, "multiple_fields_uniqueness"))
        elif part.label in WORDS:
            keys.append((column, WORDS[part.label]))
        elif part.label == "present":
            keys.append((column, "present"))
        else:
            keys.append((column, counted.get(column, 0)))
            counted[column] = counted.get(column, 0) + 1
    return keys


def we_find(engine: duckdb.DuckDBPyConnection, case: Case) -> dict[Key, tuple[int, list[int] | None]]:
    """What fails: how many, and the numbers of the rows where the rule tells them."""
    schemas.generated = case.schema  # type: ignore[attr-defined]
    made = Pandera.model_validate({"schema": "tests.checks.schemas:generated"})
    table = case.table()
    engine.register("given", table)
    engine.execute("CREATE OR REPLACE TABLE staged AS SELECT * FROM given")
    engine.unregister("given")
    described = engine.execute("DESCRIBE staged").fetchall()
    rules = made.rules([Column(name, kind) for name, kind, *_ in described if name != "_row"])
    with step_functions.opened(engine) as functions:
        functions.add_rules(rules)
        return _judged(engine, dict(zip(keyed(made), rules, strict=True)))


def _judged(engine: duckdb.DuckDBPyConnection, rules: dict[Key, Rule]) -> dict[Key, tuple[int, list[int] | None]]:
    found: dict[Key, tuple[int, list[int] | None]] = {}
    judged = validate.row_rules(list(rules.values()))
    marked = f"SELECT * FROM ({validate.with_masks('SELECT * FROM staged', judged)}) ORDER BY _row"
    rows = engine.execute(
        f"SELECT _row{''.join(', ' + name for name in validate.mask_columns(judged))} FROM ({marked})"
    )
    masks = rows.fetchall()
    for key, rule in rules.items():
        if rule.violation is not None:
            place = [id(each) for each in judged].index(id(rule))
            bad = [row[0] for row in masks if row[1 + place // 62] >> (place % 62) & 1]
            found[key] = (len(bad), bad)
        if rule.verdict is not None:
            ((count, _),) = engine.execute(rule.verdict).fetchall()
            breaking = f"SELECT _row FROM ({rule.rows}) ORDER BY _row" if rule.rows else ""
            found[key] = (count, [row for (row,) in engine.execute(breaking).fetchall()] if breaking else None)
        for code in rule.code:
            if code.needs_all():
                found[key] = (code.decide(engine.sql(code.takes).to_arrow_reader(3)).failing, None)
            if code.broken:
                found[key] = (-1, None)
    return {key: value for key, value in found.items() if value[0]}


DIFFERENCES = {
    "a value that cannot be coerced": "fails the rule `coerce`, and no other looks at it; Pandera leaves the whole "
    "column as it came, calls its type wrong, and its checks on it fail as such",
    "columns": "unknown columns and their order are two rules; pandera.polars stops at the first of both",
    "duplicates": "rows without a value are told like others; pandera.pandas leaves them out of its list",
    "exclude_first": "rows have no order, so it is not said which row of a key is the first; their number is the same",
    "width": "int64 is any integer and float64 any float; `coerce` looks at the width of integers",
    "gaps": "a nullable float takes integers, and a pandas timestamp takes dates; that is what pandas makes of them",
    "pd.NA": "with ignore_na=False a missing value fails whatever its type; in pandas' Int64 it depends on the others",
    "lossless": "'1.5' and 1.5 are no int, 7 and 'abc' no bool; pandas and polars cut and guess",
    "absent": "a required column that is not there stops the load before it reads; Pandera reports it",
    "unique on absent columns": "refused; Pandera leaves them out of the key",
    "flags": "n_failure_cases, unique_column_names, title and metadata change no verdict",
}
"""What we answer otherwise on purpose."""


def compared(case: Case, ours: dict[Key, Any], theirs: dict[Key, Any]) -> Iterator[str]:
    """Where the two differ, in words."""
    unread = {column for column, what in ours if what == "coerce_dtype"}
    shape = {(None, "column_ordered"), (None, "column_in_schema")}
    for key in {*ours, *theirs}:
        if key[0] in unread and key[1] != "coerce_dtype":
            continue  # DIFFERENCES: a value that cannot be coerced
        if case.flavour == "polars" and key in shape and shape & {*theirs}:
            continue  # DIFFERENCES: columns
        if key not in theirs:
            yield f"{key}: only we find {ours[key]}"
        elif key not in ours:
            yield f"{key}: only Pandera finds {theirs[key]}"
        elif ours[key][1] is not None and theirs[key] is not None:
            mine, others = _listed_alike(case, key, ours[key][1], theirs[key])
            if mine != others:
                yield f"{key}: we find {mine}, Pandera {others}"


def _listed_alike(case: Case, key: Key, ours: list[int], theirs: list[int]) -> tuple[Any, Any]:
    """The two lists of rows without the differences on purpose that are about what is listed."""
    column, what = key
    if case.flavour == "polars" or what not in ("field_uniqueness", "multiple_fields_uniqueness"):
        return ours, theirs
    names = case.schema.unique if column is None else [column]
    reported = case.schema if column is None else case.column(column)

    def values(row: int) -> list[Any]:
        return [case.filled(name, row) for name in names]

    ours = [row for row in ours if any(cell is not None for cell in values(row))]
    if reported.report_duplicates == "all":
        return ours, theirs
    return sorted(str(values(row)) for row in ours), sorted(str(values(row)) for row in theirs)


@pytest.mark.parametrize("flavour", ["pandas", "polars"])
def test_generated_schemas_break_on_the_same_rows(engine: duckdb.DuckDBPyConnection, flavour: Any) -> None:
    failed: list[int] = []

    @settings(max_examples=260, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(cases(flavour))
    def agree(case: Case) -> None:
        ours = we_find(engine, case)
        failed.append(len(ours))
        differ = list(compared(case, ours, pandera_finds(case)))
        assert not differ, (differ, case)

    agree()
    # The cases are worth something: about three in four break a rule, and some break several.
    assert sum(map(bool, failed)) > 150
    assert sum(failed) > 300


TEXTS = [
    *TELLING,
    "",
    "a",
    "b",
    "\n",
    "a\nb",
    "Nb",
    "xN1",
    "a1 ",
    "_ _",
    "ab1\n",
    "\tb",
    "KK",
    "k",
    "S",
    "é",
    "-",
    None,
]


@pytest.mark.parametrize("flavour", ["pandas", "polars"])
@pytest.mark.parametrize("operation", ["str_matches", "str_contains"])
def test_every_pattern_on_every_text(engine: duckdb.DuckDBPyConnection, flavour: Any, operation: str) -> None:
    # Each pattern is a check of one column, so that 22 patterns cost one case.
    known = [pattern for pattern in PATTERNS if flavour == "pandas" or pattern not in NOT_OF_POLARS]
    checks = [getattr(pa.Check, operation)(pattern) for pattern in known]
    alike(engine, flavour, "text", TEXTS, checks)


NUMBERS = [-1.0, -0.0, 0.0, 0.5, 1.0, float("nan"), float("inf"), float("-inf"), None]


@pytest.mark.parametrize("flavour", ["pandas", "polars"])
def test_every_comparison_on_every_number(engine: duckdb.DuckDBPyConnection, flavour: Any) -> None:
    checks = [
        getattr(pa.Check, name)(bound, ignore_na=ignored)
        for name in ("eq", "ne", "gt", "ge", "lt", "le")
        for bound in (0.0, 1.0)
        for ignored in (True, False)
    ]
    ranges = [
        pa.Check.in_range(0.0, 1.0, include_min=low, include_max=high, ignore_na=ignored)
        for low in (True, False) for high in (True, False) for ignored in (True, False)
    ]  # fmt: skip
    listed = [
        getattr(pa.Check, name)([0.0, 0.5], ignore_na=ignored)
        for name in ("isin", "notin")
        for ignored in (True, False)
    ]
    alike(engine, flavour, "float", NUMBERS, [*checks, *ranges, *listed])


@pytest.mark.parametrize("flavour", ["pandas", "polars"])
@pytest.mark.parametrize("default", [None, 1.0])
@pytest.mark.parametrize("values", [[float("nan"), None], [float("nan"), 1.0], [None, 1.0], [0.0, -0.0], [None, None]])
def test_what_is_a_duplicate(engine: duckdb.DuckDBPyConnection, flavour: Any, default: Any, values: list[Any]) -> None:
    # To pandas NaN and a missing value are one, to polars two; the default takes the place of both.
    module: Any = pa if flavour == "pandas" else pp
    schema = module.DataFrameSchema({"x": module.Column(float, unique=True, nullable=True, default=default)})
    case = Case(flavour, schema, {"x": values}, {"x": KINDS["float"]})
    assert list(compared(case, we_find(engine, case), pandera_finds(case))) == []


def alike(engine: duckdb.DuckDBPyConnection, flavour: Any, kind: str, values: list[Any], checks: list[Any]) -> None:
    """Assert that ``checks`` on one column find the same rows of ``values``."""
    module: Any = pa if flavour == "pandas" else pp
    schema = module.DataFrameSchema({"x": module.Column(checks=checks, nullable=True)})
    case = Case(flavour, schema, {"x": values}, {"x": KINDS[kind]})
    ours = we_find(engine, case)
    assert list(compared(case, ours, pandera_finds(case))) == []
    # All but one find something: every text contains a match of `[ab]*$`.
    assert len(ours) >= len(checks) - 1
