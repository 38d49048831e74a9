"""The written queries: read back by sqlglot in their dialect, some to the letter, and refusals with their place."""

import re
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from dataflow_platform.core.base import Column, Transformation
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.expression import AGGREGATE_FUNCTIONS
from dataflow_platform.core.transformation import EVERYWHERE, Dialect
from dataflow_platform.engine import portable, step_functions, transform
from dataflow_platform.engine.portable.functions import status
from tests.portable.examples import EXAMPLES
from tests.portable.pipelines import Pipeline, steps_of
from tests.portable.rows import COLUMNS
from tests.portable.test_on_postgres import engine

OTHERS = [dialect for dialect in EVERYWHERE if dialect != "duckdb"]
ORDERS = (Column("id", "INTEGER"), Column("name", "VARCHAR"), Column("price", "DECIMAL(9,2)"))


def at_line(position: int) -> Location:
    """Where the steps of these pipelines stand."""
    return Location("orders.yaml", 10 + position, f"transform[{position}]")


def written(pipeline: Pipeline, dialect: Dialect, columns: Any = COLUMNS) -> portable.Translation:
    """The pipeline over a table called `orders`."""
    return translated(steps_of(pipeline), dialect, columns)


def translated(steps: list[Transformation], dialect: Dialect, columns: Any = COLUMNS) -> portable.Translation:
    """The steps over a table called `orders`."""
    table = portable.identifier("orders", dialect)
    with step_functions.opened(engine()) as functions:
        query = transform.compose("SELECT 1", columns, steps, None, functions)
    source = portable.source_of(columns, table, dialect)
    return portable.translate(engine(), query, columns, steps, source, dialect, at_line)


def refusal(pipeline: Pipeline, dialect: Dialect) -> str:
    """What the pipeline is refused with."""
    with pytest.raises(ConfigError) as caught:
        written(pipeline, dialect)
    return str(caught.value)


SHOP: Pipeline = [
    ("derive", {"unit": "price / id", "name": "coalesce(name, 'it''s \\')"}),
    ("deduplicate", {"by": "name", "order": "id desc"}),
]
SHOP_IN: dict[Dialect, str] = {
    "postgres": """\
WITH step_0 AS (SELECT "id", "name" COLLATE "C" AS "name", "price" FROM (SELECT "id", "name", "price" FROM "orders") AS rows_),
step_1 AS (SELECT "id" AS "id", coalesce("name", 'it''s \\') AS "name", "price" AS "price", (CASE WHEN CAST("id" AS double precision) = 0 THEN CAST("price" AS double precision) * CAST('Infinity' AS double precision) ELSE CAST("price" AS double precision) / CAST("id" AS double precision) END) AS "unit" FROM step_0 AS "input"),
step_2 AS (SELECT "id", "name", "price", "unit" FROM (SELECT "id" AS "id", "name" AS "name", "price" AS "price", "unit" AS "unit", (CAST(row_number() OVER (PARTITION BY ("name" COLLATE "C") ORDER BY "id" DESC NULLS LAST, "id" ASC NULLS LAST, "price" ASC NULLS LAST, "unit" ASC NULLS LAST) AS bigint) = CAST(1 AS bigint)) AS "_dataflow_kept" FROM step_1 AS "input") AS qualified_ WHERE "_dataflow_kept")
SELECT "id", "name", "price", "unit" FROM step_2""",  # noqa: E501
    "spark": """\
WITH step_0 AS (SELECT `id`, `name`, `price` FROM `orders`),
step_1 AS (SELECT `id` AS `id`, coalesce(`name`, 'it\\'s \\\\') AS `name`, `price` AS `price`, (CASE WHEN CAST(`id` AS DOUBLE) = 0 THEN CAST(`price` AS DOUBLE) * CAST('Infinity' AS DOUBLE) ELSE CAST(`price` AS DOUBLE) / CAST(`id` AS DOUBLE) END) AS `unit` FROM step_0 AS `input`),
step_2 AS (SELECT `id`, `name`, `price`, `unit` FROM (SELECT `id` AS `id`, `name` AS `name`, `price` AS `price`, `unit` AS `unit`, (CAST(row_number() OVER (PARTITION BY `name` ORDER BY `id` DESC NULLS LAST, `id` ASC NULLS LAST, `price` ASC NULLS LAST, `unit` ASC NULLS LAST) AS BIGINT) = CAST(1 AS BIGINT)) AS `_dataflow_kept` FROM step_1 AS `input`) AS qualified_ WHERE `_dataflow_kept`)
SELECT `id`, `name`, `price`, `unit` FROM step_2""",  # noqa: E501
}


@pytest.mark.parametrize("dialect", sorted(SHOP_IN))
def test_a_query_to_the_letter(dialect: Dialect) -> None:
    assert written(SHOP, dialect, ORDERS).sql == SHOP_IN[dialect]


def test_constants_are_those_of_the_dialect() -> None:
    """A decimal constant is a FLOAT64 in BigQuery and a numeric in PostgreSQL: the type is said outright."""
    made = {each: written([("derive", {"v": "1.50"})], each, ORDERS).steps[1] for each in OTHERS}
    assert [re.findall(r"CAST\(.*?\)\)", text)[0] for text in made.values()] == [
        "CAST(1.50 AS numeric(3, 2))", "CAST(1.50 AS DECIMAL(3, 2))", "CAST(1.50 AS NUMBER(3, 2))",
        "CAST('1.50' AS BIGNUMERIC(3, 2))",
    ]  # fmt: skip


@pytest.mark.parametrize("dialect", OTHERS)
def test_what_is_written_is_read_by_sqlglot_in_the_dialect(dialect: Dialect) -> None:
    """All functions that hold in one step, and the steps; what is read back has as many steps and columns."""
    holding = {f"v_{name}": text for name, text in EXAMPLES.items() if status(name, dialect) != "unsupported"}
    folded = {name: text for name, text in holding.items() if name.removeprefix("v_") in AGGREGATE_FUNCTIONS}
    derived = {name: text for name, text in holding.items() if name not in folded}
    pipelines: tuple[Pipeline, ...] = (
        [("derive", derived), ("select", list(derived))], [("aggregate", {"compute": folded}), ("select", list(folded))]
    )  # fmt: skip
    for pipeline in pipelines:
        tree = sqlglot.parse_one(written(pipeline, dialect).sql, read=dialect)
        assert tree.named_selects == list(pipeline[0][1].get("compute", pipeline[0][1]))
        assert len(tree.find(exp.With).expressions) == 3  # type: ignore[union-attr]
    tree = sqlglot.parse_one(written(SHOP, dialect, ORDERS).sql, read=dialect)
    assert tree.named_selects == ["id", "name", "price", "unit"]


def test_duckdb_gets_the_query_as_it_is() -> None:
    made = written(SHOP, "duckdb", ORDERS)
    assert made.sql.startswith("WITH step_0 AS (SELECT 1)")
    assert made.settings == ()


REFUSED: list[tuple[Pipeline, Dialect, str]] = [
    ([("select", ["t"]), ("sample", 10)], "postgres",
     "[portable.step] the step sample does not hold in postgres, it does in duckdb\n  at orders.yaml:11 transform[1]\n"
     "  fix: nearest: a filter on a column of numbers"),
    ([("derive", {"v": "reverse(t)"})], "postgres",
     "[portable.unsupported] step derive: reverse(VARCHAR) does not hold in postgres\n"
     "  at orders.yaml:10 transform[0]\n  fix: nearest: left() and right()"),
    ([("derive", {"v": "upper(t)"})], "spark", "step derive: upper(VARCHAR) does not hold in spark"),
    ([("cast", {"t": "date"})], "bigquery", "step cast: a cast of VARCHAR to DATE does not hold in bigquery"),
    ([("cast", {"x": "varchar"})], "postgres", "step cast: a cast of DOUBLE to VARCHAR does not hold in postgres"),
    ([("derive", {"v": "t || x"})], "postgres", "a cast of DOUBLE to VARCHAR does not hold"),
    ([("derive", {"v": "t LIKE u"})], "snowflake", "LIKE with a backslash, or with what is no constant"),
    ([("filter", "regexp_matches(t, 'a*?b')")], "postgres", "a repetition of a repetition, or of nothing"),
    ([("filter", "regexp_matches(t, '\\bword')")], "postgres", "\\b has not one meaning"),
    ([("derive", {"v": "regexp_replace(t, 'a?(ab)?', 'x', 'g')"})], "postgres", "where the text of the match counts"),
    ([("derive", {"v": "left(t, i)"})], "postgres", "left(VARCHAR, INTEGER): an argument that has to be a constant"),
    ([("derive", {"v": "x // 2"})], "postgres", "// or % that gives DOUBLE"),
    ([("derive", {"v": "[i, j]"})], "postgres", "does not hold in postgres"),
    ([("derive", {"v": "m - m"})], "postgres", "an interval as a value"),
    ([("derive", {"v": "d = t"})], "postgres", "comparing DATE with VARCHAR"),
    ([("rename", {"t": "x" * 64})], "postgres", "is cut at 63 bytes in postgres"),
    ([("aggregate", {"compute": {"v": "sum(i) FILTER (WHERE o)"}})], "bigquery", "FILTER (WHERE ...) does not hold"),
    ([("window", {"order": "m", "columns": {"s": {"function": "session", "of": "m", "gap": "interval 1 hour"}}})],
     "postgres", "step window: * in a query does not hold"),
    ([("deduplicate", {"by": "o", "similar": {"columns": ["t"]}})], "postgres", "step deduplicate: * in a query"),
    ([("sql", "SELECT i FROM input")], "postgres", "the step sql does not hold in postgres, it does in duckdb"),
    ([("fill", {"columns": ["i"], "from_row": "previous", "order": "d"})], "postgres", "step fill: IGNORE NULLS"),
]  # fmt: skip


@pytest.mark.parametrize(("pipeline", "dialect", "said"), REFUSED)
def test_what_does_not_hold_is_refused_with_step_place_and_nearest(
    pipeline: Pipeline, dialect: Dialect, said: str
) -> None:
    text = refusal(pipeline, dialect)
    assert said in text
    assert "at orders.yaml:1" in text
    assert "fix: nearest: " in text
    assert dialect in text
