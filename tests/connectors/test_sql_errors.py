"""What a person reads when a SQL database cannot be read, or holds what does not fit: on a real SQLite file."""

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors._sql.meanings import meaning, scrubbed
from dataflow_platform.connectors.sql import Sql
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from tests.fixtures.sqlite_shop import read, rows, stream


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (stream("order"), "table.unknown", "did you mean 'main.orders'"),
        (stream("main.orderz"), "table.unknown", "did you mean 'main.orders'"),
        (stream("a.b.c"), "table.name", "schema.table"),
        (stream("orders", cursor="att"), "column.unknown", "did you mean 'at'"),
        (stream("orders", columns=("prise",)), "column.unknown", "did you mean 'price'"),
        (stream("orders", as_text=("prise",)), "column.unknown", "did you mean 'price'"),
        (stream("shapes"), "sql.type", "what (unknown)"),
        (stream(query="SELECT id, at FROM orders", types={"id": "BIGINT"}), "sql.type", "at (type not told)"),
        (stream(query="SELEC id FROM orders"), "sql.query", "correct `query`"),
        (stream(query="SELECT id FROM gone"), "table.unknown", "gone"),
        (stream(query="SELECT nope FROM orders"), "column.unknown", "nope"),
        # As text '9' would come after '10', and rows would be lost.
        (stream("types", cursor="free"), "sql.cursor", "DECIMAL(38,0)"),
    ],
)
def test_wrong_tables_columns_and_queries(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, wanted: Stream, code: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sqlite_shop.scan(engine, wanted, State())
    assert caught.value.code == code
    assert words in str(caught.value)


# SQLite takes any value into any column: what no other database would hand out.
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("big", "'twelve'", "a text"),
        ("big", "1.5", "a floating-point number"),
        ("price", "1.5", "a floating-point number"),
        ("price", "123456789", "an integer"),  # nine digits before the point, DECIMAL(10,2) has eight
        ("ratio", "'half'", "a text"),
        ("yes", "2", "an integer"),
        ("day", "'2020-02-30'", "a text"),
        ("day", "'infinity'", "a text"),
        ("at", "'2020-01-01 00:00:00.1234567'", "a text"),  # a seventh digit, which TIMESTAMP lacks
        ("at", "'2020-01-01 00:00:00+02:00'", "a text"),  # a zone, which the column's type lacks
        ("clock", "'12:00:00.1234567'", "a text"),
        ("bytes", "'plain'", "a text"),
        ('"select"', "x'00'", "bytes"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_never_shown(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, shop_file: Path, column: str, value: str, words: str
) -> None:
    with sqlite3.connect(shop_file) as writer:
        writer.execute(f"UPDATE types SET {column} = {value} WHERE id = 2")
    writer.close()
    with pytest.raises(DataError) as caught:
        read(sqlite_shop, engine, stream("types"))
    assert caught.value.code == "sql.value"
    assert f"column '{column.strip(chr(34))}'" in caught.value.what
    assert f"holds {words} that does not fit" in caught.value.what
    told = str(caught.value).replace(str(shop_file), "")  # its name may hold any digit
    assert value.strip("'") not in told


def test_zeros_behind_the_microseconds_are_no_loss(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, shop_file: Path
) -> None:
    with sqlite3.connect(shop_file) as writer:
        writer.execute("UPDATE types SET at = '9999-12-31 23:59:59.1234560' WHERE id = 2")
    writer.close()
    assert str(read(sqlite_shop, engine, stream("types", columns=("at",)))[1][0]) == "9999-12-31 23:59:59.123456"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Sql(url=f"sqlite:///{tmp_path}/none.db").discover()
    assert caught.value.code == "sql.database"
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_goes_while_it_is_read(
    sqlite_shop: Sql, engine: duckdb.DuckDBPyConnection, shop_file: Path
) -> None:
    scan = sqlite_shop.scan(engine, stream("empty"), State())
    with sqlite3.connect(shop_file) as writer:
        writer.execute("DROP TABLE empty")
    writer.close()
    with pytest.raises(ConfigError) as caught:
        rows(scan)
    assert caught.value.code == "table.unknown"


@pytest.mark.parametrize("url", ["postgresql://u:hush@h/d", "snowflake://u@a/d?token=hush", "x://h?sslpassword=hush"])
def test_a_secret_in_the_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Sql(url=url)
    assert caught.value.code == "sql.url"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["nothing", "sqlite//x", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Sql(url=url)
    assert caught.value.code == "sql.url"


@pytest.mark.parametrize("url", ["nosuchdialect://h/d", "mysql+nosuchdriver://h/d"])
def test_a_driver_that_is_not_installed(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Sql(url=url).test_connection()
    assert caught.value.code == "sql.driver"


def test_table_and_query_exclude_each_other() -> None:
    with pytest.raises(ConfigError):
        stream("orders", query="SELECT 1")


@pytest.mark.parametrize("kind", ["INTERVAL", "DECIMAL(39,2)", "DECIMAL(5,6)", "NUMBER"])
def test_types_nobody_has(kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stream("orders", types={"id": kind})
    assert caught.value.code == "sql.types"


# What drivers say, from their own documents and from the servers of other tests; two of each kind.
@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("(18456, b\"Login failed for user 'reader'.\")", ConfigError, "sql.login"),
        ("ORA-01017: invalid username/password; logon denied", ConfigError, "sql.login"),
        ("(4060, b'Cannot open database \"shop\" requested by the login.')", ConfigError, "sql.database"),
        ("ORA-12541: TNS:no listener", TransientError, "sql.tcp"),
        ("(229, b\"The SELECT permission was denied on the object 'orders'\")", ConfigError, "sql.permission"),
        ("ORA-00942: table or view does not exist", ConfigError, "table.unknown"),
        ("(208, b\"Invalid object name 'orders'.\")", ConfigError, "table.unknown"),
        ("(207, b\"Invalid column name 'at'.\")", ConfigError, "column.unknown"),
        ("ORA-03113: end-of-file on communication channel", TransientError, "sql.lost"),
        ("certificate verify failed: unable to get local issuer certificate", ConfigError, "sql.tls"),
        ('too many connections for role "reader"', TransientError, "sql.busy"),
        ("something nobody has seen", ConfigError, "sql.failed"),
    ],
)
def test_the_words_of_drivers_have_meanings(text: str, kind: type[DataflowError], code: str) -> None:
    told = meaning(RuntimeError(text), [], "here")
    assert type(told) is kind
    assert told.code == code


def test_no_form_of_a_secret_is_shown() -> None:
    secret: Any = "p'w/ö%"
    told = scrubbed(f"{secret} p''w/ö% p%27w%2F%C3%B6%25 {secret!r}", [secret])
    assert told.count("***") == 4
    assert "w/" not in told
