"""The Spark SQL source against Spark's own Thrift server; how to install it: tests/fixtures/spark_server.py."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.hive import Hive
from dataflow_platform.connectors.sparksql import SparkSql
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.core.catalogue import CatalogueTable, matches
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.core.sql import quote
from tests.fixtures import spark_server
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

NEEDED = "needs pyspark's command spark-submit and Java, and here pip install 'pyhive[hive_pure_sasl]>=0.7,<0.8'"
pytest.importorskip("pyhive", reason=NEEDED)
COMMAND = spark_server.command() or pytest.skip(NEEDED, allow_module_level=True)

STATEMENTS = [
    "SET TIME ZONE 'UTC'",
    "CREATE DATABASE sales",
    "CREATE DATABASE archive",
    "CREATE TABLE sales.types (id BIGINT, t TINYINT, s SMALLINT, i INT, price DECIMAL(10,2), big DECIMAL(38,9), "
    'f FLOAT, d DOUBLE, yes BOOLEAN, word STRING, `odd ``: 100%."` STRING, day DATE, moment TIMESTAMP, '
    "wall TIMESTAMP_NTZ, bytes BINARY, many ARRAY<TIMESTAMP>, m MAP<STRING,INT>, person STRUCT<name: STRING, age: INT>)"
    " USING parquet",
    "INSERT INTO sales.types VALUES (9223372036854775807, -128, -32768, -2147483648, 12.30, "
    "12345678901234567890123456789.123456789, float('1.1'), 0.1, true, NULL, \"a'b ünï\", DATE '2020-02-29', "
    "TIMESTAMP '2013-01-01 05:00:00.123456-05:00', TIMESTAMP_NTZ '2020-01-01 00:00:00.123456', X'00ff10', "
    "array(TIMESTAMP '2020-01-01 00:00:00.123456Z', NULL), map('a', 1), named_struct('name', NULL, 'age', 5))",
    "INSERT INTO sales.types (id) VALUES (2)",
    # Minute n after 2020-01-01 is row n.
    "CREATE TABLE sales.orders USING parquet AS SELECT id, concat('k', id) AS code, CAST(id AS DECIMAL(20,2)) AS price,"
    " CAST(id AS DOUBLE) AS ratio, TIMESTAMP '2020-01-01 00:00:00Z' + make_interval(0, 0, 0, 0, 0, id, 0) AS seen, "
    "TIMESTAMP_NTZ '2020-01-01 00:00:00' + make_interval(0, 0, 0, 0, 0, id, 0) AS wall FROM range(1, 20001)",
    "CREATE VIEW sales.recent AS SELECT id FROM sales.orders WHERE id > 19990",
    # 01:30 in New York came twice on 2024-11-03, at 05:30 and at 06:30 UTC.
    "CREATE TABLE sales.twice USING parquet AS SELECT explode(array(TIMESTAMP '2024-11-03 05:30:00Z', "
    "TIMESTAMP '2024-11-03 06:30:00Z')) AS seen",
    "CREATE TABLE archive.parts (id BIGINT, month STRING) USING parquet PARTITIONED BY (month)",
    "INSERT INTO archive.parts VALUES (1, '2020-01')",
    "CREATE TABLE archive.spans (id BIGINT, span INTERVAL DAY TO SECOND) USING parquet",
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
    "word": ("VARCHAR", None),
    'odd `: 100%."': ("VARCHAR", "a'b ünï"),
    "day": ("DATE", "2020-02-29"),
    "moment": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
    "wall": ("TIMESTAMP", "2020-01-01 00:00:00.123456"),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "many": ("JSON", '["2020-01-01T00:00:00.123456Z",null]'),
    "m": ("JSON", '{"a":1}'),
    "person": ("JSON", '{"name":null,"age":5}'),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from pyhive import hive

    with spark_server.thrift_server(COMMAND, tmp_path_factory.mktemp("spark")) as port:
        with closing(hive.connect("127.0.0.1", port, username="admin")) as connection:
            cursor = connection.cursor()
            for statement in STATEMENTS:
                cursor.execute(statement)
        yield port


@pytest.fixture(scope="module")
def server(port: int) -> SparkSql:
    return SparkSql(host="127.0.0.1", port=port, user="reader")


@pytest.fixture(scope="module")
def version(server: SparkSql) -> str:
    import sqlalchemy as sa

    with server.connected() as connection:
        return f"Apache Spark {connection.execute(sa.text('SELECT version()')).scalar_one().split()[0]}"


@pytest.mark.evidence("sparksql", "source", "real_server")
def test_every_type_arrives_exactly(
    server: SparkSql, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    scan = server.scan(engine, stream("sales.types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in EXPECTED)
    empty, full = sorted(rows(scan, texts), key=lambda row: len(row[0]))
    assert dict(zip(EXPECTED, full, strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    assert (empty[0], set(empty[1:])) == ("2", {None})
    ran_against(server, version)


MOMENT = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=19_999)
ASKED: dict[str, tuple[Stream, State, list[Any]]] = {
    "integer": (stream("sales.orders", "id", columns=("id",)), State("19999"), [19_999, 20_000]),
    "integer below": (stream("sales.orders", "id", columns=("id",)), State("5", until=Decimal(7)), [5, 6]),
    "float": (stream("sales.orders", "ratio", columns=("id",)), State("19998.5"), [19_999, 20_000]),
    # As bytes k9999 is the greatest of all.
    "text": (stream("sales.orders", "code", columns=("id",)), State("k9999"), [9_999]),
    # 19,999 minutes are 13 days, 21 hours and 19 minutes; written in another zone.
    "timestamp": (stream("sales.orders", "seen", columns=("id",)), State("2020-01-14 23:19:00+02"), [19_999, 20_000]),
    "timestamp below": (
        stream("sales.orders", "seen", columns=("id",)),
        State("2020-01-14 21:19:00+00", until=MOMENT + dt.timedelta(minutes=1)),
        [19_999],
    ),
    "without a zone": (stream("sales.orders", "wall", columns=("id",)), State("2020-01-14 21:19:00"), [19_999, 20_000]),
    "window": (
        stream("sales.orders", columns=("id",)),
        State(window=Window("seen", MOMENT - dt.timedelta(minutes=2), MOMENT)),
        [19_997, 19_998],
    ),
}


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.evidence("sparksql", "source", "real_server")
def test_cursors_bounds_and_windows_are_the_servers(
    server: SparkSql, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst, case: str
) -> None:
    wanted, state, expected = ASKED[case]
    assert [each for (each,) in read(server, engine, wanted, state)] == expected
    ran_against(server, version)


@pytest.mark.evidence("sparksql", "source", "real_server")
def test_what_is_discovered_is_read(
    server: SparkSql, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    assert server.test_connection().startswith("Apache Spark SQL")
    names = ["archive.parts", "archive.spans", "sales.orders", "sales.recent", "sales.twice", "sales.types"]
    assert server.discover() == names
    found = server.catalogue()
    assert [table.name for table in found] == names
    # What DESCRIBE says of partitions is no column.
    assert [column.name for column in found[0].columns] == ["id", "month"]

    def chosen(table: CatalogueTable) -> bool:
        return matches("sales.*", table) and not any(matches(name, table) for name in ("types", "twice"))

    # 20,000 * 20,001 / 2, and 19,991 to 20,000
    scans = [server.scan(engine, stream(table.name), State()) for table in found if chosen(table)]
    assert [rows(scan, "count(*), sum(id)") for scan in scans] == [[(20_000, 200_010_000)], [(10, 199_955)]]
    ran_against(server, version)


@pytest.mark.evidence("sparksql", "source", "real_server")
def test_an_hour_that_comes_twice(
    server: SparkSql, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    seen = rows(server.scan(engine, stream("sales.twice"), State()), "CAST(seen AS VARCHAR)")
    assert seen == [("2024-11-03 05:30:00+00",), ("2024-11-03 06:30:00+00",)]
    ran_against(server, version)


@pytest.mark.evidence("sparksql", "source", "real_server")
def test_a_query_has_the_types_spark_plans(
    server: SparkSql, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    asked = "SELECT id, price, 'a:b 5%' AS word, array(id) AS many, seen FROM sales.orders WHERE id % 10000 = 0"
    scan = server.scan(engine, Stream("q", stream(query=asked).options, "id"), State("15000"))
    assert [str(kind) for kind in scan.relation.types] == [
        "BIGINT", "DECIMAL(20,2)", "VARCHAR", "JSON", "TIMESTAMP WITH TIME ZONE",
    ]  # fmt: skip
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=20_000)
    (found,) = rows(scan)
    assert (*found[:4], found[4].astimezone(dt.UTC)) == (20_000, Decimal(20_000), "a:b 5%", "[20000]", moment)
    ran_against(server, version)


def test_what_is_not_there_or_cannot_be_kept(server: SparkSql, engine: duckdb.DuckDBPyConnection) -> None:
    for wanted in ("sales.order", "orders"):
        with pytest.raises(ConfigError) as unknown:
            server.scan(engine, stream(wanted), State())
        assert unknown.value.code == "table.unknown"
        assert "did you mean 'sales.orders'" in unknown.value.fix
    with pytest.raises(ConfigError, match=r"span \(interval day to second\)"):
        server.scan(engine, stream("archive.spans"), State())
    with pytest.raises(ConfigError):
        server.scan(engine, stream(query="SELECT nothing FROM sales.orders"), State())
    # Spark itself ends a query that overflows.
    with pytest.raises((ConfigError, DataError)):
        read(server, engine, stream(query="SELECT CAST(id * 100 AS TINYINT) AS t FROM sales.orders"))


def test_hive_reads_by_the_same_statements(port: int, engine: duckdb.DuckDBPyConnection) -> None:
    """Spark's server speaks Hive's protocol, so it shows that the entry's statements and types work on it: not Hive."""
    hive = Hive(host="127.0.0.1", port=port, user="reader")
    assert "sales.orders" in hive.discover()
    flat = ("id", "t", "s", "i", "price", "big", "f", "d", "yes", "word", 'odd `: 100%."', "day")
    scan = hive.scan(engine, stream("sales.types", columns=flat), State())
    assert [str(kind) for kind in scan.relation.types] == [EXPECTED[name][0] for name in flat]
    found = rows(scan, ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in flat))
    assert tuple(EXPECTED[name][1] for name in flat) in found
    with pytest.raises(ConfigError, match="many"):
        hive.scan(engine, stream("sales.types"), State())
    # The cursor of a query is typed by the driver, whose decimals have no digits behind their name.
    asked = stream(query="SELECT max(id) AS top, max(price) AS price FROM sales.orders")
    assert read(hive, engine, asked) == [(20_000, "20000.00")]
