"""What a run costs before it moves anything: 10 rows a stream through `dataflow run`, and by the engine alone.

Run it by ``python -m benchmarks.start_up --rounds 5``.
"""

import argparse
import sys
import tempfile
import uuid
from pathlib import Path

import duckdb

from benchmarks import projects
from benchmarks.measure import Measured, measure, measure_command
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import registry
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad

STREAMS = (1, 10, 30)
_FILE = "tiny.parquet"


def by_the_engine(folder: str, streams: int) -> None:
    """The same loads by the engine's own functions, one after the other, with no Dagster run around them."""
    files = registry.source("files")
    for number in range(streams):
        name = f"tiny_{number}"
        publish(
            stage(
                StreamLoad(
                    "bench",
                    Stream(name, files.StreamOptions.model_validate({"path": _FILE})),
                    files(root=folder),
                    DuckDB(path=f"{folder}/engine.duckdb"),
                    Table("bench", name),
                    registry.load_strategy("replace")(),
                    "replace",
                    str(uuid.uuid4()),
                )
            )
        )


def _project(folder: Path, streams: int) -> None:
    declared = [{"name": f"tiny_{number}", "load": "replace", "from": {"path": _FILE}} for number in range(streams)]
    projects.project(
        folder, {"type": "files", "root": str(folder)}, {"type": "duckdb", "path": "run.duckdb"}, *declared
    )
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i, i * 2 AS j FROM range(10) AS r(i)) TO '{folder / _FILE}'")


def run(rounds: int) -> str:
    """Measure all in turn, after one round that warms the caches and makes Dagster's storage; Markdown tables."""
    found: dict[tuple[str, int], list[Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="dataflow-bench-") as name:
        for streams in STREAMS:
            _project(Path(name) / str(streams), streams)
        for round_number in range(rounds + 1):
            for streams in STREAMS:
                folder = Path(name) / str(streams)
                environment = projects.environment(folder)
                took = {
                    "dagster": measure_command([sys.executable, "-c", "import dagster"], environment, folder),
                    "run": measure_command(projects.command(), environment, folder),
                    "engine": measure(by_the_engine, str(folder), streams),
                }
                for way, each in took.items():
                    found.setdefault((way, streams), []).extend([each] if round_number else [])
    return _page(found)


def _page(found: dict[tuple[str, int], list[Measured]]) -> str:
    best = {key: min(runs, key=lambda took: took.cpu) for key, runs in found.items()}
    dagster, ten = min((best["dagster", streams] for streams in STREAMS), key=lambda took: took.cpu), best["run", 1]
    lines = ["| command | wall s | CPU s | peak MB |", "|---|---|---|---|"]
    for way, took in (("import dagster", dagster), ("dataflow run, 10 rows", ten)):
        lines.append(f"| {way} | {took.wall:.2f} | {took.cpu:.2f} | {took.peak:.0f} |")
    over = {streams: best["run", streams].cpu - best["engine", streams].cpu for streams in STREAMS}
    each = (over[STREAMS[-1]] - over[STREAMS[0]]) / (STREAMS[-1] - STREAMS[0])
    lines += [
        "",
        "The same pipeline with more streams of 10 rows, and its loads by the engine's own functions in one process:",
        "imports count for the command only.",
        "",
        "| streams | dataflow run: CPU s | loads by the engine: CPU s | difference |",
        "|---|---|---|---|",
    ]
    for streams in STREAMS:
        took = (best["run", streams].cpu, best["engine", streams].cpu, over[streams])
        lines.append(f"| {streams} | {' | '.join(f'{seconds:.2f}' for seconds in took)} |")
    told = f"A run costs {over[STREAMS[0]] - each:.2f} CPU s, and {1000 * each:.0f} ms for each asset, over its loads."
    return "\n".join([*lines, "", told])


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    print(run(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
