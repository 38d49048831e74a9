"""The Flight SQL source against servers of others: Sail (Spark's SQL) and ROAPI (DataFusion's).

How to install them: tests/fixtures/flight_sql_servers.py. Neither lists its tables in a way the driver understands.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.flightsql import FlightSql
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.predicate import Predicate
from dataflow_platform.core.sql import quote
from tests.fixtures import flight_sql_servers
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

STATEMENTS = [
    "CREATE DATABASE sales",
    "CREATE TABLE sales.types (id BIGINT, t TINYINT, s SMALLINT, i INT, price DECIMAL(10,2), big DECIMAL(38,9), "
    'f FLOAT, d DOUBLE, yes BOOLEAN, `odd "name: 100%.` STRING, day DATE, moment TIMESTAMP, wall TIMESTAMP_NTZ, '
    "bytes BINARY, many ARRAY<INT>, m MAP<STRING,INT>, person STRUCT<name: STRING, age: INT>)",
    "INSERT INTO sales.types VALUES (9223372036854775807, -128, -32768, -2147483648, 12.30, "
    "12345678901234567890123456789.123456789, float('1.1'), 0.1, true, \"a'b ünï\", DATE '2020-02-29', "
    "TIMESTAMP '2013-01-01 05:00:00.123456-05:00', TIMESTAMP_NTZ '2020-01-01 00:00:00.123456', X'00ff10', "
    "array(1, NULL), map('a', 1), named_struct('name', NULL, 'age', 5))",
    "INSERT INTO sales.types VALUES (2" + 16 * ", NULL" + ")",
    # Day n after 2020-01-01 is row n.
    "CREATE TABLE sales.orders AS SELECT id, concat('k', id) AS code, CAST(id AS DECIMAL(20,2)) AS price, "
    "date_add(DATE '2020-01-01', CAST(id AS INT)) AS day, make_timestamp_ntz(2020, 1, 1, 0, 0, id % 60) AS wall "
    "FROM range(1, 20001)",
    "CREATE VIEW sales.recent AS SELECT id FROM sales.orders WHERE id > 19990",
]
# By hand from the INSERT above.
EXPECTED = {
    "id": ("BIGINT", "9223372036854775807"),
    "t": ("TINYINT", "-128"),
    "s": ("SMALLINT", "-32768"),
    "i": ("INTEGER", "-2147483648"),
    "price": ("DECIMAL(10,2)", "12.30"),
    "big": ("DECIMAL(38,9)", "12345678901234567890123456789.123456789"),
    "f": ("FLOAT", "1.1"),
    "d": ("DOUBLE", "0.1"),
    "yes": ("BOOLEAN", "true"),
    'odd "name: 100%.': ("VARCHAR", "a'b ünï"),
    "day": ("DATE", "2020-02-29"),
    "moment": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
    "wall": ("TIMESTAMP", "2020-01-01 00:00:00.123456"),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "many": ("INTEGER[]", "[1, NULL]"),
    "m": ("MAP(VARCHAR, INTEGER)", "{a=1}"),
    "person": ('STRUCT("name" VARCHAR, age INTEGER)', "{'name': NULL, 'age': 5}"),
}


@pytest.fixture(scope="module")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlightSql]:
    with flight_sql_servers.sail(tmp_path_factory.mktemp("sail")) as port:
        server = FlightSql(host="127.0.0.1", port=port, tls=False, identifier_quote="`")
        with server.connected() as connection:
            for statement in STATEMENTS:
                connection.answered(statement)
        yield server


@pytest.mark.evidence("flightsql", "source", "real_server")
def test_every_type_arrives_exactly(
    sail: FlightSql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    scan = sail.scan(engine, stream("sales.types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in EXPECTED)
    empty, full = sorted(rows(scan, texts), key=lambda row: len(row[0]))
    assert dict(zip(EXPECTED, full, strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    assert (empty[0], set(empty[1:])) == ("2", {None})
    ran_against(sail, flight_sql_servers.version("sail"))


# Day 19,999 after 2020-01-01 is 2074-10-03.
WINDOW = Window("day", dt.datetime(2074, 10, 2), dt.datetime(2074, 10, 4))
ASKED: dict[str, tuple[Stream, State, list[Any]]] = {
    "integer": (stream("sales.orders", "id", columns=("id",)), State("19999"), [19_999, 20_000]),
    "integer below": (stream("sales.orders", "id", columns=("id",)), State("5", until=Decimal(7)), [5, 6]),
    "decimal": (stream("sales.orders", "price", columns=("id",)), State("19999.00"), [19_999, 20_000]),
    "decimal below": (stream("sales.orders", "price", columns=("id",)), State("5", until=Decimal("6.5")), [5, 6]),
    "date": (stream("sales.orders", "day", columns=("id",)), State("2074-10-03"), [19_999, 20_000]),
    "window": (stream("sales.orders", columns=("id",)), State(window=WINDOW), [19_998, 19_999]),
    "keeps": (
        Stream("sales.orders", stream("sales.orders", columns=("id",)).options, keeps=(Predicate("id", "in", (3, 4)),)),
        State(),
        [3, 4],
    ),
}


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.evidence("flightsql", "source", "real_server")
def test_cursors_bounds_and_windows_are_the_servers(
    sail: FlightSql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst, case: str
) -> None:
    wanted, state, expected = ASKED[case]
    assert [each for (each,) in read(sail, engine, wanted, state)] == expected
    ran_against(sail, flight_sql_servers.version("sail"))


@pytest.mark.evidence("flightsql", "source", "real_server")
def test_views_queries_and_what_is_not_there(
    sail: FlightSql, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    assert sail.test_connection().startswith("Arrow Flight SQL at grpc://127.0.0.1:")
    # 19,991 to 20,000
    assert rows(sail.scan(engine, stream("sales.recent"), State()), "count(*), sum(id)") == [(10, 199_955)]
    asked = "SELECT id, price, 'a:b 5%' AS word FROM sales.orders WHERE id % 10000 = 0 -- twice"
    assert read(sail, engine, Stream("q", stream(query=asked).options, "id"), State("15000")) == [
        (20_000, Decimal(20_000), "a:b 5%")
    ]
    assert read(sail, engine, stream("sales.types", as_text=["price"], columns=["price"])) == [("12.30",), (None,)]
    with pytest.raises(ConfigError) as unknown:
        sail.scan(engine, stream("sales.order"), State())
    assert unknown.value.code == "table.unknown"
    with pytest.raises(ConfigError) as twice:
        sail.scan(engine, stream(query="SELECT 1 AS a, 2 AS A"), State())
    assert twice.value.code == "query.columns"
    with pytest.raises(ConfigError) as unlisted:
        sail.discover()
    assert unlisted.value.code == "sql.catalogue"
    ran_against(sail, flight_sql_servers.version("sail"))


def test_a_scan_closes_while_the_engine_still_reads(sail: FlightSql, engine: duckdb.DuckDBPyConnection) -> None:
    for _ in range(5):
        scan = sail.scan(engine, stream(query="SELECT id FROM range(50000000)"), State())
        assert scan.relation.limit(2).fetchall() == [(0,), (1,)]
        scan.close()


@pytest.mark.evidence("flightsql", "source", "real_server")
def test_another_server_with_other_quotes(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    file = tmp_path / "orders.parquet"
    duckdb.sql(
        "SELECT range AS id, 'k' || range AS \"Code\", CAST(range AS DECIMAL(20,2)) AS price, [range] AS many, "
        "TIMESTAMP '2020-01-01' + INTERVAL (range) MINUTE AS wall FROM range(1, 20001)"
    ).write_parquet(str(file))
    with flight_sql_servers.roapi(tmp_path, orders=file) as port:
        source = FlightSql(host="127.0.0.1", port=port, tls=False)
        scan = source.scan(engine, stream("orders", "id"), State("19999"))
        assert list(map(str, scan.relation.types)) == ["BIGINT", "VARCHAR", "DECIMAL(20,2)", "BIGINT[]", "TIMESTAMP"]
        # Row n is minute n: 20,000 minutes are 13 days, 21 hours and 20 minutes.
        last = (20_000, "k20000", Decimal(20_000), [20_000], dt.datetime(2020, 1, 14, 21, 20))
        assert rows(scan)[1] == last
        assert read(source, engine, stream("orders", "price"), State("5", until=Decimal("5.01")))[0][0] == 5
        with pytest.raises(ConfigError) as unknown:
            source.scan(engine, stream("order"), State())
        assert unknown.value.code == "table.unknown"
        ran_against(source, flight_sql_servers.version("roapi"))
