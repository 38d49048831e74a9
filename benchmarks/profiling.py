"""What a profile costs: `dataflow profile`'s pass over TPC-H's lineitem beside reading the same rows.

Run it by ``python -m benchmarks.profiling --scale 1``. Reading is measured in two ways: every row handed to a program
as Arrow batches that are thrown away, and, as a floor, the least and greatest value of every column, which hands out
nothing. DuckDB's own SUMMARIZE, which estimates quantiles and distinct values and knows no top values, patterns or
histograms, stands beside.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from benchmarks.measure import Measured, measure
from benchmarks.tpch import COLUMNS, parquet
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.engine import profile

READ, FLOOR, PROFILE, SUMMARIZE = "read as Arrow batches", "least and greatest only", "profile", "SUMMARIZE"


@contextmanager
def _opened(database: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with DuckDB(path=database).reader() as connection:
        connection.execute("SET enable_progress_bar = false")
        yield connection


def reading(database: str, table: str) -> None:
    """Every row as Arrow batches."""
    with _opened(database) as connection:
        for _ in connection.sql(f"FROM {table}").to_arrow_reader(100_000):
            pass


def least_and_greatest(database: str, table: str) -> None:
    """Every value read, nothing handed out."""
    ends = ", ".join(f"min({name}), max({name})" for name in COLUMNS)
    with _opened(database) as connection:
        connection.execute(f"SELECT {ends} FROM {table}").fetchall()


def profiling(database: str, table: str) -> None:
    """The product."""
    with _opened(database) as connection:
        profile.taken(connection, table)


def summarizing(database: str, table: str) -> None:
    """What the engine brings along."""
    with _opened(database) as connection:
        connection.execute(f"SUMMARIZE FROM {table}").fetchall()


WAYS = {READ: reading, FLOOR: least_and_greatest, PROFILE: profiling, SUMMARIZE: summarizing}


def run(scale: float, rounds: int) -> str:
    """Measure and return a section of Markdown: a DuckDB table and a Parquet file of the same rows."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-"))
    try:
        file = parquet(folder, scale)
        database = folder / "w.duckdb"
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"CREATE TABLE lineitem AS FROM '{file}'")
            connection.execute(f"CREATE VIEW in_parquet AS FROM '{file}'")
        found: dict[tuple[str, str], list[Measured]] = {}
        for _ in range(rounds):
            for table in ("lineitem", "in_parquet"):
                for way, work in WAYS.items():
                    if way != SUMMARIZE or (table, way) not in found:
                        found.setdefault((table, way), []).append(measure(work, str(database), table))
        tables = "\n\n".join(_table(title, table, found) for title, table in _TITLES.items())
        return _TEXT.format(rows=int(6_001_215 * scale), rounds=rounds, tables=tables)
    finally:
        shutil.rmtree(folder)


_TEXT = """## Profiles, {rows:,} rows

`dataflow profile`'s pass over `lineitem`, 16 columns, with 512 MB for the engine; imports do not count. Reading is
every row handed to a program as Arrow batches; the floor is the least and greatest value of every column, which hands
out nothing. SUMMARIZE is DuckDB's own, measured once: it knows no top values, patterns or histograms. The least CPU of
{rounds} rounds counts.

{tables}"""
_TITLES = {"A table of a DuckDB file": "lineitem", "A Parquet file": "in_parquet"}


def _table(title: str, table: str, found: dict[tuple[str, str], list[Measured]]) -> str:
    least = {way: min(runs, key=lambda run: run.cpu) for (of, way), runs in found.items() if of == table}
    lines = [
        f"### {title}", "",
        f"| way | CPU s (all rounds) | wall s | peak MB | CPU, to {READ} | CPU, to {FLOOR} |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for way in WAYS:
        rounds = ", ".join(f"{run.cpu:.2f}" for run in found[table, way])
        best = least[way]
        lines.append(
            f"| {way} | {best.cpu:.2f} ({rounds}) | {best.wall:.2f} | {best.peak:.0f} "
            f"| {best.cpu / least[READ].cpu:.2f} | {best.cpu / least[FLOOR].cpu:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="scale factor of TPC-H; 1 has 6,001,215 rows")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(run(options.scale, options.rounds))


if __name__ == "__main__":
    main()
