"""PostgreSQL to DuckDB with many rows: time grows with them, memory does not."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import tpch
from benchmarks.measure import Measured, measure_command, table
from benchmarks.moves import Bench
from benchmarks.postgres_server import running


def run(scale: float) -> str:
    """Each way once with the rows of scale factor ``scale``; Markdown. 10 takes 12 GB of disk."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dataflow-bench-")))
        postgres = stack.enter_context(running())
        bench = Bench(folder, postgres, tpch.straight_into_postgres(postgres, scale))
        source = {"type": "postgres", **bench.login, "password": "{{ env.PGPASSWORD }}"}
        warehouse = {"type": "duckdb", "path": "w.duckdb"}
        ways = {
            "COPY to nowhere": bench.psql("COPY public.lineitem TO STDOUT (FORMAT binary)"),
            "dataflow run": bench.product(source, warehouse, **{"from": {"table": "public.lineitem"}}),
        }
        found: dict[str, list[Measured]] = {}
        for number, (name, way) in enumerate(ways.items()):
            place = folder / str(number)
            place.mkdir()
            words, environment = way(place)
            found[name] = [measure_command(words, environment, place, postgres.cpu)]
        return f"### PostgreSQL to DuckDB, {bench.rows:,} rows, once\n\n{table(bench.rows, found, 'COPY to nowhere')}"
