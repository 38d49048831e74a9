"""PostgreSQL to DuckDB: the whole line, with and without rules, beside the scanner by hand."""

import importlib.util
import tempfile
from pathlib import Path

import duckdb

from benchmarks.measure import Measured, measure, table
from benchmarks.postgres_server import FLIGHTS, PASSWORD, running, seed
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import Postgres
from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append

RULES: list[tuple[str, object]] = [
    ("not_null", "carrier"),
    ("in_range", {"column": "distance", "min": 1, "max": 6000}),
    ("isin", {"column": "origin", "values": ["EWR", "JFK", "LGA"]}),
    ("matches", {"column": "carrier", "pattern": "[A-Z0-9]{2}"}),
    ("not_null", {"columns": "tailnum", "severity": "warn"}),
]


def by_hand(port: int, file: str) -> None:
    """What anybody would write: attach, create table as."""
    connection = duckdb.connect(file, config={"memory_limit": "512MB", "preserve_insertion_order": "false"})
    package = importlib.util.find_spec("duckdb_extension_postgres_scanner")
    assert package is not None
    assert package.origin is not None
    version = f"v{duckdb.__version__}"
    extension = Path(package.origin).parent / "extensions" / version / "postgres_scanner.duckdb_extension"
    connection.execute(f"LOAD '{extension}'")
    where = f"host=127.0.0.1 port={port} dbname=postgres user=postgres password='{PASSWORD}'"
    connection.execute(f"ATTACH '{where.replace(chr(39), chr(39) * 2)}' AS pg (TYPE postgres, READ_ONLY)")
    connection.execute("CREATE TABLE flights AS SELECT * FROM pg.public.flights")
    connection.close()


def by_the_line(port: int, file: str, rules: bool) -> None:
    """The product: the straight line of one stream, published."""
    source = Postgres(host="127.0.0.1", port=port, database="postgres", user="postgres", password=PASSWORD)
    checks: list[Check] = [registry.check(name).model_validate(value) for name, value in RULES] if rules else []
    record = publish(
        stage(
            StreamLoad(
                pipeline="bench",
                stream=Stream("flights", Postgres.StreamOptions.model_validate({"table": "public.flights"})),
                source=source,
                destination=DuckDB(path=file),
                target=Table("raw", "flights"),
                strategy=Append(),
                strategy_name="append",
                load_id="1",
                checks=checks,
            )
        )
    )
    assert record.rows_read == record.rows_loaded + record.rows_quarantined


def run(copies: int, rounds: int) -> str:
    """Measure every way ``rounds`` times, one after the other; a Markdown table."""
    found: dict[str, list[Measured]] = {"scanner by hand": [], "the line, bare": [], "the line, five rules": []}
    with running() as postgres, tempfile.TemporaryDirectory(prefix="dataflow-bench-") as folder:
        seed(postgres.server, copies)
        for _ in range(rounds):
            for way, runs in found.items():
                file = Path(folder) / "w.duckdb"
                file.unlink(missing_ok=True)
                if way == "scanner by hand":
                    runs.append(measure(by_hand, postgres.server.port, str(file)))
                else:
                    runs.append(measure(by_the_line, postgres.server.port, str(file), "rules" in way))
    return table(FLIGHTS * copies, found)
