"""The Snowflake source against fakesnow, a third party's emulator on DuckDB: its SQL and its HTTP.

It asks for another DuckDB than ours, so it runs from an environment of its own: `python -m venv fakesnow` and
`fakesnow/bin/pip install 'fakesnow[server]' 'snowflake-connector-python<5'`, with `fakesnow/bin` on the PATH.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.snowflake import Snowflake
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.demo.environment import free_ports
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

NEEDED = (
    "needs the command fakesnow, and here pip install 'snowflake-sqlalchemy>=1.7,<3' 'snowflake-connector-python<5'"
)
pytest.importorskip("snowflake.sqlalchemy", reason=NEEDED)
COMMAND = shutil.which("fakesnow") or pytest.skip(NEEDED, allow_module_level=True)

STATEMENTS = [
    "CREATE DATABASE shop",
    "CREATE SCHEMA shop.sales",
    "CREATE TABLE shop.sales.types (id INTEGER, price NUMBER(10, 2), ratio FLOAT, yes BOOLEAN, word VARCHAR, "
    '"odd name" VARCHAR, day DATE, clock TIME, ntz TIMESTAMP_NTZ, tz TIMESTAMP_TZ, bytes BINARY, doc VARIANT)',
    "INSERT INTO shop.sales.types SELECT 1, 12.30, 0.1, TRUE, NULL, 'a''b', '2020-02-29'::DATE, '12:34:56.5'::TIME, "
    "'2020-01-01 00:00:00.123456'::TIMESTAMP_NTZ, '2013-01-01 05:00:00 -0500'::TIMESTAMP_TZ, "
    "TO_BINARY('00ff10', 'HEX'), PARSE_JSON('{\"a\": [1, null]}')",
    "CREATE TABLE shop.sales.orders AS SELECT SEQ4() + 1 AS id, 'k' || (SEQ4() + 1) AS code "
    "FROM TABLE(GENERATOR(ROWCOUNT => 20000))",
]
# By hand from the INSERT above.
EXPECTED = {
    "id": ("DECIMAL(38,0)", "1"),
    "price": ("DECIMAL(10,2)", "12.30"),
    "ratio": ("DOUBLE", "0.1"),
    "yes": ("BOOLEAN", "true"),
    "word": ("VARCHAR", None),
    "odd name": ("VARCHAR", "a'b"),
    "day": ("DATE", "2020-02-29"),
    "clock": ("TIME", "12:34:56.5"),
    "ntz": ("TIMESTAMP", "2020-01-01 00:00:00.123456"),
    "tz": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00+00"),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "doc": ("JSON", '{"a":[1,null]}'),
}


def connected(port: int) -> Any:
    import snowflake.connector

    return snowflake.connector.connect(
        user="u", password="p", account="a", host="127.0.0.1", port=port, protocol="http", login_timeout=5
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Snowflake]:
    """The emulator stands where the account's address leads; all else of the connection is the connector's own."""
    (port,) = free_ports(1)
    process = subprocess.Popen([COMMAND, "-s", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    given = Snowflake.connect_args
    place = {"host": "127.0.0.1", "port": port, "protocol": "http"}
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = connected(port)
                break
            except Exception:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
        with closing(connection), connection.cursor() as cursor:
            for statement in STATEMENTS:
                cursor.execute(statement)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Snowflake, "connect_args", lambda self: {**given(self), **place})
            yield Snowflake(account="a", user="u", password="p", database="shop")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def version() -> str:
    """What pip says of the emulator's own environment."""
    code = "import importlib.metadata as m; print(m.version('fakesnow'))"
    python = str(Path(COMMAND).with_name("python"))
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.evidence("snowflake", "source", "community_emulator")
def test_every_type_arrives_exactly(
    server: Snowflake, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    scan = server.scan(engine, stream("sales.types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in EXPECTED)
    assert dict(zip(EXPECTED, rows(scan, texts)[0], strict=True)) == {n: value for n, (_, value) in EXPECTED.items()}
    ran_against(server, f"fakesnow {version()}")


@pytest.mark.evidence("snowflake", "source", "community_emulator")
def test_many_rows_cursor_and_query(
    server: Snowflake, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    # 20,000 * 20,001 / 2
    assert rows(server.scan(engine, stream("sales.orders"), State()), "count(*), sum(id)") == [(20_000, 200_010_000)]
    found = read(server, engine, stream("sales.orders", "id", columns=("id",)), State("19999"))
    assert found == [(19_999,), (20_000,)]
    asked = stream(query="SELECT max(id) AS top FROM sales.orders", types={"top": "BIGINT"})
    assert read(server, engine, asked) == [(20_000,)]
    assert {"sales.orders", "sales.types"} <= set(server.discover())
    ran_against(server, f"fakesnow {version()}")


@pytest.mark.filterwarnings("ignore:Failed to reflect table:sqlalchemy.exc.SAWarning")  # the dialect's, of no table
def test_a_table_that_is_not_there(server: Snowflake, engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigError) as unknown:
        server.scan(engine, stream("sales.order"), State())
    assert "did you mean 'sales.orders'" in unknown.value.fix
