"""The Flight SQL source against a stub of ours; what is real: tests/connectors/test_flightsql_servers.py."""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.connectors._sql.reading import DriverReading
from dataflow_platform.connectors.flightsql import FlightSql
from dataflow_platform.core.base import State, Window
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.predicate import Predicate
from dataflow_platform.core.sql import quote
from tests.fixtures.certificates import certificates
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.flight_sql_stub import PASSWORD, TOKEN, Stub, running
from tests.fixtures.sqlite_shop import read, rows, stream

STUB = f"our stub of Flight SQL on DuckDB {duckdb.__version__}"
SHOP = """
CREATE SCHEMA sales;
CREATE TABLE sales.orders AS SELECT range AS id, CAST(range AS DECIMAL(10,2)) AS price,
    DATE '2020-01-01' + CAST(range AS INTEGER) AS day, TIMESTAMP '2020-01-01' + INTERVAL (range) MINUTE AS wall,
    'k' || range AS code FROM range(1, 20001);
CREATE VIEW sales.recent AS SELECT id FROM sales.orders WHERE id > 19990;
CREATE TABLE "odd ""name: 100%." ("a:b" BIGINT);
INSERT INTO "odd ""name: 100%." VALUES (1), (NULL);
"""


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running(SHOP) as server:
        yield server


@pytest.fixture
def source(stub: Stub) -> FlightSql:
    return FlightSql(host="127.0.0.1", port=stub.port, tls=False)


@pytest.mark.evidence("flightsql", "source", "own_stub")
def test_what_is_discovered_is_read(
    source: FlightSql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    names = ['main."odd ""name: 100%."', "sales.orders", "sales.recent"]
    assert source.discover() == names
    assert [[column.name for column in table.columns] for table in source.catalogue()] == [
        ["a:b"], ["id", "price", "day", "wall", "code"], ["id"],
    ]  # fmt: skip
    assert read(source, engine, stream(names[0])) == [(1,), (None,)]
    counted = source.scan(engine, stream("sales.orders"), State())
    # 20,000 * 20,001 / 2
    assert rows(counted, "count(*), sum(id), sum(price)") == [(20_000, 200_010_000, Decimal("200010000.00"))]
    ran_against(source, STUB)


ODD = pa.table(
    {
        "long": pa.array([Decimal("12345678901234567890123456789012345678901234.12"), None], pa.decimal256(50, 2)),
        "second": pa.array([1, None], pa.timestamp("s")),
        "nano": pa.array([1_000_000_001, None], pa.timestamp("ns")),
        "zoned": pa.array([1_577_836_800_000_001, None], pa.timestamp("us", "America/New_York")),
        "word": pa.array(["a", None]).dictionary_encode(),
        "half": pa.array([1.5, None], pa.float16()),
        "days": pa.array([86_400_000, None], pa.date64()),
        "small": pa.array([255, None], pa.uint8()),
        "many": pa.array([[dt.datetime(2020, 1, 1), None], None], pa.list_(pa.timestamp("ns", "UTC"))),
        "person": pa.array([{"a b": 1, "c": None}, None], pa.struct([("a b", pa.int8()), ("c", pa.string())])),
        "by": pa.array([[("x", 1)], None], pa.map_(pa.string(), pa.int64())),
    }
)
# The numbers above as DuckDB writes them; 1,577,836,800 seconds are 2020-01-01.
AS_TEXTS = {
    "long": ("VARCHAR", "12345678901234567890123456789012345678901234.12"),
    "second": ("TIMESTAMP", "1970-01-01 00:00:01"),
    "nano": ("TIMESTAMP_NS", "1970-01-01 00:00:01.000000001"),
    "zoned": ("TIMESTAMP WITH TIME ZONE", "2020-01-01 00:00:00.000001+00"),
    "word": ("VARCHAR", "a"),
    "half": ("FLOAT", "1.5"),
    "days": ("DATE", "1970-01-02"),
    "small": ("UTINYINT", "255"),
    "many": ("TIMESTAMP WITH TIME ZONE[]", "['2020-01-01 00:00:00+00', NULL]"),
    "person": ('STRUCT("a b" TINYINT, c VARCHAR)', "{'a b': 1, 'c': NULL}"),
    "by": ("MAP(VARCHAR, BIGINT)", "{x=1}"),
}


@pytest.mark.evidence("flightsql", "source", "own_stub")
def test_types_are_the_schemas(
    stub: Stub, source: FlightSql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    stub.held["odd"] = ODD
    scan = source.scan(engine, stream("odd"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in AS_TEXTS.items()}
    full, empty = rows(scan, ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in AS_TEXTS))
    assert full == tuple(text for _, text in AS_TEXTS.values())
    assert set(empty) == {None}
    ran_against(source, STUB)


@pytest.mark.parametrize(
    "refused",
    [
        pa.array([1], pa.timestamp("ns", "UTC")),
        pa.array([1], pa.time64("ns")),
        pa.array([[1]], pa.list_(pa.timestamp("ns", "UTC"))),
    ],
    ids=lambda array: str(array.type),
)
def test_a_value_that_would_change_is_refused(
    stub: Stub, source: FlightSql, engine: duckdb.DuckDBPyConnection, refused: "pa.Array[Any]"
) -> None:
    stub.held["odd"] = pa.table({"x": refused})
    with pytest.raises(DataError, match="column 'x'"):
        read(source, engine, stream("odd"))


def test_a_type_nothing_keeps_is_refused_by_name(
    stub: Stub, source: FlightSql, engine: duckdb.DuckDBPyConnection
) -> None:
    stub.held["odd"] = pa.table({"x": pa.array([1], pa.duration("s")), "y": pa.array([1])})
    with pytest.raises(ConfigError, match=r"x \(duration\[s\]\)"):
        source.scan(engine, stream("odd"), State())


ASKED: dict[str, tuple[Any, State, str | None, list[int]]] = {
    "integer": (stream("sales.orders", "id"), State("19999"), '"id" >= 19999', [19_999, 20_000]),
    "decimal below": (
        stream("sales.orders", "price"), State("5.00", until=Decimal("6.5")),
        """"price" >= CAST('5.00' AS DECIMAL(10, 2)) AND "sales"."orders"."price" < CAST('6.5' AS DECIMAL(10, 2))""",
        [5, 6],
    ),
    "window of days": (
        # Day 19,998 after 2020-01-01 is 2074-10-02.
        stream("sales.orders"), State(window=Window("day", dt.datetime(2074, 10, 2), dt.datetime(2074, 10, 3))),
        """"day" >= CAST('2074-10-02' AS DATE) AND "sales"."orders"."day" < CAST('2074-10-03' AS DATE)""",
        [19_998],
    ),
    # Whether a bare time has a zone is the server's own: the engine filters.
    "time": (stream("sales.orders", "wall"), State("2020-01-14 21:20:00"), None, list(range(1, 20_001))),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.evidence("flightsql", "source", "own_stub")
def test_the_server_filters_what_it_orders_as_duckdb_does(
    stub: Stub, source: FlightSql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst, case: str
) -> None:
    wanted, state, sent, expected = ASKED[case]
    scan = source.scan(engine, wanted, state)
    assert [each for (each,) in rows(scan, "id")] == expected
    if sent is None:
        assert "WHERE" not in stub.asked[-1]
    else:
        assert stub.asked[-1].endswith(sent)
    ran_against(source, STUB)


def test_columns_and_rows_the_steps_want(stub: Stub, source: FlightSql, engine: duckdb.DuckDBPyConnection) -> None:
    orders = stream("sales.orders")
    keeps = (Predicate("id", "in", (7, 8)), Predicate("code", "=", ("k7",)), Predicate("day", "is not null"))
    wanted = type(orders)(orders.name, orders.options, columns=("id", "code"), keeps=keeps)
    # The server's order of texts is not known: of 7 and 8 it sends both.
    assert read(source, engine, wanted) == [(7, "k7"), (8, "k8")]
    assert stub.asked[-1] == (
        'SELECT "sales"."orders"."id", "sales"."orders"."code" \nFROM "sales"."orders" \n'
        'WHERE "sales"."orders"."id" IN (7, 8) AND "sales"."orders"."day" IS NOT NULL'
    )


def test_queries_and_names_that_are_not_there(source: FlightSql, engine: duckdb.DuckDBPyConnection) -> None:
    asked = stream(query="SELECT id AS n, 'a:b 5%?' AS word FROM sales.orders WHERE id = 3 -- the end")
    assert read(source, engine, asked) == [(3, "a:b 5%?")]
    assert read(source, engine, stream("sales.orders", as_text=["price"], columns=["price"]))[0] == ("1.00",)
    with pytest.raises(ConfigError) as unknown:
        source.scan(engine, stream("sales.order"), State())
    assert (unknown.value.code, unknown.value.fix[:29]) == ("table.unknown", "did you mean 'sales.orders'? ")
    with pytest.raises(ConfigError):
        source.scan(engine, stream(query="SELECT nothing FROM sales.orders"), State())


def test_a_break_in_the_middle_is_an_error_and_no_end(
    stub: Stub, source: FlightSql, engine: duckdb.DuckDBPyConnection
) -> None:
    stub.breaks_after = 3
    with pytest.raises(TransientError) as lost:
        read(source, engine, stream("sales.orders"))
    assert lost.value.code == "sql.lost"


def test_a_scan_closes_while_the_engine_still_reads(source: FlightSql, engine: duckdb.DuckDBPyConnection) -> None:
    # DuckDB reads ahead of a LIMIT.
    for _ in range(5):
        scan = source.scan(engine, stream(query="SELECT range AS id FROM range(5000000)"), State())
        assert scan.relation.limit(2).fetchall() == [(0,), (1,)]
        scan.close()


def test_logins(engine: duckdb.DuckDBPyConnection) -> None:
    with running(SHOP, guarded=True) as stub:
        place: dict[str, Any] = {"host": "127.0.0.1", "port": stub.port, "tls": False}
        logins = ({"user": "reader", "password": PASSWORD}, {"token": TOKEN})
        assert [read(FlightSql(**place, **login), engine, stream("sales.recent"))[0] for login in logins] == [
            (19_991,), (19_991,),
        ]  # fmt: skip
        wrong: list[dict[str, Any]] = [{}, {"user": "reader", "password": "wrong?%"}, {"token": "wrong?%"}]
        for login in wrong:
            with pytest.raises(ConfigError) as refused:
                FlightSql(**place, **login).test_connection()
            assert refused.value.code == "sql.login"
            assert "wrong?%" not in str(refused.value)


def test_tls_is_verified(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    files = certificates()
    (tmp_path / "ca.pem").write_bytes(files["ca.pem"])
    with running(SHOP, tls=(files["server.pem"], files["server.key"])) as stub:
        trusting = FlightSql(host="127.0.0.1", port=stub.port, ca_file=str(tmp_path / "ca.pem"))
        assert read(trusting, engine, stream("sales.recent"))[0] == (19_991,)
        for name in ("missing.pem", None):
            with pytest.raises(ConfigError) as refused:
                FlightSql(host="127.0.0.1", port=stub.port, ca_file=name and str(tmp_path / name)).test_connection()
            assert refused.value.code == "sql.tls"
        with pytest.raises(DataflowError):
            FlightSql(host="127.0.0.1", port=stub.port, tls=False).test_connection()


def test_wide_rows_come_in_the_servers_batches(source: FlightSql, engine: duckdb.DuckDBPyConnection) -> None:
    # 1,000 rows of 20,000 letters in one message are 20 MB: more than gRPC takes unless told.
    wide = stream(query="SELECT range AS id, repeat('x', 20000) AS text FROM range(1000)")
    scan = source.scan(engine, wide, State())
    assert rows(scan, "count(*), sum(length(text))") == [(1_000, 20_000_000)]


def test_nothing_is_freed_while_it_is_read() -> None:
    # Drivers crash where another thread closes what is read: the end waits for the read, and is the last word.
    reading = _Slow([], lambda error: ConfigError("x", str(error)), "here")
    with ThreadPoolExecutor(2) as threads:
        read_ahead = threads.submit(reading.next, 1)
        assert reading.reads.wait(10)
        closed = threads.submit(reading.close)
        assert reading.told.wait(10)
        assert not reading.freed.wait(0.1)
        reading.answered.set()
        assert read_ahead.result(10) == "batch"
        closed.result(10)
    assert reading.freed.is_set()
    assert reading.next(1) is None


class _Slow(DriverReading):
    """A read that lasts until its answer is there."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.reads, self.told, self.answered, self.freed = Event(), Event(), Event(), Event()

    def _batch(self, size: int) -> Any:
        self.reads.set()
        assert self.answered.wait(10)
        return "batch"

    def _interrupt(self) -> None:
        self.told.set()

    def _end(self) -> None:
        self.freed.set()
