"""MariaDB to DuckDB and to PostgreSQL by the engine's line: types, increments, many rows, the snapshot."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core.base import Destination, Scan, State, Stream, Table
from dataflow_platform.core.errors import ConfigError, TransientError
from dataflow_platform.core.registry import load_strategy
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.transformations.filter import Filter
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.mariadb_shop import EXPECTED, stream

pytestmark = pytest.mark.mariadb


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    if request.param == "duckdb":
        yield DuckDB(path=str(tmp_path / "w.duckdb"))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"from_mysql_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=server.port, database=name, user="postgres", password=server.password
    )
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def news(mysql_shop: MySQL, mariadb_server: MariaDBServer) -> Iterator[MariaDBServer]:
    """A table ``shop.news`` of three rows, two at the same time, to be added to."""
    mariadb_server.execute(
        "CREATE TABLE news (id int PRIMARY KEY, at timestamp(6) NULL, text varchar(20)) CHARACTER SET utf8mb4;"
        "GRANT SELECT ON news TO reader; INSERT INTO news VALUES (1, '2020-01-01 00:00:00', 'a'), "
        "(2, '2020-01-01 00:00:01.5', 'b'), (3, '2020-01-01 00:00:01.5', 'c')", "shop",
    )  # fmt: skip
    yield mariadb_server
    mariadb_server.execute("DROP TABLE shop.news")


def load(source: MySQL, warehouse: Destination, wanted: Stream, how: str = "append", **values: Any) -> LoadRecord:
    made = StreamLoad(
        pipeline="p", stream=wanted, source=source, destination=warehouse, target=Table("raw", "t"),
        strategy=load_strategy(how)(), strategy_name=how, load_id=uuid.uuid4().hex,
    )  # fmt: skip
    return publish(stage(replace(made, **values)))


def read(warehouse: Destination, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.reader() as connection:
        return connection.execute(sql).fetchall()


def test_every_type_is_loaded_exactly(mysql_shop: MySQL, warehouse: Destination) -> None:
    """What PostgreSQL keeps under a wider type (numbers without sign, enums) has the same text there."""
    load(mysql_shop, warehouse, stream("types"))
    names = [name for name in EXPECTED if name != "js"]  # PostgreSQL's jsonb writes the same value with other blanks
    written = ", ".join('"' + name.replace('"', '""') + '"::VARCHAR' for name in names)
    found = read(warehouse, f"SELECT {written} FROM raw.t WHERE id = 1")[0]
    assert dict(zip(names, found, strict=True)) == {name: EXPECTED[name][1] for name in names}
    assert read(warehouse, "SELECT js->>'a' FROM raw.t WHERE id = 1") == [("1",)]


def test_increments_lose_no_tie_and_repeat_none(mysql_shop: MySQL, warehouse: Destination, news: MariaDBServer) -> None:
    wanted = replace(stream("news", cursor="at"), primary_key=("id",))
    assert load(mysql_shop, warehouse, wanted, "merge").rows_loaded == 3
    assert load(mysql_shop, warehouse, wanted, "merge").rows_loaded == 0
    # One more at the very time that was the greatest, one later, and an old row changed without a new time.
    news.execute(
        "INSERT INTO news VALUES (4, '2020-01-01 00:00:01.5', 'd'), (5, '2020-01-01 00:00:02', 'e');"
        "UPDATE news SET text = 'not seen' WHERE id = 1; UPDATE news SET at = '2020-01-02', text = 'C' WHERE id = 3",
        "shop",
    )
    third = load(mysql_shop, warehouse, wanted, "merge")
    assert (third.rows_inserted, third.rows_updated) == (2, 1)
    # The server's zone is five hours behind UTC.
    assert third.cursor_after == "2020-01-02 05:00:00+00"
    assert read(warehouse, "SELECT id, text FROM raw.t ORDER BY id") == [
        (1, "a"), (2, "b"), (3, "C"), (4, "d"), (5, "e"),
    ]  # fmt: skip


def test_a_row_that_comes_while_the_load_counts_is_left_to_the_next_one(
    mysql_shop: MySQL, tmp_path: Path, news: MariaDBServer
) -> None:
    """Each query of the scanner sees its own moment. A source asked twice, for the rows and then for what was
    read, would store a cursor beyond a row it never staged: the filter makes the engine count apart."""
    warehouse, wanted = DuckDB(path=str(tmp_path / "w.duckdb")), stream("news", cursor="at")
    steps = [Filter.model_validate("text <> 'b'")]
    before = len(news.logged())
    first = load(mysql_shop, warehouse, wanted, steps=steps)
    assert (first.rows_read, first.rows_loaded, first.rows_filtered) == (3, 2, 1)
    read_by_scanner = [
        line for line in news.logged(before).splitlines() if "Execute\tSELECT `id`" in line and "`news`" in line
    ]
    assert len(read_by_scanner) == 1


def test_a_load_that_breaks_off_leaves_nothing_and_runs_again(
    mysql_shop: MySQL, warehouse: Destination, mariadb_server: MariaDBServer
) -> None:
    """The server ends the session as soon as the load reads; what came before must not be there."""
    mariadb_server.execute(
        "CREATE FUNCTION shop.stopped(i int) RETURNS int DETERMINISTIC "
        "IF i = 250000 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Lost connection to the test'; "
        "ELSE RETURN i; END IF;"
    )
    mariadb_server.execute(
        "CREATE VIEW stopping AS SELECT stopped(id) AS id, at, filler FROM many; GRANT SELECT ON stopping TO reader",
        "shop",
    )
    try:
        # The catalogue says nothing of a view whose functions the account may not call.
        with pytest.raises(ConfigError) as refused:
            load(mysql_shop, warehouse, stream("stopping"))
        mariadb_server.execute("GRANT EXECUTE ON FUNCTION shop.stopped TO reader")
        with pytest.raises(TransientError) as caught:
            load(mysql_shop, warehouse, stream("stopping"))
    finally:
        mariadb_server.execute("DROP VIEW shop.stopping; DROP FUNCTION shop.stopped")
    assert refused.value.code == "mysql.permission"
    assert "GRANT EXECUTE" in refused.value.fix
    assert caught.value.code == "mysql.lost"
    assert load(mysql_shop, warehouse, stream("recent")).rows_loaded == 10
    assert read(warehouse, "SELECT count(*), min(id) FROM raw.t") == [(10, 991)]


def test_many_rows_arrive_whole(mysql_shop: MySQL, tmp_path: Path) -> None:
    """That they need no memory on the way is shown where they are only counted, in test_mysql.py: DuckDB takes
    some of its own to write long texts, whoever sends them."""
    warehouse = DuckDB(path=str(tmp_path / "w.duckdb"), threads=2)
    assert load(mysql_shop, warehouse, stream("many")).rows_loaded == 300_000
    # ids 1 to 300,000: their sum is 300,000 * 300,001 / 2.
    found = read(warehouse, "SELECT count(DISTINCT id), sum(id), sum(length(filler)), max(price) FROM raw.t")
    assert found == [(300_000, 45_000_150_000, 300_000 * 480, Decimal("3000.00"))]


class Telling(MySQL):
    """Each row says what memory the engine had when it was read."""

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        scan = super().scan(connection, stream, state)
        return replace(scan, relation=scan.relation.project("id, current_setting('memory_limit') AS memory"))


def test_rows_that_only_pass_through_take_little_memory(mysql_shop: MySQL, tmp_path: Path) -> None:
    warehouse = DuckDB(path=str(tmp_path / "w.duckdb"), threads=2)
    load(Telling(**mysql_shop.model_dump()), warehouse, stream("orders"), "replace")
    [(memory,)] = read(warehouse, "SELECT DISTINCT memory FROM raw.t")
    # Of 488.2 MiB: for some 10 columns and 2 threads twice a million bytes each, and 64 million bytes, at most.
    assert float(memory.removesuffix(" MiB")) < 110
