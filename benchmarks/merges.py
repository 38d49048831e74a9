"""A merge of 1 % changed rows from PostgreSQL, where the destination has all of `lineitem` already.

Run it by ``python -m benchmarks.merges --scale 1``. The source has an index on the cursor, both PostgreSQL tables a
primary key; the first, full load is not measured. By hand is without state, contract and load record.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import projects, rivals, tpch
from benchmarks.measure import Measured, measure_command, table
from benchmarks.postgres_server import PASSWORD, Running, running

Command = tuple[Sequence[str], Mapping[str, str]]
KEY = ("l_orderkey", "l_linenumber")
_SAME = " AND ".join(f"o.{name} = b.{name}" for name in KEY)
_COLUMNS = ", ".join([*tpch.COLUMNS, "changed"])
FULL, CHANGES = "TIMESTAMP '2024-01-01'", "TIMESTAMP '2025-01-01'"


def _seed(server: Running, file: Path) -> int:
    """The table `moved`: lineitem with the time of each row's last change, a second after the other."""
    rows = tpch.into_postgres(server, file)
    server.server.execute(
        f"CREATE TABLE moved AS SELECT *, {FULL} + row_number() OVER () * INTERVAL '1 second' AS changed "
        "FROM lineitem; DROP TABLE lineitem; "
        f"ALTER TABLE moved ADD PRIMARY KEY ({', '.join(KEY)}); CREATE INDEX ON moved (changed)"
    )
    server.server.execute("VACUUM ANALYZE moved")
    return rows


def _change(server: Running, number: int) -> str:
    """Change every hundredth row; the time after which that was."""
    since = f"{CHANGES} + INTERVAL '{number} year'"
    server.server.execute(
        f"UPDATE moved SET changed = {since} + changed_at.n * INTERVAL '1 millisecond', l_comment = reverse(l_comment) "
        "FROM (SELECT ctid AS row, row_number() OVER () AS n FROM moved "
        f"WHERE (l_orderkey * 8 + l_linenumber) % 100 = {number}) AS changed_at WHERE moved.ctid = changed_at.row"
    )
    server.server.execute("VACUUM ANALYZE moved")
    return since


def _connections(server: Running) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Source, DuckDB and PostgreSQL as the pipelines know them."""
    source: dict[str, Any] = {
        "type": "postgres", "host": "127.0.0.1", "port": server.server.port, "database": "postgres",
        "user": "postgres", "password": "{{ env.PGPASSWORD }}",
    }  # fmt: skip
    return source, {"type": "duckdb", "path": "w.duckdb"}, {**source, "primary_keys": {"moved": list(KEY)}}


def _project(server: Running, folder: Path, warehouse: dict[str, Any]) -> Command:
    stream: dict[str, Any] = {
        "name": "moved", "from": {"table": "public.moved"}, "load": "merge", "primary_key": list(KEY),
        "cursor": "changed",
    }  # fmt: skip
    projects.project(folder, _connections(server)[0], warehouse, stream)
    return projects.command(), {**projects.environment(folder), "PGPASSWORD": PASSWORD}


def duckdb_by_hand(port: str, file: str, since: str) -> None:
    """What a person who knows the engine would write: DuckDB's scanner, DELETE and INSERT."""
    with rivals.attached(port, file) as connection:
        asked = f"SELECT {_COLUMNS} FROM public.moved WHERE changed >= {since}".replace("'", "''")
        connection.execute("BEGIN")
        connection.execute(f"CREATE TEMP TABLE b AS SELECT * FROM postgres_query('pg', '{asked}')")
        connection.execute(f"DELETE FROM bench.moved AS o USING b WHERE {_SAME}")
        connection.execute(f"INSERT INTO bench.moved BY NAME SELECT {_COLUMNS} FROM b")
        connection.execute("COMMIT")


def _postgres_by_hand(server: Running, since: str) -> list[str]:
    """Two psql: one COPYs the rows out, the other in and merges them."""
    login = f"'{tpch.psql()}' -qX -v ON_ERROR_STOP=1 -d 'host=127.0.0.1 port={server.server.port} user=postgres'"
    out = f"COPY (SELECT {_COLUMNS} FROM public.moved WHERE changed >= {since}) TO STDOUT (FORMAT binary)"
    into = [
        "BEGIN",
        f"CREATE TEMP TABLE b ON COMMIT DROP AS SELECT {_COLUMNS} FROM bench.moved LIMIT 0",
        "COPY b FROM STDIN (FORMAT binary)",
        "ANALYZE b",
        f"DELETE FROM bench.moved o USING b WHERE {_SAME}",
        f"INSERT INTO bench.moved ({_COLUMNS}) SELECT {_COLUMNS} FROM b",
        "COMMIT",
    ]
    statements = " ".join(f'-c "{statement}"' for statement in into)
    return ["bash", "-o", "pipefail", "-c", f'{login} -c "{out}" | {login} {statements}']


def _round(server: Running, folder: Path, number: int, found: dict[str, dict[str, list[Measured]]]) -> None:
    """A full load into each destination, a change of 1 %, and both ways to bring it there."""
    _, duck, postgres = _connections(server)
    ways: dict[str, Callable[[], Measured]] = {}
    for name, warehouse in (("DuckDB", duck), ("PostgreSQL", postgres)):
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if name == "PostgreSQL":
            server.server.execute("DROP SCHEMA IF EXISTS bench CASCADE")
        command = _project(server, place, warehouse)
        measure_command(*command, place)
        ways[name] = lambda command=command, place=place: measure_command(*command, place, server.cpu)  # type: ignore[misc]
    since = _change(server, number)
    server.server.execute("VACUUM ANALYZE bench.moved")
    shutil.copy(folder / "DuckDB" / "w.duckdb", folder / "hand.duckdb")
    hand = [
        sys.executable, "-m", "benchmarks.merges", "--by-hand", str(server.server.port),
        str(folder / "hand.duckdb"), since,
    ]  # fmt: skip
    environment = {**projects.environment(folder), "PGPASSWORD": PASSWORD, "PYTHONPATH": str(Path(__file__).parents[1])}
    taken = found.setdefault("DuckDB", {})
    taken.setdefault("by hand", []).append(measure_command(hand, environment, folder, server.cpu))
    taken.setdefault("dataflow run", []).append(ways["DuckDB"]())
    _same(folder, server)
    # The product's merge first: by hand the same rows are deleted and inserted once more.
    taken = found.setdefault("PostgreSQL", {})
    merged = ways["PostgreSQL"]()
    server.server.execute("VACUUM ANALYZE bench.moved")
    by_hand = measure_command(_postgres_by_hand(server, since), environment, folder, server.cpu)
    taken.setdefault("by hand", []).append(by_hand)
    taken.setdefault("dataflow run", []).append(merged)


def _same(folder: Path, server: Running) -> None:
    """Both ways have to end in the same table, and that in the source's."""
    sums = set()
    for file in (folder / "hand.duckdb", folder / "DuckDB" / "w.duckdb"):
        with duckdb.connect(str(file), read_only=True) as connection:
            told = connection.execute("SELECT count(*), epoch_us(max(changed)) FROM bench.moved").fetchone()
            sums.add(tuple(told or ()))
    asked = "SELECT count(*), (extract(epoch FROM max(changed)) * 1000000)::bigint FROM moved"
    sums |= {tuple(map(int, row)) for row in server.server.execute(asked)}
    assert len(sums) == 1, sums


def run(scale: float, rounds: int) -> str:
    """Measure both destinations; Markdown."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dataflow-bench-")))
        csv = tpch.csv(folder, scale)
        server = stack.enter_context(running())
        rows = _seed(server, csv)
        csv.unlink()
        found: dict[str, dict[str, list[Measured]]] = {}
        for number in range(rounds):
            _round(server, folder, number, found)
        parts = [
            f"### PostgreSQL to {name}, {rows // 100:,} of {rows:,} rows\n\n{table(rows // 100, ways, 'by hand')}"
            for name, ways in found.items()
        ]
        return "\n\n".join(parts)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--by-hand", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.by_hand:
        duckdb_by_hand(*options.by_hand)
    else:
        print(run(options.scale, options.rounds))


if __name__ == "__main__":
    main()
