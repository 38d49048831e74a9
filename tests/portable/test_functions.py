"""The table of functions: every function of the expression language has a status, and the status is what happens."""

import random
from collections.abc import Sequence
from typing import Any

import duckdb
import pytest

from dataflow_platform.core.base import Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import (
    AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS,
    SYNTAX_FUNCTIONS,
    WINDOW_FUNCTIONS,
    expression,
)
from dataflow_platform.core.transformation import EVERYWHERE, Dialect
from dataflow_platform.engine import portable, step_functions, transform
from dataflow_platform.engine.portable.functions import ALIASES, FUNCTIONS, status
from tests.portable.examples import EXAMPLES, OPERATORS
from tests.portable.pipelines import Pipeline, steps_of
from tests.portable.rows import COLUMNS, TEXTS, Rows
from tests.portable.test_on_postgres import engine, postgres, run_both

__all__ = ["postgres"]
KNOWN = SCALAR_FUNCTIONS | AGGREGATE_FUNCTIONS | WINDOW_FUNCTIONS | SYNTAX_FUNCTIONS


def example(name: str) -> str:
    """The example of a function, called by the name given."""
    canonical = ALIASES.get(name, name)
    if name == "position":
        return "position('a' IN t)"
    return EXAMPLES[canonical].replace(f"{canonical}(", f"{name}(")


def nasty_rows() -> Rows:
    """A row for each text, the other columns by chance, always the same."""
    chance = random.Random(5)
    pools: list[list[Any]] = [
        [None, 0, 1, -1, 7, -7, 40], [None, 0, 2, -3], [None, 0, 5, 2**53 + 1], [None, "0.00", "-2.50", "0.05",
        "12.35"],
        [None, "1.0050", "-0.5000"], [None, 0.5, -2.5, float("nan"), float("inf"), 100.0], [None, 1.5, 0.0],
        list(TEXTS),
        [None, *TEXTS], [None, "2024-02-29", "1969-12-31", "2021-01-03", "1900-03-01"],
        [None, "2024-03-10 02:30:00", "1969-12-31 23:59:59.5", "2023-12-31 12:00:00"], [None, True, False],
    ]  # fmt: skip
    return [tuple(text if at == 7 else chance.choice(pool) for at, pool in enumerate(pools)) for text in (None, *TEXTS)]


def test_every_function_has_a_status_and_nothing_else_is_in_the_table() -> None:
    statuses = {status(name, dialect) for name in KNOWN for dialect in EVERYWHERE}
    assert statuses == {"same", "rewritten", "unsupported"}
    assert set(FUNCTIONS) | set(ALIASES) <= KNOWN
    assert set(EXAMPLES) == set(FUNCTIONS) | {"nullif", "date_part"}


def _pipeline(name: str) -> Pipeline:
    if ALIASES.get(name, name) in AGGREGATE_FUNCTIONS:
        return [("aggregate", {"by": ["j"], "compute": {"v": example(name)}})]
    return [("derive", {"v": example(name)})]


def _refusal(query: transform.Query, steps: Sequence[Transformation], dialect: Dialect) -> ConfigError | None:
    try:
        portable.translate(engine(), query, COLUMNS, steps, "SELECT 1", dialect, transform.by_position)
    except ConfigError as error:
        return error
    return None


def test_what_is_said_to_hold_is_written_and_what_is_not_is_refused() -> None:
    wrong = []
    for name in sorted(KNOWN & (set(EXAMPLES) | set(ALIASES))):
        steps = steps_of(_pipeline(name))
        with step_functions.opened(engine()) as functions:
            query = transform.compose("SELECT 1", COLUMNS, steps, None, functions)
        for dialect in EVERYWHERE[1:]:
            error = _refusal(query, steps, dialect)
            if error is not None:
                assert error.fix.startswith("nearest: ")
                assert str(error.where).startswith("transform[0]")
            if (error is None) != (status(name, dialect) != "unsupported"):
                wrong.append((name, dialect, str(error)))
    assert not wrong


def test_each_gives_in_postgres_what_it_gives_in_duckdb(postgres: Any) -> None:
    values = nasty_rows()
    tried = [name for name in EXAMPLES if status(name, "postgres") != "unsupported"]
    folded = [name for name in tried if name in AGGREGATE_FUNCTIONS and " OVER " not in EXAMPLES[name]]
    compute = {f"v_{name}": EXAMPLES[name] for name in folded}
    assert run_both(postgres, [("aggregate", {"by": ["j"], "compute": compute})], values) is None
    derived = {f"v_{name}": EXAMPLES[name] for name in tried if name not in folded}
    assert run_both(postgres, [("derive", derived)], values) is None
    assert len(tried) == len(EXAMPLES) - 1  # all but sha1


def test_operators_give_in_postgres_what_they_give_in_duckdb(postgres: Any) -> None:
    derived = {f"v_{place}": text for place, text in enumerate(OPERATORS)}
    assert run_both(postgres, [("derive", derived)], nasty_rows()) is None


def test_a_function_nobody_wrote_down_is_refused() -> None:
    with duckdb.connect() as connection:
        for name in sorted(KNOWN):
            assert status(name, "postgres") == "unsupported" or name in {*EXAMPLES, *ALIASES}
        steps = steps_of([("derive", {"v": expression("reverse(t)")})])
        with step_functions.opened(connection) as functions:
            query = transform.compose("SELECT 1", COLUMNS, steps, None, functions)
        with pytest.raises(ConfigError) as caught:
            portable.translate(connection, query, COLUMNS, steps, "SELECT 1", "postgres", transform.by_position)
    assert caught.value.what == "step derive: reverse(VARCHAR) does not hold in postgres"
    assert caught.value.fix == "nearest: left() and right()"


@pytest.mark.parametrize("text", ["infinity", " -inf", "Epoch", "-44-3-15", "2024-01-05 (BC)", "123456-01-05", "0-1-1"])
def test_a_date_only_duckdb_knows_fails_and_is_not_read_as_another(postgres: Any, text: str) -> None:
    import psycopg2

    values: Rows = [tuple(text if column.name == "t" else None for column in COLUMNS)]
    with pytest.raises(psycopg2.errors.DataError, match="no date: "):
        run_both(postgres, [("derive", {"v": "TRY_CAST(t AS DATE)"})], values)
