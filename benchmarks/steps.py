"""What transformations cost: a chain of steps beside the same SQL by hand, and steps over all rows that have to spill.

Run it by ``python -m benchmarks.steps --rows 6000000 --large 60000000``. Both ways read a Parquet file, write a new
table of a DuckDB file with 512 MB for the engine, and commit once.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import Measured, measure
from benchmarks.parquet import Parquet, ParquetOptions
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import registry
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.replace import Replace

Steps = list[dict[str, Any]]
HAND, STEPS, NOTHING = "by hand", "steps", "no rows, no steps"
CHAINS: dict[str, tuple[Steps, str]] = {
    "derive, filter, cast, select": (
        [
            {"derive": {"total": "round(amount * quantity, 2)", "year": "year(day)"}},
            {"filter": "active OR quantity > 10"},
            {"cast": {"year": "smallint"}},
            {"select": ["id", "name", "city", "total", "year"]},
        ],
        "SELECT id, name, city, round(amount * quantity, 2) AS total, CAST(year(day) AS SMALLINT) AS year "
        "FROM {rows} WHERE active OR quantity > 10",
    ),
    "clean, fill, bucket, one_hot, rename": (
        [
            {"clean": {"columns": ["city"], "trim": False, "case": "upper"}},
            {"fill": {"columns": ["quantity"], "value": 0}},
            {"bucket": {"column": "quantity", "bounds": [10, 20, 30], "labels": ["a", "b", "c", "d"], "into": "size"}},
            {"one_hot": {"column": "active", "values": [True, False]}},
            {"rename": {"name": "customer"}},
        ],
        "SELECT id, changed, day, name AS customer, nullif(upper(nfc_normalize(city)), '') AS city, amount, "
        "coalesce(quantity, 0) AS quantity, active IS NOT DISTINCT FROM TRUE AS active_True, "
        "active IS NOT DISTINCT FROM FALSE AS active_False, CASE WHEN quantity < 10 THEN 'a' "
        "WHEN quantity < 20 THEN 'b' WHEN quantity < 30 THEN 'c' ELSE 'd' END AS size FROM {rows}",
    ),
    "aggregate": (
        [{"aggregate": {"by": ["city"], "compute": {"orders": "count(*)", "total": "sum(amount)"}}}],
        "SELECT city, count(*) AS orders, sum(amount) AS total FROM {rows} GROUP BY city",
    ),
}
WHOLE: dict[str, Steps] = {
    "aggregate, a group for every tenth row": [
        {"derive": {"tenth": "id // 10"}},
        {"aggregate": {"by": ["tenth"], "compute": {"n": "count(*)", "total": "sum(amount)", "last": "max(name)"}}},
    ],
    "deduplicate, half of the rows": [
        {"derive": {"half": "id // 2"}},
        {"deduplicate": {"by": "half", "order": "id desc"}},
    ],
    "sort": [{"sort": "city, amount desc"}],
    "window: running sum and place": [
        {"window": {"by": ["city"], "order": "id", "columns": {
            "so_far": {"function": "sum", "of": "amount"}, "place": "row_number"}}},
    ],
}  # fmt: skip


def by_steps(file: str, rows: str, steps: Steps) -> None:
    """The product: a full load through the steps."""
    made = [registry.transformation(name).model_validate(value) for each in steps for name, value in each.items()]
    publish(
        stage(
            StreamLoad(
                "bench", Stream("t", ParquetOptions()), Parquet(file=rows), DuckDB(path=file), Table("raw", "t"),
                Replace(), "replace", "1", steps=made, reconcile="off",
            )
        )
    )  # fmt: skip


def by_hand(file: str, rows: str, query: str) -> None:
    """The same result by one statement."""
    connection = duckdb.connect(file, config={"memory_limit": "512MB", "preserve_insertion_order": "false"})
    connection.execute("CREATE SCHEMA raw")
    connection.execute(f"CREATE TABLE raw.t AS {query.replace('{rows}', f'read_parquet({rows!r})')}")
    connection.close()


def _write_rows(file: Path, rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS changed, "
            "DATE '2024-01-01' + CAST(i % 100 AS INTEGER) AS day, 'customer ' || i AS name, "
            "'city ' || (i * 7919 % 5000) AS city, CAST(i % 100000 AS DECIMAL(12, 2)) / 100 AS amount, "
            f"CAST(i % 50 AS INTEGER) AS quantity, i % 3 = 0 AS active FROM range({rows}) AS r(i)) TO '{file}'"
        )


def run(rows: int, rounds: int, large: int) -> str:
    """Measure and return Markdown tables; ``large``: rows of the table that steps over all rows get, 0 for none."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-"))
    try:
        _write_rows(folder / "rows.parquet", rows)
        found: dict[tuple[str, str], list[Measured]] = {}
        nothing = folder / "nothing.parquet"
        _write_rows(nothing, 0)
        for _ in range(rounds):
            for way, work, what in ((HAND, by_hand, "FROM {rows}"), (STEPS, by_steps, [])):
                found.setdefault((NOTHING, way), []).append(_once(folder, work, what, nothing))
            for chain, (steps, query) in CHAINS.items():
                found.setdefault((chain, HAND), []).append(_once(folder, by_hand, query))
                found.setdefault((chain, STEPS), []).append(_once(folder, by_steps, steps))
        tables = [_chains(found)]
        if large:
            _write_rows(folder / "rows.parquet", large)
            tables.append(_large({name: _once(folder, by_steps, steps) for name, steps in WHOLE.items()}))
        return "\n\n".join(tables)
    finally:
        shutil.rmtree(folder)


def _once(folder: Path, work: Any, what: object, rows: Path | None = None) -> Measured:
    (folder / "w.duckdb").unlink(missing_ok=True)
    return measure(work, str(folder / "w.duckdb"), str(rows or folder / "rows.parquet"), what)


def _chains(found: dict[tuple[str, str], list[Measured]]) -> str:
    best = {key: min(runs, key=lambda took: took.cpu) for key, runs in found.items()}
    lines = [
        "| steps | by hand: wall s | CPU s | peak MB | steps: wall s | CPU s | peak MB | CPU, steps to hand "
        "| without what no rows cost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for chain in [NOTHING, *CHAINS]:
        hand, line = best[chain, HAND], best[chain, STEPS]
        cells = [f"{took.wall:.2f} | {took.cpu:.2f} | {took.peak:.0f}" for took in (hand, line)]
        rows = (line.cpu - best[NOTHING, STEPS].cpu) / max(hand.cpu - best[NOTHING, HAND].cpu, 0.01)
        without = "" if chain == NOTHING else f"{rows:.2f}"
        lines.append(f"| {chain} | {cells[0]} | {cells[1]} | {line.cpu / hand.cpu:.2f} | {without} |")
    return "\n".join(lines)


def _large(found: dict[str, Measured]) -> str:
    lines = ["| step over all rows | wall s | CPU s | peak MB |", "|---|---|---|---|"]
    lines += [f"| {name} | {took.wall:.1f} | {took.cpu:.1f} | {took.peak:.0f} |" for name, took in found.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=60_000_000)
    options = parser.parse_args()
    print(run(options.rows, options.rounds, options.large))


if __name__ == "__main__":
    main()
