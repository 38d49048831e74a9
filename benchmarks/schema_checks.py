"""What 25 rules of a Pandera schema cost: our pass, the same by hand in SQL, and Pandera itself on polars and on Ibis.

Run it by ``python -m benchmarks.schema_checks --rows 50000000``. All read one Parquet file and count the rows that
break each rule. ``--ibis`` names the Python of an environment with ``pandera[ibis]`` and ``ibis-framework[duckdb]``,
which is none of the project's.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import duckdb
import pandera.polars as pp
import polars as pl

from benchmarks.measure import Measured, measure, measure_command
from benchmarks.schema_rules import BOUNDS, COUNTRIES, columns
from dataflow_platform.checks.pandera import Pandera
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Column, Table
from dataflow_platform.engine import validate

ENGINE_MB = 256
"""What the engine may hold; the rest of a process is Python and its libraries."""
OURS, HAND, POLARS, IBIS = "a Pandera schema, our pass", "SQL by hand", "pandera.polars", "pandera.ibis"
schema = pp.DataFrameSchema(columns(pp), name="orders")


def by_us(file: str) -> None:
    """The schema as the engine runs it over the rows of the file: the verdict of every rule."""
    check = Pandera.model_validate({"schema": "benchmarks.schema_checks:schema"})
    session = DuckDB(path=f"{file}.duckdb", memory_limit=f"{ENGINE_MB}MB").session()
    try:
        described = session.in_engine(f"DESCRIBE FROM read_parquet('{file}')")
        rules = check.rules([Column(name, kind) for name, kind, *_ in described])
        judged = validate.with_masks(f"SELECT * FROM read_parquet('{file}')", rules)
        session.in_engine(f"CREATE TEMP VIEW staged_rows AS {judged}")
        verdicts = validate.judge(session, Table("temp", "staged_rows"), rules, 0)
        _tell(file, [verdict.failing for verdict in verdicts if verdict.rule.violation is not None])
    finally:
        session.close()


def by_hand(file: str) -> None:
    """The same rules as one SELECT."""
    rules = [
        *(f"{name} IS NULL" for name in columns(pp)),
        "id < 0", "id >= 1000000000000", "amount < 0 OR amount > 990", "amount = 13", "quantity < 0", "quantity > 48",
        "quantity IN (7)", "NOT regexp_matches(code, '^[A-Z]{2}[0-9]+')", "length(code) < 3 OR length(code) > 12",
        "NOT ends_with(code, 'X')", f"country NOT IN ({', '.join(map(repr, COUNTRIES))})", "length(country) <> 2",
        "day < DATE '2020-01-01'", "day > DATE '2026-12-30'",
        f"changed < TIMESTAMP '{BOUNDS[0]}' OR changed > TIMESTAMP '{BOUNDS[1]}'",
        "NOT starts_with(name, 'customer')", "name = 'customer 5'",
    ]  # fmt: skip
    counts = ", ".join(f"count(*) FILTER (WHERE {rule})" for rule in rules)
    with duckdb.connect(config={"memory_limit": f"{ENGINE_MB}MB"}) as connection:
        _tell(file, list(connection.execute(f"SELECT {counts} FROM read_parquet('{file}')").fetchall()[0]))


def by_polars(file: str) -> None:
    """Pandera on a frame of polars: all rows in memory."""
    try:
        schema.validate(pl.read_parquet(file), lazy=True)
    except pp.errors.SchemaErrors as errors:
        _tell(file, [len(error.failure_cases) for error in errors.schema_errors])


def _tell(file: str, failing: list[int]) -> None:
    Path(f"{file}.told").write_text(f"{sum(failing):,} failures of {sum(map(bool, failing))} rules")


def write_rows(file: Path, rows: int) -> None:
    """The table: some 1 in 100 rows breaks a rule."""
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            "COPY (SELECT i AS id, CAST(i * 7919 % 100000 AS DOUBLE) / 100 AS amount, CAST(i % 50 AS INTEGER) AS "
            f"quantity, 'AB' || (i % 9973) || 'X' AS code, {COUNTRIES}[1 + i % 8] AS country, DATE '2020-01-01' + "
            "CAST(i % 2556 AS INTEGER) AS day, TIMESTAMP '2024-01-01' + to_seconds(i) AS changed, 'customer ' || i AS "
            f"name FROM range({rows}) AS r(i)) TO '{file}'"
        )


def run(rows: int, rounds: int, ibis: str | None = None) -> str:
    """Measure and return a Markdown table; Pandera's own ways run once, they take long."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-"))
    try:
        file = folder / "rows.parquet"
        write_rows(file, rows)
        found: dict[str, list[Measured]] = {}
        told: dict[str, str] = {}
        for number in range(rounds):
            for way, work in ((HAND, by_hand), (OURS, by_us), *(((POLARS, by_polars),) if not number else ())):
                found.setdefault(way, []).append(measure(work, str(file)))
                told[way] = Path(f"{file}.told").read_text()
        if ibis:
            words = [ibis, "-m", "benchmarks.schema_checks_ibis", str(file)]
            root = str(Path(__file__).parent.parent)
            measure_command(words, {"PYTHONPATH": root}, folder)
            answer = json.loads(Path(f"{file}.ibis").read_text())
            found[IBIS], told[IBIS] = [Measured(*answer["took"])], answer["told"]
        return f"{rows:,} rows.\n\n{_table(found, told)}"
    finally:
        shutil.rmtree(folder)


def _table(found: dict[str, list[Measured]], told: dict[str, str]) -> str:
    least = min(run.cpu for run in found[HAND])
    lines = ["| way | wall s | CPU s | peak MB | CPU, to SQL by hand | found |", "|---|---|---|---|---|---|"]
    for way, runs in found.items():
        best = min(runs, key=lambda run: run.cpu)
        lines.append(
            f"| {way} | {best.wall:.1f} | {best.cpu:.1f} | {max(run.peak for run in runs):.0f} "
            f"| {best.cpu / least:.2f} | {told[way]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ibis", help="the Python of an environment with pandera.ibis")
    options = parser.parse_args()
    begun = time.perf_counter()
    print(run(options.rows, options.rounds, options.ibis))
    print(f"took {time.perf_counter() - begun:.0f} s")
