"""Each load strategy on DuckDB with 1 % change, beside the best statements by hand.

Run it by ``python -m benchmarks.load_strategies --rows 6000000``. Both ways start from a Parquet file, have the
same settings, land the rows in a table first where they need them twice, and commit once. The line adds contract,
quarantine, state and load record, and counts every row; it lands the rows always, to judge them.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.measure import Measured, measure
from benchmarks.parquet import Parquet, ParquetOptions
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core import registry
from dataflow_platform.core.base import LoadStrategy, Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad

COLUMNS = "id, changed, day, name, city, amount, quantity, active"
OPTIONS: dict[str, dict[str, object]] = {"partition": {"by": "day"}, "scd3": {"columns": ["city"]}}
NOTHING = "append of 0 rows"
FULL = ("replace", "delta")
"""Strategies whose batch is the whole table."""

_DIFFERS = " OR ".join(f"o.{name} IS DISTINCT FROM n.{name}" for name in COLUMNS.split(", ")[1:])
_HASH = "md5(concat_ws('|', day, name, city, amount, quantity, active))"
_UPSERT = ["DELETE FROM raw.t AS o USING b AS n WHERE o.id = n.id", f"INSERT INTO raw.t SELECT {COLUMNS} FROM b"]
_BATCH = "CREATE TEMP TABLE b AS FROM read_parquet('{batch}')"
BY_HAND: dict[str, list[str]] = {
    "append": [f"INSERT INTO raw.t SELECT {COLUMNS} FROM read_parquet('{{batch}}')"],
    "replace": [f"CREATE OR REPLACE TABLE raw.t AS SELECT {COLUMNS} FROM read_parquet('{{batch}}')"],
    "merge": [_BATCH, *_UPSERT],
    "partition": [
        _BATCH,
        "DELETE FROM raw.t WHERE day IN (SELECT DISTINCT day FROM b)",
        f"INSERT INTO raw.t SELECT {COLUMNS} FROM b",
    ],
    "scd1": [
        _BATCH,
        f"DELETE FROM b AS n USING raw.t AS o WHERE o.id = n.id AND NOT ({_DIFFERS})",
        *_UPSERT,
    ],
    "delta": [
        _BATCH,
        "CREATE TEMP TABLE c AS SELECT coalesce(n.id, o.id) AS id, n.* EXCLUDE (id), n.id IS NULL AS gone "
        "FROM b AS n FULL JOIN raw.t AS o ON o.id = n.id "
        f"WHERE o.id IS NULL OR n.id IS NULL OR {_DIFFERS}",
        "DELETE FROM raw.t AS o USING c WHERE o.id = c.id",
        f"INSERT INTO raw.t SELECT {COLUMNS} FROM c WHERE NOT gone",
    ],
    "scd2": [
        f"CREATE TEMP TABLE b AS SELECT *, {_HASH} AS h FROM read_parquet('{{batch}}')",
        # A join of one column goes down into the scan; one of key and hash would read every hash of the table.
        "DELETE FROM b AS n USING (SELECT o.id, o._row_hash AS h FROM raw.t AS o SEMI JOIN b ON o.id = b.id "
        "WHERE o._is_current) AS same WHERE same.id = n.id AND same.h = n.h",
        "UPDATE raw.t AS o SET _valid_to = n.changed, _is_current = FALSE FROM b AS n "
        "WHERE o.id = n.id AND o._is_current",
        f"INSERT INTO raw.t SELECT {COLUMNS}, changed, NULL, TRUE, h FROM b",
    ],
    "scd3": [
        "CREATE TEMP TABLE b AS SELECT n.*, CASE WHEN o.city IS DISTINCT FROM n.city THEN o.city ELSE o.previous_city "
        "END AS previous_city, CASE WHEN o.city IS DISTINCT FROM n.city THEN n.changed ELSE o._changed_at "
        "END AS changed_at "
        f"FROM read_parquet('{{batch}}') AS n LEFT JOIN raw.t AS o ON o.id = n.id WHERE o.id IS NULL OR {_DIFFERS}",
        "DELETE FROM raw.t AS o USING b AS n WHERE o.id = n.id",
        f"INSERT INTO raw.t SELECT {COLUMNS}, previous_city, changed_at FROM b",
    ],
}


def by_the_line(how: str, file: str, batch: str, strategy: LoadStrategy) -> None:
    """The product: one load of the stream, published."""
    cursor = None if how == "partition" else "changed"
    stream = Stream("t", ParquetOptions(), cursor, ("id",))
    publish(
        stage(
            StreamLoad(
                "bench",
                stream,
                Parquet(file=batch),
                DuckDB(path=file),
                Table("raw", "t"),
                strategy,
                how,
                batch,
                # Nobody does that by hand; what it costs is measured by itself.
                reconcile="off",
            )
        )
    )


def by_hand(how: str, file: str, batch: str, strategy: LoadStrategy) -> None:
    """What a person who knows the engine would write for the same result."""
    connection = duckdb.connect(file, config={"memory_limit": "512MB", "preserve_insertion_order": "false"})
    connection.execute("BEGIN")
    for statement in BY_HAND[how]:
        connection.execute(statement.format(batch=batch))
    connection.execute("COMMIT")
    connection.close()


def declared(how: str) -> LoadStrategy:
    """The load strategy as a pipeline's YAML gives it."""
    return registry.load_strategy(how).model_validate(OPTIONS.get(how, {}))


def _write_rows(folder: Path, rows: int) -> None:
    """``base``: the table; ``changes``: 1 % of its keys anew and a few more keys; ``snapshot``: both; ``day``."""
    row = (
        "i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS changed, "
        "DATE '2024-01-01' + CAST(i % 100 AS INTEGER) AS day, "
        "'customer ' || i AS name, 'city ' || (i * 7919 % 5000) AS city, "
        "CAST(i % 100000 AS DECIMAL(12, 2)) / 100 AS amount, CAST(i % 50 AS INTEGER) AS quantity, i % 3 = 0 AS active"
    )
    # Changed rows carry a later time and another city; one in ten is a new key.
    new = (
        "SELECT * REPLACE (TIMESTAMP '2025-01-01' + to_seconds(id) AS changed, city || ' (moved)' AS city) FROM base "
        "WHERE id % 111 = 5"
    )
    more = f"SELECT {row} FROM range({rows}, {rows + rows // 1000}) AS r(i)"
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '2GB'")
        connection.execute(f"CREATE VIEW base AS SELECT {row} FROM range({rows}) AS r(i)")
        late = "SELECT * REPLACE (changed + INTERVAL 2 YEAR AS changed) FROM"
        changes = f"{new} UNION ALL {late} ({more})"
        day = "SELECT * REPLACE (city || ' (moved)' AS city) FROM base WHERE day = DATE '2024-02-01'"
        # The rows of the old keys less 1 in 1,000, with the changed ones in their new state.
        snapshot = f"SELECT * FROM base WHERE id % 111 <> 5 AND id % 1000 <> 7 UNION ALL {changes}"
        queries = {"base": "FROM base", "changes": changes, "snapshot": snapshot, "day": day}
        for name, query in {**queries, "empty": "FROM base LIMIT 0"}.items():
            connection.execute(f"COPY ({query}) TO '{folder / name}.parquet'")


def run(rows: int, rounds: int, strategies: list[str]) -> str:
    """Measure and return a Markdown table: the least CPU of ``rounds``, the two ways taking turns."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-"))
    ways: dict[str, Callable[[str, str, str, LoadStrategy], None]] = {"by hand": by_hand, "line": by_the_line}
    try:
        _write_rows(folder, rows)
        for kind in ("append", "scd2", "scd3"):
            # The history's own columns are made by the strategy; both ways then load into the same file.
            measure(by_the_line, kind, str(folder / f"{kind}.duckdb"), str(folder / "base.parquet"), declared(kind))
        found: dict[tuple[str, str], list[Measured]] = {}
        for _ in range(rounds):
            for how in [NOTHING, *strategies]:
                for way, work in ways.items():
                    found.setdefault((how, way), []).append(_once(folder, how, work))
        return _page(found, strategies)
    finally:
        shutil.rmtree(folder)


def _once(folder: Path, how: str, work: Callable[[str, str, str, LoadStrategy], None]) -> Measured:
    """One load into a copy of the table, so that every way meets the same one."""
    batch = {NOTHING: "empty", "partition": "day", **dict.fromkeys(FULL, "snapshot")}.get(how, "changes")
    how = "append" if how == NOTHING else how
    copy = shutil.copy(folder / f"{how if how in ('scd2', 'scd3') else 'append'}.duckdb", folder / "copy.duckdb")
    try:
        return measure(work, how, str(copy), str(folder / f"{batch}.parquet"), declared(how))
    finally:
        Path(copy).unlink()


def _page(found: dict[tuple[str, str], list[Measured]], strategies: list[str]) -> str:
    best = {key: min(runs, key=lambda took: took.cpu) for key, runs in found.items()}
    lines = [
        "| strategy | by hand: wall s | CPU s | peak MB | line: wall s | CPU s | peak MB | CPU, line to hand "
        "| without what no rows cost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for how in [NOTHING, *strategies]:
        hand, line = best[how, "by hand"], best[how, "line"]
        cells = [f"{took.wall:.2f} | {took.cpu:.2f} | {took.peak:.0f}" for took in (hand, line)]
        rows = (line.cpu - best[NOTHING, "line"].cpu) / max(hand.cpu - best[NOTHING, "by hand"].cpu, 0.01)
        without = "" if how == NOTHING else f"{rows:.2f}"
        lines.append(f"| {how} | {cells[0]} | {cells[1]} | {line.cpu / hand.cpu:.2f} | {without} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--strategies", nargs="*", default=list(BY_HAND), choices=list(BY_HAND))
    options = parser.parse_args()
    print(run(options.rows, options.rounds, options.strategies))


if __name__ == "__main__":
    main()
