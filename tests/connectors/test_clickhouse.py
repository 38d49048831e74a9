"""The ClickHouse source on ClickHouse's own engine, chdb, behind an HTTP shim."""

import importlib.util
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from dataflow_platform.connectors.clickhouse import ClickHouse
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.demo.environment import free_ports
from tests.fixtures import clickhouse_shim
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

if not (importlib.util.find_spec("chdb") and importlib.util.find_spec("clickhouse_connect")):
    pytest.skip("needs pip install chdb 'clickhouse-connect[sqlalchemy]' (600 MB)", allow_module_level=True)

STATEMENTS = [
    "CREATE TABLE types (id UInt64, i8 Int8, u32 UInt32, big Int256, price Decimal(10, 2), f32 Float32, yes Bool, "
    "word LowCardinality(Nullable(String)), `odd name` String, fixed FixedString(3), u UUID, d Date, d32 Date32, "
    "t DateTime('America/New_York'), t6 DateTime64(6, 'UTC'), e Enum8('a' = 1), ip IPv4, many Array(Nullable(Int32))) "
    "ENGINE = MergeTree ORDER BY id",
    "INSERT INTO types VALUES (18446744073709551615, -5, 4294967295, -1234567890123456789012345678901234567890, 12.3, "
    "1.1, true, NULL, 'a''b', 'abc', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2020-02-29', '1920-02-29', "
    "'2013-01-01 05:00:00', '2020-01-01 00:00:00.123456', 'a', '10.0.0.1', [1, NULL])",
    "CREATE TABLE orders ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number + 1) AS id, "
    "concat('k', toString(number + 1)) AS code, toDateTime64('2020-01-01 00:00:00', 6, 'UTC') + number * 60 AS at "
    "FROM numbers(200000)",
    "CREATE TABLE fine (t DateTime64(9, 'UTC')) ENGINE = Memory",
    "INSERT INTO fine VALUES ('2020-01-01 00:00:00.123456789')",
    "CREATE TABLE bytes (s String) ENGINE = Memory",
    "INSERT INTO bytes VALUES (unhex('ff'))",
]
# By hand from the INSERT above.
EXPECTED = {
    "id": ("UBIGINT", "18446744073709551615"),
    "i8": ("TINYINT", "-5"),
    "u32": ("UINTEGER", "4294967295"),
    "big": ("VARCHAR", "-1234567890123456789012345678901234567890"),
    "price": ("DECIMAL(10,2)", "12.30"),
    "f32": ("FLOAT", "1.1"),
    "yes": ("BOOLEAN", "true"),
    "word": ("VARCHAR", None),
    "odd name": ("VARCHAR", "a'b"),
    "fixed": ("BLOB", "abc"),
    "u": ("UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "d": ("DATE", "2020-02-29"),
    "d32": ("DATE", "1920-02-29"),
    "t": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00+00"),
    "t6": ("TIMESTAMP WITH TIME ZONE", "2020-01-01 00:00:00.123456+00"),
    "e": ("VARCHAR", "a"),
    "ip": ("VARCHAR", "10.0.0.1"),
    "many": ("JSON", "[1,null]"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ClickHouse]:
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, str(Path(clickhouse_shim.__file__)), str(port)])
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        for statement in STATEMENTS:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", statement.encode(), timeout=60)
        yield ClickHouse(host="127.0.0.1", port=port, user="default", tls=False)
    finally:
        process.kill()
        process.wait()


def version(server: ClickHouse) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", b"SELECT version()", timeout=60) as answer:
        return str(answer.read().decode().strip())


@pytest.mark.evidence("clickhouse", "source", "own_stub")
def test_every_type_arrives_exactly(
    server: ClickHouse, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    scan = server.scan(engine, stream("types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in EXPECTED)
    assert dict(zip(EXPECTED, rows(scan, texts)[0], strict=True)) == {n: value for n, (_, value) in EXPECTED.items()}
    ran_against(server, f"chdb {version(server)}, the engine itself, behind an HTTP shim of ours")


@pytest.mark.evidence("clickhouse", "source", "own_stub")
def test_many_rows_cursor_and_views(
    server: ClickHouse, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    # 200,000 * 200,001 / 2
    assert rows(server.scan(engine, stream("default.orders"), State()), "count(*), sum(id)") == [
        (200_000, 20_000_100_000)
    ]
    assert read(server, engine, stream("orders", "id", columns=("id",)), State("199999")) == [(199_999,), (200_000,)]
    # As bytes k99999 is the greatest of all.
    assert read(server, engine, stream("orders", "code", columns=("id",)), State("k99999")) == [(99_999,)]
    asked = stream(query="SELECT max(id) AS top FROM orders", types={"top": "BIGINT"})
    assert read(server, engine, asked) == [(200_000,)]
    assert "default.orders" in server.discover()
    assert server.test_connection().startswith("ClickHouse")
    ran_against(server, f"chdb {version(server)}, the engine itself, behind an HTTP shim of ours")


def test_what_cannot_be_kept_is_refused(server: ClickHouse, engine: duckdb.DuckDBPyConnection) -> None:
    for table in ("fine", "bytes"):
        with pytest.raises(DataError) as caught:
            read(server, engine, stream(table))
        assert caught.value.code == "sql.value"
    assert read(server, engine, stream("fine", as_text=("t",))) == [("2020-01-01 00:00:00.123456789",)]
    with pytest.raises(ConfigError) as unknown:
        server.scan(engine, stream("order"), State())
    assert "did you mean 'default.orders'" in unknown.value.fix
