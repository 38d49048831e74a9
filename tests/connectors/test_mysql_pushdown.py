"""What the steps of a pipeline drop never leaves MariaDB; what the server could judge otherwise is not sent."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.mysql import MySQL, MySQLStream
from dataflow_platform.connectors.mysql.columns import COLUMNS, source_column
from dataflow_platform.connectors.mysql.connection import Ask
from dataflow_platform.connectors.mysql.dialect import DIALECT
from dataflow_platform.core.base import State, Stream, Table
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.expression import expression
from dataflow_platform.core.server_filter import condition
from dataflow_platform.core.sql import literal
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.pushdown import narrowed
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.transformations.filter import Filter
from dataflow_platform.transformations.select import Select
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.mariadb_shop import rows

pytestmark = pytest.mark.mariadb

# Every filtered column has an index: the server compares otherwise by one than without. Row 7 is the zero of each type.
TABLES = """
CREATE DATABASE pushed CHARACTER SET utf8mb4;
USE pushed;
SET time_zone = '+00:00';
CREATE TABLE sales (id int PRIMARY KEY, i1 tinyint, u8 bigint unsigned, y year, d date, dt0 datetime, dt6 datetime(6),
    ts timestamp(3) NULL, v varchar(20), l varchar(20) CHARACTER SET latin1, c char(5), b varchar(20) COLLATE
    utf8mb4_bin, e enum('a', 'b'), ok bit(1), ratio double, price decimal(10,2),
    KEY(i1), KEY(u8), KEY(y), KEY(d), KEY(dt0), KEY(dt6), KEY(ts), KEY(v), KEY(l), KEY(c), KEY(b));
INSERT INTO sales VALUES
    (1, -128, 0, 1901, '1000-01-01', '1000-01-01', '2026-01-01 00:00:00.5', '1970-01-01 00:00:01', 'a', 'a', 'a', 'a',
     'a', 1, 0.1, 1),
    (2, 127, 18446744073709551615, 2155, '9999-12-31', '9999-12-31 23:59:59', '2026-01-01', '2038-01-19 03:14:07',
     'A', 'A', 'A', 'A', 'b', 0, 1, 2),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 26, 9223372036854775808, 2026, '2026-01-02', '2026-01-01 00:00:00', '2026-01-01 00:00:00.000001',
     '2026-01-01 00:00:00.5', 'a ', 'a ', 'a ', 'a ', 'a', 1, 26, 26),
    (5, 1, 9223372036854775807, 2000, '2026-01-01', '2026-01-01 00:00:01', '2025-12-31 23:59:59.999999',
     '2026-01-01', 'ä', 'ä', 'ä', 'ä', 'b', 0, 0, 0),
    (6, -1, 1, 1999, '0099-01-01', '2025-12-31 23:59:59', '0001-01-01', '2026-01-01 01:00:00', 'é\\\\''€', '€''', '',
     '', 'a', 1, -1, -1),
    (7, 0, 0, 0, '1970-01-01', '1970-01-01', '1970-01-01', '2025-12-31 23:00:00', '', '', '😀', '😀ß', 'b', 0, -0.0, 0);
CREATE TABLE zeros (id int PRIMARY KEY, d date, n date NOT NULL);
INSERT INTO zeros VALUES (1, '0000-00-00', '0000-00-00'), (2, '2026-01-00', '2026-01-01'), (3, '2026-01-01',
    '2026-01-01'), (4, NULL, '2026-01-02');
CREATE TABLE many (id int PRIMARY KEY, name varchar(20), KEY(name));
INSERT INTO many SELECT seq, CONCAT('n', seq % 500) FROM seq_1_to_5000;
GRANT SELECT ON pushed.* TO 'pusher'@'127.0.0.1' IDENTIFIED BY 'pw';
"""
FILTERED = ("id", "i1", "u8", "y", "d", "dt0", "dt6", "ts", "v", "l", "c", "b")
PLACE = ("pushed", "sales")
WHOLE = Stream("sales", MySQLStream(), None, ("id",))


@pytest.fixture(scope="module")
def shop(mariadb_server: MariaDBServer) -> Iterator[MySQL]:
    mariadb_server.execute(TABLES)
    yield MySQL(host="127.0.0.1", port=mariadb_server.port, database="pushed", user="pusher", password="pw")
    mariadb_server.execute("DROP DATABASE pushed; DROP USER 'pusher'@'127.0.0.1'")


@pytest.fixture(scope="module")
def engine(shop: MySQL) -> Iterator[duckdb.DuckDBPyConnection]:
    """With all of `sales` as table `originals`."""
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        scan = shop.scan(opened, WHOLE, State())
        scan.relation.create("originals")
        scan.close()
        yield opened


def kept(shop: MySQL, engine: duckdb.DuckDBPyConnection, text: str, table: str = "sales") -> list[int]:
    """The ids the server hands out where a pipeline begins with this filter."""
    stream = narrowed(Stream(table, MySQLStream(), None, ("id",)), [Filter(text)], None)
    return [int(row[0]) for row in rows(engine, shop.scan(engine, stream, State()), "id")]


def kept_here(engine: duckdb.DuckDBPyConnection, text: str) -> list[int]:
    condition = expression(text, scope="row")
    return [row[0] for row in engine.execute(f"SELECT id FROM originals WHERE {condition} ORDER BY id").fetchall()]


def asked(server: MariaDBServer, start: int) -> str:
    """The one statement that brought rows since the log had ``start`` characters."""
    (line,) = [each for each in server.logged(start).splitlines() if "Execute\t" in each and "`pushed`" in each]
    return line.split("Execute\t")[1].removesuffix(" LIMIT 18446744073709551615")


@pytest.mark.evidence("mysql", "source", "real_server")
def test_only_what_the_steps_keep_is_asked_for(
    shop: MySQL, mariadb_server: MariaDBServer, tmp_path: Path, ran_against: RanAgainst
) -> None:
    steps = (Filter("v = 'a' and id between 1 and 4 and lower(l) = 'a'"), Select(["ID", "u8"]), Filter("d is not null"))
    start = len(mariadb_server.logged())
    warehouse = DuckDB(path=str(tmp_path / "w.duckdb"))
    stream = Stream("sales", MySQLStream(), "dt0", ("id",))
    load = StreamLoad("p", stream, shop, warehouse, Table("raw", "t"), Merge(), "merge", "run", steps=steps[:2])
    record = publish(stage(load))
    assert (record.rows_read, record.rows_loaded) == (1, 1)
    # Wanted: the selected columns, the cursor, and what the filter before the select reads. 0x61 is 'a'.
    text = asked(mariadb_server, start)
    assert text.startswith("SELECT `id` AS c0, `u8` AS c2, IF(MONTH(`dt0`) * DAY(`dt0`), `dt0`, NULL) AS c5")
    assert "`v` AS c8, `l` AS c9 FROM `pushed`.`sales` WHERE " in text
    assert text.split(" WHERE ")[1] == (
        "`v` IN (_utf8mb4 X'61') AND CAST(CONVERT(`v` USING utf8mb4) AS BINARY) IN (X'61') AND `id` >= 1 AND `id` <= 4"
    )
    ran_against(shop, f"MariaDB {mariadb_server.execute('SELECT VERSION()')[0][0].partition('-')[0]}")


def test_a_text_is_found_by_its_index(
    shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer
) -> None:
    start = len(mariadb_server.logged())
    # 5,000 rows with 500 names: ten of each.
    assert len(kept(shop, engine, "name in ('n7', 'N8')", "many")) == 10
    plan = mariadb_server.execute("EXPLAIN " + asked(mariadb_server, start), "pushed")
    assert plan[0][3:6] == ("range", "name", "name")  # type, possible keys, key


PUSHED = {
    "id <> 3": "`id` <> 3",
    "u8 > -1": "`u8` > -1",
    "u8 in (18446744073709551615, -1)": "`u8` IN (18446744073709551615, -1)",
    "y < 2000 and y > 1950": "`y` < 2000 AND `y` > 1950",
    "d >= date '2026-01-01'": "`d` >= DATE'2026-01-01'",
    "dt0 = '2026-01-01'": "`dt0` = TIMESTAMP'2026-01-01 00:00:00'",
    "dt6 < '2026-01-01 00:00:00.000001'": "`dt6` < TIMESTAMP'2026-01-01 00:00:00.000001'",
    "ts >= '2026-01-01 01:00:00+01'": "`ts` >= TIMESTAMP'2026-01-01 00:00:00'",
    "l = 'a'": "`l` IN (_utf8mb4 X'61') AND CAST(CONVERT(`l` USING utf8mb4) AS BINARY) IN (X'61')",
    # Not by the collation of latin1, which cannot take every text.
    "l = '😀'": "WHERE CAST(CONVERT(`l` USING utf8mb4) AS BINARY) IN (X'f09f9880')",
    "v is null and ratio is null": "`v` IS NULL AND `ratio` IS NULL",
}
NOT_PUSHED = [
    "v > 'a'",  # the order of a collation
    "v <> 'a'",
    "v like 'a%'",
    "y > 26",  # YEAR: 2026?
    "y = 0",
    "i1 = '1'",
    "u8 < 18446744073709551616",  # no number of the server's 64 bits
    "ts > '2026-01-01 00:00:00'",  # whose zone?
    "d = '2026-01-01 00:00:00'",
    "dt0 <> '2026-01-01 00:00:00.5'",  # an index cuts the digits
    "e = 'a'",
    "e is null",
    "ok",
    "price > 1",
    "ratio = 1",
    "id = 1 or id = 2",
    "not (id = 1)",
    "id = i1",
]


@pytest.mark.parametrize("text", [*PUSHED, *NOT_PUSHED])
def test_the_server_keeps_no_row_less_than_the_engine(
    shop: MySQL, engine: duckdb.DuckDBPyConnection, mariadb_server: MariaDBServer, text: str
) -> None:
    start = len(mariadb_server.logged())
    found = kept(shop, engine, text)
    if text in PUSHED:
        assert found == kept_here(engine, text)
        assert PUSHED[text] in asked(mariadb_server, start)
    else:
        assert found == [1, 2, 3, 4, 5, 6, 7]


_WHOLE = st.sampled_from([-129, -128, -1, 0, 1, 26, 127, 1901, 2000, 2026, 2**63 - 1, 2**63, 2**64 - 1, 2**64])
_TIMES = [
    dt.datetime(1, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59), dt.datetime(1970, 1, 1, 0, 0, 1),
    dt.datetime(2025, 12, 31, 23, 59, 59, 999_999), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, 0, 0, 0, 1),
    dt.datetime(2026, 1, 1, 0, 0, 0, 500_000), dt.datetime(2026, 1, 1, 0, 0, 1),
    dt.datetime(2038, 1, 19, 3, 14, 7), dt.datetime(9999, 12, 31, 23, 59, 59),
]  # fmt: skip
_MOMENT = st.sampled_from(_TIMES)
_OF: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("id", "i1", "u8", "y"), _WHOLE.map(str)),
    "d": _MOMENT.map(lambda at: f"'{at.date()}'"),
    **dict.fromkeys(("dt0", "dt6"), _MOMENT.map(lambda at: f"'{at}'")),
    "ts": st.tuples(_MOMENT, st.sampled_from(["+00", "-05", "+05:30"])).map(lambda of: f"'{of[0]}{of[1]}'"),
    **dict.fromkeys(
        ("v", "l", "c", "b"),
        st.sampled_from(["", "a", "A", "a ", " a", "ä", "é\\'€", "€'", "😀", "😀ß", "%"]).map(literal),
    ),
}


@st.composite
def filters(draw: st.DrawFn) -> str:
    said = []
    for name in draw(st.lists(st.sampled_from(FILTERED), min_size=1, max_size=2)):
        values = [draw(_OF[name]) for _ in range(3)]
        said.append(
            draw(
                st.sampled_from(
                    [
                        f"{name} is null", f"{name} is not null", f"{name} in ({', '.join(values)})",
                        f"{name} between {values[0]} and {values[1]}",
                        *(f"{name} {sign} {values[0]}" for sign in ("=", "<>", "<", "<=", ">", ">=")),
                    ]
                )
            )
        )  # fmt: skip
    return " and ".join(said)


@pytest.fixture(scope="module")
def ask(shop: MySQL) -> Iterator[Ask]:
    """A session as the scanner's: in UTC."""
    with shop.asking() as asking:
        asking("SET time_zone = '+00:00'")
        yield asking


@settings(max_examples=300, deadline=None)
@given(text=filters())
def test_pushed_and_unpushed_filters_keep_the_same_rows(
    shop: MySQL, engine: duckdb.DuckDBPyConnection, ask: Ask, text: str
) -> None:
    """The engine filters what comes once more: equal means that the server left out none it would keep."""
    try:
        expected = set(kept_here(engine, text))
    except duckdb.Error:  # a moment DuckDB does not know: the engine says so, whatever was read
        return
    columns = [source_column(row[2:], at, (), "", shop.where()) for at, row in enumerate(ask(COLUMNS, *PLACE))]
    sent = condition(DIALECT, columns, narrowed(WHOLE, [Filter(text)], None), State(), shop.where())
    assert expected <= {row[0] for row in ask("SELECT id FROM sales" + sent.replace("%", "%%"))}


def test_a_zero_date_the_condition_leaves_out_is_not_complained_about(
    shop: MySQL, engine: duckdb.DuckDBPyConnection
) -> None:
    # 0000-00-00 and 2026-01-00 are before the day; the server says so, and only what is read is looked at.
    assert kept(shop, engine, "d >= '2026-01-01'", "zeros") == [3]
    for text in ("d < '2026-01-01'", "d is not null", "d <> '2026-01-01'", "n is null"):
        with pytest.raises((duckdb.Error, DataflowError), match=r"is (0000-00-00|2026-01-00)"):
            rows(
                engine, shop.scan(engine, narrowed(Stream("zeros", MySQLStream()), [Filter(text)], None), State()), "*"
            )
