"""A table that needs expressions is read by several connections at once, each a range of pages of one snapshot."""

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.connectors.postgres.connection import load_scanner
from dataflow_platform.connectors.postgres.page_ranges import page_ranges
from dataflow_platform.core import injection
from dataflow_platform.core.base import Scan, State, Stream, Table
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.sql import literal
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine import engine_limits
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.replace import Replace

# A row fills a page: 2,100 rows are more than the 2,000 pages that are worth two connections.
TABLES = """
CREATE TABLE ledger (id int, amount numeric(12,2), code char(3), filler text);
ALTER TABLE ledger ALTER filler SET STORAGE PLAIN;
INSERT INTO ledger SELECT i, i, 'a', repeat('x', 4100) FROM generate_series(1, 2100) i;
CREATE TABLE little (id int, amount numeric(12,2)); INSERT INTO little VALUES (1, 1);
CREATE VIEW seen AS SELECT * FROM ledger;
"""
BEFORE = (2100, 2100 * 2101 // 2, "a  ")  # the sum of 1 to 2,100


@pytest.fixture
def bank(postgres_server: PostgresServer) -> Iterator[Postgres]:
    name = f"ledger_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    postgres_server.execute(TABLES, name)
    yield Postgres(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres", password=postgres_server.password
    )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def load(source: Postgres, folder: Path, **fields: Any) -> StreamLoad:
    return StreamLoad(
        pipeline="p", stream=Stream("ledger", PostgresStream()), source=source,
        destination=DuckDB(path=str(folder / "w.duckdb"), threads=2), target=Table("raw", "t"), strategy=Replace(),
        strategy_name="replace", load_id=uuid.uuid4().hex, **fields,
    )  # fmt: skip


def loaded(staged: StagedLoad, folder: Path) -> Any:
    publish(staged)
    with DuckDB(path=str(folder / "w.duckdb")).reader() as connection:
        return connection.execute("SELECT count(*), sum(amount)::INT, any_value(code) FROM raw.t").fetchone()


@given(st.integers(0, 10**7), st.integers(1, 64), st.data())
def test_every_page_is_in_one_range(pages: int, threads: int, data: st.DataObject) -> None:
    ranges = page_ranges(pages, threads)
    assert len(ranges) <= max(1, min(threads, 8, pages // 1000))
    page = data.draw(st.integers(0, 2 * pages + 10))  # also those that come later
    wanted = [re.sub(r"'\((\d+),0\)'", r"\1", each).replace("ctid", str(page)) or "TRUE" for each in ranges]
    met = [all(_holds(part) for part in condition.split(" AND ")) for condition in wanted]
    assert met.count(True) == 1


def _holds(comparison: str) -> bool:
    if comparison == "TRUE":
        return True
    left, sign, right = comparison.split()
    return int(left) >= int(right) if sign == ">=" else int(left) < int(right)


def test_what_is_written_meanwhile_is_not_seen(bank: Postgres, postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Rows that move to other pages, go or come after the snapshot: two readers see the moment before all that."""
    changes = (
        "UPDATE ledger SET amount = amount + 1, id = 3000 - id; DELETE FROM ledger WHERE id % 3 = 0; "
        "INSERT INTO ledger SELECT i, 7, 'b', repeat('y', 4100) FROM generate_series(1, 500) i"
    )

    def change(point: str, _: int) -> None:
        if point == "scanned":
            postgres_server.execute(changes, bank.database)

    start = len(postgres_server.log.read_text())
    injection.arm(change)
    try:
        with bank.consistent():
            staged = stage(load(bank, tmp_path))
    finally:
        injection.arm(None)
    assert loaded(staged, tmp_path) == BEFORE
    log = postgres_server.log.read_text()[start:]
    copies = re.findall(r"\[(\d+)\] LOG:  (?:statement|execute .*): COPY .*(ctid [<>]=? '\(\d+,0\)')", log)
    # Two backends, half of the 2,100 pages each.
    assert {condition for _, condition in copies} == {"ctid < '(1050,0)'", "ctid >= '(1050,0)'"}
    assert len({process for process, _ in copies}) == 2
    assert len(set(re.findall(r"SET TRANSACTION SNAPSHOT '([^']+)'", log))) == 1


class Late(Postgres):
    """A table that grows after its pages were counted and before the snapshot."""

    def _described(self, stream: Stream) -> Any:
        found = super()._described(stream)
        more = "INSERT INTO ledger SELECT 5000 + i, 0, 'a', repeat('x', 4100) FROM generate_series(1, 300) i"
        connection = self.connect()
        connection.set_session(readonly=False)
        connection.cursor().execute(more)
        connection.commit()
        connection.close()
        return found


def test_pages_that_came_before_the_snapshot_are_read(bank: Postgres, tmp_path: Path) -> None:
    late = Late(**bank.model_dump())
    with late.consistent():
        assert loaded(stage(load(late, tmp_path)), tmp_path) == (2400, *BEFORE[1:])


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "2"}) as opened:
        yield opened


def legs(source: Postgres, engine: duckdb.DuckDBPyConnection, stream: Stream, state: State | None = None) -> Scan:
    scan = source.scan(engine, stream, state or State())
    scan.close()
    return scan


def test_what_is_read_by_one_query(bank: Postgres, engine: duckdb.DuckDBPyConnection) -> None:
    ledger = Stream("ledger", PostgresStream(), "id")
    assert legs(bank, engine, ledger).legs == 1  # no snapshot to share
    with bank.consistent():
        assert legs(bank, engine, ledger).legs == 2
        assert legs(bank, engine, ledger, State(cursor="5", cursor_type="INTEGER")).legs == 1
        assert legs(bank, engine, Stream("little", PostgresStream())).legs == 1
        assert legs(bank, engine, Stream("seen", PostgresStream())).legs == 1
        whole = PostgresStream.model_validate({"query": "SELECT * FROM ledger"})
        assert legs(bank, engine, Stream("asked", whole)).legs == 1


def test_the_parts_of_a_union_are_filled_in_at_once(bank: Postgres, tmp_path: Path) -> None:
    """Each part waits for the other, twenty seconds at most: one after another, the first would wait in vain."""
    with closing(DuckDB(path=str(tmp_path / "w.duckdb"), threads=2).session()) as session:
        side = session.connection.cursor()
        load_scanner(side)
        parts = []
        for mine, other in ((1, 2), (2, 1)):
            bank.attach(side, f"part_{mine}")
            held = f"CASE WHEN pg_try_advisory_lock({other}) THEN NOT pg_advisory_unlock({other}) ELSE TRUE END"
            ask = (
                f"SELECT 1 AS met FROM (SELECT pg_advisory_lock({mine})::text AS mine OFFSET 0) AS here, "
                f"LATERAL (SELECT {held} AS there, pg_sleep(0.05) FROM generate_series(1, 400) "
                "WHERE mine IS NOT NULL OFFSET 0) AS waited WHERE there LIMIT 1"
            )
            parts.append(f"SELECT * FROM postgres_query('part_{mine}', {literal(ask)})")
        query = " UNION ALL ".join(parts)
        staged = session.stage(f"SELECT * FROM ({query}) LIMIT 0", Table("raw", "t"))
        session.fill(staged, query)
        assert session.in_engine(f'SELECT count(*) FROM raw."{staged.name}"') == [(2,)]


HAD = "current_setting('threads') AS threads, current_setting('memory_limit') AS memory"


class Telling(Postgres):
    """Each row says what the engine had when it was read."""

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        scan = super().scan(connection, stream, state)
        return replace(scan, relation=scan.relation.project(f"*, {HAD}"))


@pytest.mark.parametrize("large", [False, True])
def test_the_engine_has_what_is_of_use(bank: Postgres, tmp_path: Path, large: bool) -> None:
    telling = Telling(**{**bank.model_dump(), "snapshot": "run" if large else "stream"})
    with telling.consistent():
        staged = stage(load(telling, tmp_path))
    assert staged.staged is not None
    # 6 columns and the row's hash, twice a million bytes each for each thread, and 64 million: in binary units.
    assert had(staged) == [(2, "87.7 MiB") if large else (1, "74.3 MiB")]
    assert staged.session.in_engine(f"SELECT {HAD}") == [(2, "488.2 MiB")]
    publish(staged)
    later = replace(load(telling, tmp_path), strategy=Append(), strategy_name="append")
    staged = stage(later)
    # What is staged beside the table is read again: it may stay in memory.
    assert had(staged) == [(1, "488.2 MiB")]
    staged.close()


def had(staged: StagedLoad) -> list[tuple[int, str]]:
    assert staged.staged is not None
    return staged.session.in_engine(
        f'SELECT DISTINCT threads, memory FROM {staged.staged.schema}."{staged.staged.name}"'
    )


@pytest.mark.parametrize("limit", ["400MB", "1536MB", "1.8GiB"])
def test_limits_come_back_after_a_query_that_fails(tmp_path: Path, limit: str) -> None:
    session = DuckDB(path=str(tmp_path / "w.duckdb"), threads=4, memory_limit=limit).session()
    asked = "SELECT current_setting('threads'), current_setting('memory_limit')"
    before = session.in_engine(asked)
    with engine_limits.bounded(session, 10, legs=2, frugal=True):
        # 2 threads, 10 columns: 2 * 2 * 10 + 64 million bytes, in binary units
        assert session.in_engine(asked) == [(2, "99.1 MiB")]
    assert session.in_engine(asked) == before
    with pytest.raises(duckdb.Error, match="on purpose"), engine_limits.bounded(session, 10, legs=2, frugal=True):
        session.in_engine("SELECT error('on purpose')")
    with session.connection.cursor() as other:
        assert other.execute(asked).fetchall() == before
    session.close()


def test_wide_rows_are_written_by_as_many_threads_as_memory_allows(tmp_path: Path) -> None:
    """Four threads cannot write 60 columns within 70 MB; the engine used to end with an error."""
    file = tmp_path / "wide.duckdb"
    with duckdb.connect(str(file)) as connection:
        columns = ", ".join(f"range + {number} AS c{number}" for number in range(60))
        connection.execute(f"CREATE TABLE t AS SELECT {columns} FROM range(370000)")
    session = DuckDB(path=str(tmp_path / "w.duckdb"), threads=4, memory_limit="70MB").session()
    session.connection.cursor().execute(f"ATTACH '{file}' AS source (READ_ONLY)")
    copied = "SELECT * FROM source.t"
    with pytest.raises(duckdb.OutOfMemoryException):
        session.stage(copied, Table("raw", "t"))
    session.connection.execute("ROLLBACK; BEGIN")
    with engine_limits.bounded(session, 60):
        staged = session.stage(copied, Table("raw", "t"))
    assert session.in_engine(f'SELECT count(*) FROM raw."{staged.name}"') == [(370000,)]
    session.close()


def test_a_value_without_a_counterpart_fails_whichever_reader_meets_it(
    bank: Postgres, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    postgres_server.execute("UPDATE ledger SET amount = 'NaN' WHERE id = 2100", bank.database)
    with bank.consistent(), pytest.raises(DataflowError, match='"amount"'):
        stage(load(bank, tmp_path))
