"""One state of the server for all streams of a run, for all readers of a table and for both readings of a stream."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import Postgres, PostgresDestination, PostgresStream
from dataflow_platform.core import injection
from dataflow_platform.core.base import Destination, State, Stream, Table
from dataflow_platform.core.errors import TransientError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.pipeline.loader import load_folder
from dataflow_platform.transformations.filter import Filter

# A row of `big` fills half a page, so that 2,400 rows are more than the 1,000 pages one reader takes at a time.
TABLES = """
CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts VALUES (1, 100);
CREATE TABLE bookings (id int PRIMARY KEY, amount int);
CREATE TABLE big (id int, at int, filler text); ALTER TABLE big ALTER filler SET STORAGE PLAIN;
INSERT INTO big SELECT i, 1, repeat('x', 4000) FROM generate_series(1, 2400) i; ANALYZE big;
"""
BOOK = (
    "BEGIN; UPDATE accounts SET balance = balance - 30; INSERT INTO bookings SELECT count(*), 30 FROM bookings; COMMIT"
)


@pytest.fixture
def bank(postgres_server: PostgresServer) -> Iterator[Postgres]:
    name = f"bank_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    postgres_server.execute(TABLES, name)
    yield Postgres(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres", password=postgres_server.password
    )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "2"}) as opened:
        yield opened


PIPELINE = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: WAREHOUSE}
    bank: {type: postgres, host: 127.0.0.1, port: PORT, database: DATABASE, user: postgres, SNAPSHOT
           password: "{{ env.BANK_TEST_PASSWORD }}"}
---
type: dataflow_platform.Pipeline
attributes:
  name: bank
  source: bank
  destination: {connection: warehouse, schema: raw}
  streams:
    - {name: accounts, load: replace}
    - {name: bookings, load: replace}
"""


@pytest.mark.parametrize("reach", ["run", "stream"])
def test_all_streams_of_a_run_see_one_state(
    bank: Postgres, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: str
) -> None:
    """What is booked between the two streams is in both or in neither: balance + sum of bookings stays 100.

    `snapshot: stream` is the counter-proof: one stream comes before the booking, the other behind it.
    """
    monkeypatch.setenv("BANK_TEST_PASSWORD", bank.password)
    given = {"WAREHOUSE": str(tmp_path / "w.duckdb"), "PORT": str(bank.port), "DATABASE": bank.database}
    text = PIPELINE.replace("SNAPSHOT", f"snapshot: {reach},")
    for word, value in given.items():
        text = text.replace(word, value)
    (tmp_path / "defs/bank").mkdir(parents=True)
    (tmp_path / "defs/bank/defs.yaml").write_text(text)
    built = load_folder(tmp_path / "defs").built
    assert built.problems == []
    job = built.definitions().resolve_implicit_global_asset_job_def()

    def between(point: str, passage: int) -> None:
        if (point, passage) == ("closed", 1):
            postgres_server.execute(BOOK, bank.database)

    injection.arm(between)
    try:
        result = job.execute_in_process()
    finally:
        injection.arm(None)
    assert totals(tmp_path) == ([100] if reach == "run" else [130])
    shown = [
        result.asset_materializations_for_node(f"raw__{name}")[0].metadata.get("source snapshot")
        for name in ("accounts", "bookings")
    ]
    assert len(set(map(str, shown))) == 1
    assert (shown[0] is not None) == (reach == "run")
    assert idle(postgres_server, bank) == []
    # The next run has a moment of its own: the booking is in both.
    assert job.execute_in_process().success
    assert totals(tmp_path) == [100]


def totals(folder: Path) -> list[int]:
    with DuckDB(path=str(folder / "w.duckdb")).reader() as connection:
        asked = "SELECT (SELECT sum(balance) FROM raw.accounts) + coalesce(sum(amount), 0) FROM raw.bookings"
        return [int(row[0]) for row in connection.execute(asked).fetchall()]


def idle(server: PostgresServer, source: Postgres) -> list[Any]:
    """Transactions that are left open in the source's database."""
    return server.execute(
        f"SELECT pid, query FROM pg_stat_activity WHERE datname = '{source.database}' AND xact_start IS NOT NULL"
    )


def test_parallel_readers_share_the_snapshot(
    bank: Postgres, postgres_server: PostgresServer, engine: duckdb.DuckDBPyConnection
) -> None:
    def read(table: str, columns: str) -> list[tuple[Any, ...]]:
        engine.begin()
        scan = bank.scan(engine, Stream(table, PostgresStream()), State())
        found = scan.relation.query("rows", f"SELECT {columns} FROM rows").fetchall()
        engine.commit()
        scan.close()
        return found

    with bank.consistent():
        assert read("accounts", "balance") == [(100,)]
        postgres_server.execute("UPDATE big SET at = 2; INSERT INTO big VALUES (0, 2, '')", bank.database)
        start = len(postgres_server.log.read_text())
        assert read("big", 'count(*), min("at"), max("at")') == [(2400, 1, 1)]
        log = postgres_server.log.read_text()[start:]
        # The table is read in pieces of 1,000 pages: at least two, each in a transaction that was told the snapshot.
        assert log.count("WHERE ctid BETWEEN") >= 2
        assert log.count("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ") == log.count("SET TRANSACTION SNAPSHOT")
    assert read("big", 'count(*), min("at"), max("at")') == [(2401, 2, 2)]


@pytest.mark.parametrize("where", ["duckdb", "postgres"])
def test_both_readings_of_a_filtered_stream_see_one_state(
    bank: Postgres, postgres_server: PostgresServer, tmp_path: Path, where: str
) -> None:
    """What the steps dropped is counted by a second reading. A row that came in between must not move the cursor."""
    fields = {"host": bank.host, "port": bank.port, "database": bank.database, "user": bank.user}
    warehouse: Destination = DuckDB(path=str(tmp_path / "w.duckdb"))
    if where == "postgres":
        warehouse = PostgresDestination(**fields, password=bank.password)
    load = StreamLoad(
        pipeline="p", stream=Stream("accounts", PostgresStream(), "id", ("id",)), source=bank, destination=warehouse,
        target=Table("raw", "t"), strategy=Append(), strategy_name="append", load_id="1",
        steps=[Filter("balance + 0 > 50")],  # no filter the server is asked for
    )  # fmt: skip
    late = "INSERT INTO accounts VALUES (2, 99)"
    injection.arm(lambda point, _: postgres_server.execute(late, bank.database) and None if point == "staged" else None)
    try:
        first = publish(stage(load))
    finally:
        injection.arm(None)
    assert (first.rows_read, first.cursor_after) == (1, "1")
    postgres_server.execute("INSERT INTO accounts VALUES (3, 1000)", bank.database)
    assert publish(stage(replace(load, load_id="2"))).rows_loaded == 2  # id 2, which came late, and id 3


def test_a_reader_holds_nobody_up(
    bank: Postgres, postgres_server: PostgresServer, engine: duckdb.DuckDBPyConnection
) -> None:
    """Its transaction has no locks but those every SELECT has, writes nothing, and says whose it is."""
    named = Postgres(**{**bank.model_dump(), "application_name": "nightly load"})
    with named.consistent():
        engine.begin()
        scan = named.scan(engine, Stream("accounts", PostgresStream()), State())
        assert scan.relation.fetchall() == [(1, 100)]
        asked = f"FROM pg_stat_activity a WHERE datname = '{bank.database}' AND application_name = 'nightly load'"
        # The scan's connection and the one that keeps the snapshot.
        assert postgres_server.execute(f"SELECT count(*) {asked}") == [(2,)]
        locks = postgres_server.execute(
            f"SELECT DISTINCT l.mode {asked.replace('WHERE', 'JOIN pg_locks l USING (pid) WHERE')} "
            "AND l.locktype NOT IN ('virtualxid')"
        )
        assert locks == [("AccessShareLock",)]
        postgres_server.execute("ALTER TABLE bookings ADD COLUMN note text", bank.database)
        postgres_server.execute("CREATE INDEX ON accounts (balance)", bank.database)
        engine.commit()
        scan.close()
    temp = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"
    assert postgres_server.execute(temp, bank.database) == [(0,)]
    assert bank.ask("SELECT current_setting('default_transaction_read_only')") == [("on",)]


def test_a_statement_that_takes_too_long_is_ended_and_told(
    bank: Postgres, postgres_server: PostgresServer, engine: duckdb.DuckDBPyConnection
) -> None:
    postgres_server.execute(
        "CREATE VIEW slow AS SELECT i FROM generate_series(1, 3) i WHERE pg_sleep(30) IS NOT NULL", bank.database
    )
    hurried = Postgres(**{**bank.model_dump(), "statement_timeout": 0.2})
    scan = hurried.scan(engine, Stream("slow", PostgresStream()), State())
    with pytest.raises(duckdb.Error) as told:
        scan.relation.fetchall()
    scan.close()
    meant = hurried.explain(told.value)
    assert isinstance(meant, TransientError)
    assert meant.code == "postgres.timeout"


def test_a_snapshot_the_server_let_go_of_is_told(bank: Postgres, postgres_server: PostgresServer) -> None:
    with bank.consistent(), duckdb.connect() as engine:
        bank.scan(engine, Stream("accounts", PostgresStream()), State()).close()
        holders = idle(postgres_server, bank)
        assert len(holders) == 1
        postgres_server.execute(f"SELECT pg_terminate_backend({holders[0][0]}, 5000)")
        with pytest.raises(TransientError, match=r"\[postgres.snapshot_lost\]"):
            bank.scan(engine, Stream("bookings", PostgresStream()), State())
