"""`lineitem` from one system to another: the product beside the limit, the engine by hand and its rivals."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import mariadb_server, projects, rivals, tpch
from benchmarks.mariadb_server import PASSWORD as MARIADB_PASSWORD
from benchmarks.mariadb_server import USER, MariaDB
from benchmarks.measure import Measured, measure_command, table
from benchmarks.postgres_server import PASSWORD, Running, running

FROM_MARIADB = "MariaDB to DuckDB"
Command = tuple[Sequence[str], Mapping[str, str]]


@dataclass
class Bench:
    """The servers and files of one run; every way gets a folder of its own that is empty."""

    folder: Path
    postgres: Running
    rows: int
    mariadb: MariaDB | None = None
    ways: dict[str, dict[str, Callable[[Path], Command]]] = field(default_factory=dict)
    """Move -> way -> the command to measure, made for a folder."""

    @property
    def login(self) -> dict[str, Any]:
        """The connection to the PostgreSQL of the run, without its password."""
        return {"host": "127.0.0.1", "port": self.postgres.server.port, "database": "postgres", "user": "postgres"}

    def product(self, source: dict[str, Any], warehouse: dict[str, Any], **stream: Any) -> Callable[[Path], Command]:
        """`dataflow run` of a pipeline of one stream."""

        def made(folder: Path) -> Command:
            fields = {"name": "lineitem", "load": "replace", **stream}
            projects.project(folder, source, warehouse, fields)
            return projects.command(), {
                **projects.environment(folder), "PGPASSWORD": PASSWORD, "MARIADB_PASSWORD": MARIADB_PASSWORD
            }  # fmt: skip

        return made

    def rival(self, way: Callable[[str, str], None], port: int | None = None) -> Callable[[Path], Command]:
        """A function of ``rivals`` as a command; ``port`` is that of PostgreSQL if absent."""
        return lambda folder: (
            rivals.command(way, port or self.postgres.server.port, folder),
            {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": ""},
        )

    def psql(self, *scripts: str) -> Callable[[Path], Command]:
        """`psql` with a script; of two the first writes what the second reads."""
        server = f"host=127.0.0.1 port={self.postgres.server.port} user=postgres dbname=postgres"
        each = [f"'{tpch.psql()}' -qX -v ON_ERROR_STOP=1 -d '{server}' -c \"{script}\"" for script in scripts]
        words = ["bash", "-o", "pipefail", "-c", f"{' | '.join(each)} > /dev/null"]
        return lambda folder: (words, {**os.environ, "PGPASSWORD": PASSWORD})


def _moves(bench: Bench) -> None:
    postgres = {"type": "postgres", **bench.login, "password": "{{ env.PGPASSWORD }}"}
    warehouse = {"type": "duckdb", "path": "w.duckdb"}
    table_of = {"from": {"table": "public.lineitem"}}
    rules = {"checks": projects.RULES}
    out = "COPY public.lineitem TO STDOUT (FORMAT binary)"
    bench.ways["PostgreSQL to DuckDB"] = {
        "COPY to nowhere": bench.psql(out),
        "scanner by hand": bench.rival(rivals.scanner_to_duckdb),
        "dataflow run": bench.product(postgres, warehouse, **table_of),
        "dataflow run, five row rules": bench.product(postgres, warehouse, **table_of, **rules),
        "ADBC": bench.rival(rivals.adbc_to_duckdb),
        "ConnectorX": bench.rival(rivals.connectorx_to_duckdb),
        "dlt, pyarrow": bench.rival(rivals.dlt_pyarrow),
        "dlt, connectorx": bench.rival(rivals.dlt_connectorx),
    }
    bench.ways["PostgreSQL to Parquet"] = {
        "COPY to nowhere": bench.psql(out),
        "scanner by hand": bench.rival(rivals.scanner_to_parquet),
        "dataflow run": bench.product(postgres, {"type": "parquet_dataset", "path": "lake"}, **table_of),
    }
    into = "COPY public.arrived FROM STDIN (FORMAT binary)"
    bench.ways["PostgreSQL to PostgreSQL"] = {
        "COPY into COPY": bench.psql(out, into),
        "dataflow run": bench.product(postgres, postgres, **table_of),
    }
    file = str(bench.folder / "source.duckdb")
    bench.ways["DuckDB to PostgreSQL"] = {
        "COPY of a binary file": bench.psql(f"\\copy public.arrived FROM '{bench.folder}/rows.bin' (FORMAT binary)"),
        "scanner by hand": bench.rival(rivals.scanner_from_duckdb),
        "dataflow run": bench.product(
            {"type": "duckdb", "path": file}, postgres, **{"from": {"table": "main.lineitem"}}
        ),
    }


def _moves_of_mariadb(bench: Bench, server: MariaDB) -> None:
    mariadb = {
        "type": "mysql", "host": "127.0.0.1", "port": server.port, "database": "tpch", "user": USER,
        "password": "{{ env.MARIADB_PASSWORD }}",
    }  # fmt: skip
    warehouse = {"type": "duckdb", "path": "w.duckdb"}
    limit = server.client("SELECT * FROM lineitem")
    bench.ways[FROM_MARIADB] = {
        "mariadb --quick to nowhere": lambda folder: (limit, dict(os.environ)),
        "scanner by hand": bench.rival(rivals.mysql_scanner_to_duckdb, server.port),
        "scanner by hand, no compression": bench.rival(rivals.mysql_scanner_uncompressed, server.port),
        "dataflow run": bench.product(mariadb, warehouse),
        "dataflow run, five row rules": bench.product(mariadb, warehouse, checks=projects.RULES),
        "ConnectorX": bench.rival(rivals.mysql_connectorx_to_duckdb, server.port),
        "dlt, pyarrow": bench.rival(rivals.mysql_dlt_pyarrow, server.port),
        "dlt, connectorx": bench.rival(rivals.mysql_dlt_connectorx, server.port),
    }


def _prepare(bench: Bench, csv: Path) -> None:
    """The files some ways read: the rows in a DuckDB file, and as PostgreSQL's binary format."""
    with duckdb.connect(str(bench.folder / "source.duckdb")) as connection:
        connection.execute("SET memory_limit = '2GB'")
        connection.execute(f"CREATE TABLE lineitem ({tpch.DECLARED})")
        connection.execute(f"INSERT INTO lineitem FROM read_csv('{csv}')")
    words, environment = bench.psql(f"\\copy public.lineitem TO '{bench.folder}/rows.bin' (FORMAT binary)")(csv.parent)
    measure_command(words, environment, bench.folder)


def _clear(bench: Bench, way: Path) -> None:
    """Every way meets an empty folder and a server without what others loaded."""
    shutil.rmtree(way, ignore_errors=True)
    way.mkdir()
    bench.postgres.server.execute("DROP SCHEMA IF EXISTS bench CASCADE")
    bench.postgres.server.execute("DROP TABLE IF EXISTS public.arrived")


def _once(bench: Bench, move: str, name: str) -> Measured:
    way = bench.folder / "way"
    _clear(bench, way)
    if name.startswith("COPY") and move.endswith("to PostgreSQL"):
        bench.postgres.server.execute("CREATE UNLOGGED TABLE public.arrived (LIKE public.lineitem)")
    if name.startswith("scanner") and move.startswith("DuckDB"):
        shutil.copy(bench.folder / "source.duckdb", way / "source.duckdb")
    words, environment = bench.ways[move][name](way)
    server = bench.mariadb if move == FROM_MARIADB and bench.mariadb else bench.postgres
    took = measure_command(words, environment, way, server.cpu)
    print(f"{move}: {name}: {took.wall:.1f} s, CPU {took.cpu:.1f} + {took.server_cpu:.1f}", flush=True)
    return took


def run(scale: float, rounds: int, only: Sequence[str] = ()) -> str:
    """Measure every move (or those whose name contains a word of ``only``); Markdown."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dataflow-bench-")))
        csv = tpch.csv(folder, scale)
        postgres = stack.enter_context(running())
        bench = Bench(folder, postgres, tpch.into_postgres(postgres, csv))
        _prepare(bench, csv)
        _moves(bench)
        without = mariadb_server.missing()
        if not without and (not only or any(word in FROM_MARIADB for word in only)):
            bench.mariadb = stack.enter_context(mariadb_server.running())
            mariadb_server.seed(bench.mariadb, csv)
            _moves_of_mariadb(bench, bench.mariadb)
        wanted = [name for name in bench.ways if not only or any(word in name for word in only)]
        found: dict[str, dict[str, list[Measured]]] = {move: {} for move in wanted}
        for _ in range(rounds):
            for move in wanted:
                for name in bench.ways[move]:
                    found[move].setdefault(name, []).append(_once(bench, move, name))
        parts = [
            f"### {move}, {bench.rows:,} rows\n\n{table(bench.rows, ways, next(iter(ways)))}"
            for move, ways in found.items()
        ]
        if without:
            parts.append(f"### {FROM_MARIADB}\n\nNot measured: not installed here: {without}")
        return "\n\n".join(parts)
