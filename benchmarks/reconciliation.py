"""What reconciliation costs: full loads with `reconcile: off`, `auto` and `on`.

Run it by ``python -m benchmarks.reconciliation --copies 18``. The ways take turns; CPU is that of the client and of
the server's processes together, as medians over the rounds: a busy machine spoils wall time first.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Literal

import duckdb

from benchmarks.measure import Measured, measure
from benchmarks.parquet import Parquet, ParquetOptions
from benchmarks.postgres_server import FLIGHTS, PASSWORD, Running, flights, running, seed
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import Postgres, PostgresDestination
from dataflow_platform.core.base import Destination, Source, Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.replace import Replace

Choice = Literal["off", "auto", "on"]
PATHS: dict[str, tuple[Choice, ...]] = {
    "Parquet to DuckDB": ("off", "auto"),
    "PostgreSQL to DuckDB": ("off", "auto"),
    "Parquet to PostgreSQL": ("off", "auto", "on"),
}
"""On DuckDB `on` does no more than `auto` in a full load."""


def load(path: str, port: int, folder: str, choice: Choice) -> None:
    """One full load, published."""
    login = {"host": "127.0.0.1", "port": port, "database": "postgres", "user": "postgres", "password": PASSWORD}
    source: Source = Parquet(file=f"{folder}/flights.parquet")
    stream = Stream("flights", ParquetOptions())
    if path.startswith("PostgreSQL"):
        source = Postgres(**login)
        stream = Stream("flights", Postgres.StreamOptions.model_validate({"table": "public.flights"}))
    to_duckdb = path.endswith("DuckDB")
    into: Destination = DuckDB(path=f"{folder}/w.duckdb") if to_duckdb else PostgresDestination(**login)
    staged = stage(
        StreamLoad(
            "bench", stream, source, into, Table("raw", "loaded"), Replace(), "replace", choice, reconcile=choice
        )
    )
    publish(staged)
    assert (staged.reconciled is None) == (choice == "off")


def run(copies: int, rounds: int) -> str:
    """Measure and return a Markdown table."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-"))
    found: dict[tuple[str, Choice], list[Measured]] = {}
    try:
        (folder / "flights.csv").write_text(flights())
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_csv('{folder}/flights.csv', nullstr = 'NA'), range({copies})) "
                f"TO '{folder}/flights.parquet'"
            )
        with running() as postgres:
            seed(postgres.server, copies)
            for _ in range(rounds):
                for path, choices in PATHS.items():
                    for choice in choices:
                        found.setdefault((path, choice), []).append(_once(postgres, path, folder, choice))
        return _page(found)
    finally:
        shutil.rmtree(folder)


def _once(postgres: Running, path: str, folder: Path, choice: Choice) -> Measured:
    (folder / "w.duckdb").unlink(missing_ok=True)
    postgres.server.execute("DROP SCHEMA IF EXISTS raw CASCADE")
    before = postgres.cpu()
    took = measure(load, path, postgres.server.port, str(folder), choice)
    return Measured(took.wall, took.cpu + postgres.cpu() - before, took.peak)


def _page(found: dict[tuple[str, Choice], list[Measured]]) -> str:
    lines = [
        "| full load | reconcile | wall s | CPU s (all rounds) | peak MB | CPU, to off | wall, to off |",
        "|---|---|---|---|---|---|---|",
    ]
    for (path, choice), runs in found.items():
        cpu, wall = (statistics.median(getattr(run, name) for run in runs) for name in ("cpu", "wall"))
        off = found[path, "off"]
        more = [
            statistics.median(getattr(run, name) / getattr(base, name) for run, base in zip(runs, off, strict=True)) - 1
            for name in ("cpu", "wall")
        ]
        each = ", ".join(f"{run.cpu:.2f}" for run in runs)
        peak = max(run.peak for run in runs)
        lines.append(
            f"| {path} | {choice} | {wall:.2f} | {cpu:.2f} ({each}) | {peak:.0f} | {more[0]:+.1%} | {more[1]:+.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=18, help="how often the 336,776 flights are repeated")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{FLIGHTS * options.copies:,} rows x 19 columns\n\n{run(options.copies, options.rounds)}")


if __name__ == "__main__":
    main()
