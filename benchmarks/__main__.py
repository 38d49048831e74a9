"""`make bench`: run the benchmarks and write docs/benchmarks.md."""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks import postgres_to_duckdb

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=18, help="how often the 336,776 flights are repeated")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = postgres_to_duckdb.FLIGHTS * options.copies
    moved = postgres_to_duckdb.run(options.copies, options.rounds)
    PAGE.write_text(
        f"""# Benchmarks

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {platform.machine()}, Python
{platform.python_version()}, DuckDB {duckdb.__version__}. Every run is a process of its own, the ways take turns, the
best of {options.rounds} rounds counts; CPU is the client's. Peak memory includes what Python has imported.

## PostgreSQL to DuckDB, {rows:,} rows x 19 columns

PostgreSQL 18 on loopback. By hand is `CREATE TABLE AS` over DuckDB's own scanner, the upper limit of this path; the
line adds state, contract, quarantine and load record in one transaction, and five row rules in the last row.

{moved}

Other tools are not measured here yet.
"""
    )
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
