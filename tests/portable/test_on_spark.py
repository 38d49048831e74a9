"""The steps run by Spark SQL give what they give in DuckDB; pyspark is found as tests/fixtures/spark_server.py says."""

import json
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import AGGREGATE_FUNCTIONS
from dataflow_platform.engine import portable, step_functions, transform
from dataflow_platform.engine.portable.functions import status
from dataflow_platform.engine.portable.query import SETTINGS
from tests.fixtures import spark_server
from tests.portable.compared import sorted_rows
from tests.portable.examples import EXAMPLES
from tests.portable.pipelines import Pipeline, pipeline_of, steps_of
from tests.portable.rows import COLUMNS, Rows, rows_of, source
from tests.portable.test_functions import nasty_rows
from tests.portable.test_on_postgres import OTHER, OTHER_ROWS, TABLES, engine

PIPELINES = 200
COMMAND = spark_server.command() or pytest.skip("needs pyspark's spark-submit and Java", allow_module_level=True)


def both(pipeline: Pipeline, values: Rows) -> tuple[str, str | None]:
    """The query for Spark, and the rows DuckDB gives, None where it fails; ConfigError where a step does not hold."""
    connection = engine()
    steps = steps_of(pipeline)
    with step_functions.opened(connection) as functions:
        query = transform.compose(source(values, "duckdb"), COLUMNS, steps, None, functions, tables=TABLES)
    there = portable.translate(
        connection, query, COLUMNS, steps, source(values, "spark"), "spark", transform.by_position
    )
    try:
        return there.sql, repr(sorted_rows(connection.execute(query.sql).fetchall()))
    except duckdb.Error:
        return there.sql, None


def run_in_spark(queries: list[str], folder: Path) -> list[dict[str, str]]:
    """What Spark answers to each."""
    asked, answered = folder / "asked.json", folder / "answered.json"
    given_to = {"settings": SETTINGS["spark"], "other": source(OTHER_ROWS, "spark", OTHER), "queries": queries}
    asked.write_text(json.dumps(given_to))
    python = Path(COMMAND).with_name("python")
    script = Path(__file__).with_name("spark_rows.py")
    done = subprocess.run([python, script, asked, answered], cwd=folder, capture_output=True, text=True)
    assert answered.exists(), done.stderr[-2000:]
    found: list[dict[str, str]] = json.loads(answered.read_text())["answers"]
    return found


@pytest.mark.timeout(1200)  # Spark takes a second for a query
def test_pipelines_and_functions_give_the_same(tmp_path: Path) -> None:
    """Generated pipelines that hold in Spark, and each function that does over nasty rows."""
    made: list[tuple[Any, str, str | None]] = []
    refused: list[str] = []

    for seed in range(PIPELINES):
        chance = Random(seed)
        values, pipeline = rows_of(chance), pipeline_of(chance, COLUMNS, OTHER)
        try:
            made.append((pipeline, *both(pipeline, values)))
        except ConfigError as error:
            refused.append(error.what)
    holding = {name: EXAMPLES[name] for name in EXAMPLES if status(name, "spark") != "unsupported"}
    folded = {f"v_{name}": text for name, text in holding.items() if name in AGGREGATE_FUNCTIONS}
    derived = {f"v_{name}": text for name, text in holding.items() if name not in AGGREGATE_FUNCTIONS}
    functions: tuple[Pipeline, ...] = (
        [("aggregate", {"by": ["j"], "compute": folded})],
        [("derive", derived), ("select", list(derived))],
    )
    made += [(pipeline, *both(pipeline, nasty_rows())) for pipeline in functions]
    answers = run_in_spark([query for _, query, _ in made], tmp_path)
    wrong = [
        (pipeline, expected, answer) for (pipeline, _, expected), answer in zip(made, answers, strict=True)
        if answer.get("rows") != expected
    ]  # fmt: skip
    assert not wrong
    # Refused are those with upper(), nfc_normalize(), doubles rounded, texts cast and the like: most of them.
    assert len(made) >= PIPELINES // 5, refused
