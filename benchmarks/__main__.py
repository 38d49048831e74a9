"""`make bench`: run the benchmarks and write docs/benchmarks.md."""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks import (
    large_table,
    load_strategies,
    merges,
    moves,
    profiling,
    reconciliation,
    schema_checks,
    start_up,
    steps,
)  # fmt: skip

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="scale factor of TPC-H; 1 has 6,001,215 rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=float, help="scale factor of one more table that is moved once, such as 10")
    options = parser.parse_args()
    rows = int(6_000_000 * options.scale)
    copies = max(1, round(18 * options.scale))
    moved = moves.run(options.scale, options.rounds)
    if options.large:
        moved = f"{moved}\n\n{large_table.run(options.large)}"
    merged = merges.run(options.scale, options.rounds)
    loaded = load_strategies.run(rows, options.rounds, list(load_strategies.BY_HAND))
    reconciled = reconciliation.run(copies, options.rounds)
    stepped = steps.run(rows, options.rounds, 10 * rows if options.large else 0)
    checked = _of_schemas(schema_checks.run(8 * rows if options.large else rows, options.rounds))
    judged = f"{stepped}\n\n{checked}\n\n{profiling.run(options.scale, options.rounds)}"
    started = start_up.run(options.rounds)
    PAGE.write_text(_page(options.rounds, rows, moved, merged, loaded, reconciled, judged, started))
    print(PAGE.read_text())


def _page(
    rounds: int, rows: int, moved: str, merged: str, loaded: str, reconciled: str, stepped: str, started: str
) -> str:
    return f"""# Benchmarks

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {platform.machine()}, Python
{platform.python_version()}, DuckDB {duckdb.__version__}. Every run is a process of its own, the ways take turns.

## Moving lineitem

TPC-H's `lineitem`, 16 columns; PostgreSQL 18 on loopback without fsync. Measured is the whole command from start to
end, with the start of Python: `dataflow run` of a pipeline with state, contract, reconciliation and load record. Wall
time, CPU and rate are medians of {rounds} rounds, peak memory is the greatest. The first line is the limit: a binary
COPY of PostgreSQL by psql, rows thrown away (or, into PostgreSQL, put into a table without state or checks); of MariaDB
its own client, which takes the rows one by one and throws them away.

{moved}

## Merging 1 %

The destination holds all of `lineitem`, 1 % of the rows changed at the source; the whole command. The source has an
index on the cursor, the tables of PostgreSQL a primary key. By hand is DELETE and INSERT without state, contract and
load record.

{merged}

## Load strategies, {rows:,} rows in the table and 1 % changed

From a Parquet file into a DuckDB file, beside the best statements by hand; imports do not count. By hand is without
state, contract and load record; reconciliation is measured below. The first line is a load of no rows: what a load
costs once; the last column leaves that away on both sides. The least CPU of {rounds} rounds counts.

{loaded}

## Reconciliation

Full loads of flights, 19 columns, with `reconcile: off`, `auto` and `on`; CPU is client and server.

{reconciled}

## Transformations, {rows:,} rows

A full load through steps, from a Parquet file into a DuckDB file with 512 MB for the engine, beside the same SQL by
hand in one CREATE TABLE AS; imports do not count. The least CPU of {rounds} rounds counts; the last column leaves away
on both sides what a load of no rows costs. Steps over all rows get ten times as many rows, once.

{stepped}

## Start-up

A pipeline that copies 10 rows, the whole command, beside `python -c "import dagster"`. The least CPU of {rounds}
rounds.

{started}
"""


def _of_schemas(checked: str) -> str:
    return f"""## Rules of a Pandera schema

25 rules on eight columns of a Parquet file: the failing rows of each are counted, and each row is marked with those it
breaks, by the pass that a load runs (256 MB for the engine, as for the SQL by hand, which marks no rows). Importing
libraries does not count as time; as memory it does. The least CPU counts; pandera.polars runs once. pandera.ibis runs
in an environment of its own, where one is named (`python -m benchmarks.schema_checks --ibis PYTHON`).

{checked}"""


if __name__ == "__main__":
    main()
