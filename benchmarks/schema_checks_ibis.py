"""The rules of ``benchmarks.schema_checks`` in pandera's Ibis flavour; runs in an environment of its own."""

import json
import sys
import time
from pathlib import Path

import ibis
import pandera.ibis as pi

from benchmarks.schema_rules import columns


def main(file: str) -> None:
    """Validate the file by Ibis on DuckDB, with the engine's memory as large as ours; tells what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    connection = ibis.duckdb.connect(memory_limit="256MB")
    told = "no failure"
    try:
        pi.DataFrameSchema(columns(pi)).validate(connection.read_parquet(file), lazy=True)
    except pi.errors.SchemaErrors as errors:
        told = f"{len(errors.schema_errors)} rules with failures"
    took = [time.perf_counter() - wall, time.process_time() - cpu]
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    Path(f"{file}.ibis").write_text(json.dumps({"took": [*took, peak], "told": told}))


if __name__ == "__main__":
    main(sys.argv[1])
