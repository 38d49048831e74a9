"""The JDBC source against H2, HSQLDB and Derby as servers; how to install them: tests/fixtures/jdbc_servers.py."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors import jdbc
from dataflow_platform.connectors.jdbc import Jdbc
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError, DataError, TransientError
from dataflow_platform.core.sql import quote
from tests.fixtures import jdbc_servers
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

if not importlib.util.find_spec("jpype") or not shutil.which("java") or jdbc_servers.missing():
    NEEDED = "pip install jpype1, Java, Debian's libh2-java libhsqldb-java libderby-java libderbyclient-java"
    pytest.skip(f"needs {NEEDED}", allow_module_level=True)

# Name -> type, literal, and by hand what it should arrive as.
COMMON = {
    "ID": ("BIGINT", "9223372036854775807", "BIGINT", "9223372036854775807"),
    "S": ("SMALLINT", "-32768", "SMALLINT", "-32768"),
    "I": ("INTEGER", "-2147483648", "INTEGER", "-2147483648"),
    "PRICE": ("DECIMAL(10,2)", "12.30", "DECIMAL(10,2)", "12.30"),
    "D": ("DOUBLE PRECISION", "0.1", "DOUBLE", "0.1"),
    "YES": ("BOOLEAN", "TRUE", "BOOLEAN", "true"),
    "WORD": ("VARCHAR(20)", "NULL", "VARCHAR", None),
    'odd "name: 100%?': ("VARCHAR(20)", "'a''b ünï'", "VARCHAR", "a'b ünï"),
    "CH": ("CHAR(5)", "'ab'", "VARCHAR", "ab   "),
    "DOC": ("CLOB", "'ünï'", "VARCHAR", "ünï"),
}
TYPES = {
    "h2": {
        **COMMON,
        "T": ("TINYINT", "-128", "SMALLINT", "-128"),
        "BIG": ("NUMERIC(38,9)", "12345678901234567890123456789.123456789", "DECIMAL(38,9)",
                "12345678901234567890123456789.123456789"),
        "FREE": ("DECFLOAT(30)", "1.5E-20", "VARCHAR", "0.000000000000000000015"),
        "F": ("REAL", "1.1", "FLOAT", "1.1"),
        "BORN": ("DATE", "DATE '1500-02-28'", "DATE", "1500-02-28"),
        "CLOCK": ("TIME(6)", "TIME '12:34:56.5'", "TIME", "12:34:56.5"),
        "SEEN": ("TIMESTAMP(6)", "TIMESTAMP '0001-01-01 05:00:00.123456'", "TIMESTAMP", "0001-01-01 05:00:00.123456"),
        "FINE": ("TIMESTAMP(9)", "TIMESTAMP '2020-01-01 00:00:00.123456'", "TIMESTAMP", "2020-01-01 00:00:00.123456"),
        "MOMENT": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE '2013-01-01 05:00:00.123456-05:00'",
                   "TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
        "BYTES": ("VARBINARY(9)", "X'00ff10'", "BLOB", "\\x00\\xFF\\x10"),
        "LOB": ("BLOB", "X'00ff10'", "BLOB", "\\x00\\xFF\\x10"),
        "U": ("UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        "J": ("JSON", "JSON '{\"a\": [1, null]}'", "JSON", '{"a":[1,null]}'),
        "E": ("ENUM('a', 'b')", "'a'", "VARCHAR", "a"),
    },
    "hsqldb": {
        **COMMON,
        "T": ("TINYINT", "-128", "SMALLINT", "-128"),
        "BIG": ("NUMERIC(50,9)", "12345678901234567890123456789.123456789", "VARCHAR",
                "12345678901234567890123456789.123456789"),
        "BORN": ("DATE", "DATE '2020-02-29'", "DATE", "2020-02-29"),
        "CLOCK": ("TIME(6)", "TIME '12:34:56.5'", "TIME", "12:34:56.5"),
        "SEEN": ("TIMESTAMP(6)", "TIMESTAMP '0001-01-01 05:00:00.123456'", "TIMESTAMP", "0001-01-01 05:00:00.123456"),
        "MOMENT": ("TIMESTAMP(6) WITH TIME ZONE", "TIMESTAMP '2013-01-01 05:00:00.123456-5:00'",
                   "TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
        "BYTES": ("VARBINARY(9)", "X'00ff10'", "BLOB", "\\x00\\xFF\\x10"),
        "LOB": ("BLOB", "X'00ff10'", "BLOB", "\\x00\\xFF\\x10"),
        "U": ("UUID", "CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS UUID)", "UUID",
              "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    },
    "derby": {
        **COMMON,
        "BIG": ("NUMERIC(31,9)", "1234567890123456789012.123456789", "DECIMAL(31,9)",
                "1234567890123456789012.123456789"),
        "F": ("REAL", "CAST(1.1 AS REAL)", "FLOAT", "1.1"),
        "BORN": ("DATE", "DATE('1500-02-28')", "DATE", "1500-02-28"),
        "CLOCK": ("TIME", "TIME('12:34:56')", "TIME", "12:34:56"),
        "SEEN": ("TIMESTAMP", "TIMESTAMP('1013-01-01 05:00:00.123456')", "TIMESTAMP", "1013-01-01 05:00:00.123456"),
        "BYTES": ("VARCHAR(9) FOR BIT DATA", "X'00ff10'", "BLOB", "\\x00\\xFF\\x10"),
        "LOB": ("BLOB", "CAST(X'00ff10' AS BLOB)", "BLOB", "\\x00\\xFF\\x10"),
    },
}  # fmt: skip
NANOSECONDS = {
    "h2": "TIMESTAMP '2020-01-01 00:00:00.123456789'",
    "hsqldb": "TIMESTAMP '2020-01-01 00:00:00.123456789'",
    "derby": "TIMESTAMP('2020-01-01 00:00:00.123456789')",
}
# Minute n after 2020-01-01 is row n; 20,000 rows made of digits, which all three know.
DIGITS = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
NUMBERS = (
    f"SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 1 AS id FROM {DIGITS} a(n), {DIGITS} b(n), "
    f"{DIGITS} c(n), {DIGITS} d(n), (VALUES (0), (1)) e(n)"
)
MOMENTS = {
    "h2": "DATEADD(MINUTE, id, TIMESTAMP '2020-01-01 00:00:00')",
    "hsqldb": "TIMESTAMPADD(SQL_TSI_MINUTE, id, TIMESTAMP '2020-01-01 00:00:00')",
    "derby": "{fn TIMESTAMPADD(SQL_TSI_MINUTE, id, TIMESTAMP('2020-01-01 00:00:00'))}",
}


def statements(name: str) -> list[str]:
    columns = TYPES[name].items()
    declared = ", ".join(f"{quote(column)} {kind}" for column, (kind, *_) in columns)
    return [
        "CREATE SCHEMA sales",
        f"CREATE TABLE sales.types ({declared})",
        f"INSERT INTO sales.types VALUES ({', '.join(literal for _, (_, literal, *_) in columns)})",
        "INSERT INTO sales.types (id) VALUES (2)",
        "CREATE TABLE sales.orders (id BIGINT NOT NULL, code VARCHAR(20) NOT NULL, price DECIMAL(10,2), "
        "seen TIMESTAMP, PRIMARY KEY (id, code))",
        f"INSERT INTO sales.orders SELECT id, 'k' || TRIM(CAST(id AS CHAR(6))), id, {MOMENTS[name]} FROM ({NUMBERS}) s",
        "CREATE VIEW sales.recent AS SELECT id FROM sales.orders WHERE id > 19990",
        f"CREATE TABLE sales.fine (seen TIMESTAMP{'' if name == 'derby' else '(9)'})",
        f"INSERT INTO sales.fine VALUES ({NANOSECONDS[name]})",
    ]


@contextmanager
def connection(name: str, folder: Path) -> Iterator[Jdbc]:
    with jdbc_servers.running(name, folder, statements(name)) as fields:
        yield Jdbc(**fields)


@pytest.fixture(scope="module", params=sorted(TYPES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jdbc]:
    with connection(name, tmp_path_factory.mktemp(name)) as opened:
        yield opened


@pytest.fixture(scope="module")
def version(server: Jdbc) -> str:
    # What Derby adds is the revision it was built from, which Debian does not tell it.
    return server.test_connection().partition(" at jdbc:")[0].removesuffix(" - (???)")


@pytest.mark.evidence("jdbc", "source", "real_server")
def test_every_type_arrives_exactly(
    server: Jdbc, name: str, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    expected = TYPES[name]
    scan = server.scan(engine, stream("SALES.TYPES"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {column: kind for column, (_, _, kind, _) in expected.items()}
    texts = ", ".join(f"CAST({quote(column)} AS VARCHAR)" for column in expected)
    empty, full = sorted(rows(scan, texts), key=lambda row: len(row[0]))
    assert dict(zip(expected, full, strict=True)) == {column: text for column, (*_, text) in expected.items()}
    assert (empty[0], set(empty[1:])) == ("2", {None})
    ran_against(server, version)


@pytest.mark.evidence("jdbc", "source", "real_server")
def test_cursors_and_bounds_are_the_servers(
    server: Jdbc, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    # 19,999 minutes are 13 days, 21 hours and 19 minutes.
    for cursor, value in (("ID", "19999"), ("PRICE", "19998.01"), ("SEEN", "2020-01-14 21:19:00")):
        found = read(server, engine, stream("SALES.ORDERS", cursor, columns=("ID",)), State(value))
        assert found == [(19_999,), (20_000,)]
    bounded = State("5", until=Decimal(7))
    assert read(server, engine, stream("SALES.ORDERS", "ID", columns=("ID",)), bounded) == [(5,), (6,)]
    ran_against(server, version)


@pytest.mark.evidence("jdbc", "source", "real_server")
def test_what_is_discovered_is_read(
    server: Jdbc, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    names = ["SALES.FINE", "SALES.ORDERS", "SALES.RECENT", "SALES.TYPES"]
    assert server.discover() == names
    found = {table.name: table for table in server.catalogue()}
    assert [column.name for column in found["SALES.ORDERS"].columns] == ["ID", "CODE", "PRICE", "SEEN"]
    assert [found[table].kind for table in names] == ["table", "table", "view", "table"]
    assert [found[table].primary_key for table in names] == [(), ("ID", "CODE"), (), ()]
    # 20,000 * 20,001 / 2, and 19,991 to 20,000
    scans = [server.scan(engine, stream(table), State()) for table in ("SALES.ORDERS", "SALES.RECENT")]
    assert [rows(scan, "count(*), sum(id)") for scan in scans] == [[(20_000, 200_010_000)], [(10, 199_955)]]
    ran_against(server, version)


@pytest.mark.evidence("jdbc", "source", "real_server")
def test_a_query_has_the_types_of_its_result(
    server: Jdbc, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    asked = "SELECT max(id) AS top, 'a:b?' AS word, max(price) AS price FROM sales.orders"
    scan = server.scan(engine, stream(query=asked), State())
    assert str(scan.relation.types[0]) == "BIGINT"
    assert rows(scan, "TOP, rtrim(WORD), PRICE::VARCHAR") == [(20_000, "a:b?", "20000.00")]
    ran_against(server, version)


def test_what_cannot_be_kept_or_is_not_there(server: Jdbc, engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(DataError) as refused:
        read(server, engine, stream("SALES.FINE"))
    assert refused.value.code == "sql.value"
    ways: list[dict[str, Any]] = [{"types": {"SEEN": "TIMESTAMP_NS"}}, {"as_text": ("SEEN",)}]
    for way in ways:
        kept = rows(server.scan(engine, stream("SALES.FINE", **way), State()), "CAST(SEEN AS VARCHAR)")
        assert kept == [("2020-01-01 00:00:00.123456789",)]
    with pytest.raises(ConfigError) as unknown:
        server.scan(engine, stream("SALES.ORDER"), State())
    assert "did you mean 'SALES.ORDERS'" in unknown.value.fix
    with pytest.raises(ConfigError):
        server.scan(engine, stream(query="SELECT nothing FROM sales.orders"), State())


def test_what_keeps_the_door_shut_is_told(server: Jdbc, name: str) -> None:
    if name != "derby":  # which lets everybody in unless it is told otherwise
        with pytest.raises(ConfigError) as refused:
            server.model_copy(update={"user": "nobody", "password": "hush"}).test_connection()
        assert refused.value.code == "sql.login"
        assert "hush" not in str(refused.value)
    gone = server.url.replace(server.url.split(":")[4 if name != "derby" else 3].partition("/")[0], "1")
    with pytest.raises(TransientError) as nothing:
        server.model_copy(update={"url": gone}).test_connection()
    assert nothing.value.code == "sql.tcp"
    with pytest.raises(ConfigError) as other:
        server.model_copy(update={"url": "jdbc:elsewhere:x"}).test_connection()
    assert other.value.code == "jdbc.driver"


@pytest.mark.parametrize("url", ["h2:mem:x", "jdbc:h2:mem:x;PASSWORD=y", "jdbc:x://h/db?password=y"])
def test_a_url_holds_no_secret(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Jdbc(url=url, jars=[])
    assert refused.value.code == "jdbc.url"


def test_java_runs_in_utc_whatever_the_machine_does() -> None:
    # java.sql.Timestamp holds wall times of the machine's zone, in which 2:30 was missing on 2024-03-10.
    code = "from dataflow_platform.connectors.jdbc.virtual_machine import java; "
    code += "print(java('java.sql.Timestamp').valueOf('2024-03-10 02:30:00'))"
    environment = {**os.environ, "TZ": "America/New_York"}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "2024-03-10 02:30:00.0"


def test_the_class_is_what_its_source_says(tmp_path: Path) -> None:
    folder = Path(jdbc.__file__).parent
    told = subprocess.run(["javac", "-version"], capture_output=True, text=True) if shutil.which("javac") else None
    if told is None or "javac 17" not in told.stdout:
        pytest.skip("the classes were compiled by javac 17")
    command = ["javac", "-g:none", "--release", "11", "-d", tmp_path, folder / "RowTexts.java"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    made = {file.name: file.read_bytes() for file in tmp_path.glob("*.class")}
    assert made == {file.name: file.read_bytes() for file in folder.glob("*.class")}
