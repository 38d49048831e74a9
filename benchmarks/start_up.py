"""What a run costs before it moves anything: 10 rows through `dataflow run`, beside importing Dagster."""

import statistics
import sys
import tempfile
from pathlib import Path

import duckdb

from benchmarks import projects
from benchmarks.measure import Measured, measure_command


def run(rounds: int) -> str:
    """Measure both in turn, after one run that warms the caches and makes Dagster's storage; a Markdown table."""
    found: dict[str, list[Measured]] = {"import dagster": [], "dataflow run, 10 rows": []}
    with tempfile.TemporaryDirectory(prefix="dataflow-bench-") as name:
        folder = Path(name) / "project"
        source = {"type": "files", "root": str(folder)}
        projects.project(
            folder, source, {"type": "duckdb", "path": "w.duckdb"},
            {"name": "tiny", "load": "replace", "from": {"path": "tiny.parquet"}},
        )  # fmt: skip
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT i, i * 2 AS j FROM range(10) AS r(i)) TO '{folder}/tiny.parquet'")
        environment = projects.environment(folder)
        words = {
            "import dagster": [sys.executable, "-c", "import dagster"],
            "dataflow run, 10 rows": projects.command(),
        }
        for round_number in range(rounds + 1):
            for way, command in words.items():
                took = measure_command(command, environment, folder)
                if round_number:
                    found[way].append(took)
    lines = ["| command | wall s | CPU s | peak MB |", "|---|---|---|---|"]
    for way, runs in found.items():
        wall, cpu = (statistics.median(getattr(run, name) for run in runs) for name in ("wall", "cpu"))
        lines.append(f"| {way} | {wall:.2f} | {cpu:.2f} | {max(run.peak for run in runs):.0f} |")
    return "\n".join(lines)
