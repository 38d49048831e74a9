"""What the steps of a pipeline drop, or was read before, stays in the SQLite file where an index finds the rest."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.connectors.sqlite import Sqlite, SqliteStream
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.expression import expression
from dataflow_platform.core.sql import literal
from dataflow_platform.engine.pushdown import narrowed
from dataflow_platform.transformations.filter import Filter
from dataflow_platform.transformations.select import Select
from tests.fixtures.evidence import RanAgainst

# Every column has an index, and row 100,000 makes any few rows a small share. JSON is a number's column for SQLite.
TABLES = """
CREATE TABLE sales (id INTEGER PRIMARY KEY, n INTEGER, r REAL, p DECIMAL(10,2), d DATE, t TIMESTAMP, s TEXT,
    c TEXT COLLATE NOCASE, v VARCHAR(5) COLLATE RTRIM, j JSON, b BLOB);
INSERT INTO sales VALUES
    (1, 1, 1, 1, '2026-01-01', '2026-01-01 00:00:00', 'a', 'a', 'a', '[7]', x'00'),
    (2, -1, -0.0, 1.5, '0001-01-01', '2026-01-01 00:00:00.5', 'A', 'A', 'a ', '07x', NULL),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 9223372036854775807, 9007199254740992.0, 12345678.91, '9999-12-31', '2026-01-01 00:00:00.50', 'a''b', 'ä', '',
     '{}', x'61'),
    (5, -9223372036854775808, 1e300, 0.1, '2026-01-02', '2026-01-01 00:00:00.000001', '', 'Ä', 'b', '1e2x', x''),
    (6, 10, 10.5, 10, '2025-12-31', '2025-12-31 23:59:59.999999', '10', '10', '10', '"10"', x'31'),
    (7, 2, 9e999, -1, '2026-01-01', '2026-01-01 00:00:01.0', '9', 'z', 'A', 'null', NULL),
    (100000, 0, 0, 0, '1970-01-01', '1970-01-01 00:00:00', 'Z', 'Z', 'Z', 'x', x'00');
""" + "".join(f"CREATE INDEX by_{name} ON sales ({name});" for name in "nrpdtscvj")  # fmt: skip
CHECKED = ("id", "n", "r", "p", "d", "t", "s", "c", "v", "j")


def made(path: Path, statements: str) -> Sqlite:
    with closing(sqlite3.connect(path)) as written, written:
        written.executescript(statements)
    return Sqlite(path=str(path))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Sqlite:
    return made(tmp_path_factory.mktemp("sqlite") / "shop.db", TABLES)


@pytest.fixture(scope="module")
def engine(shop: Sqlite) -> Iterator[duckdb.DuckDBPyConnection]:
    """With all of `sales` as table `originals`."""
    with duckdb.connect() as opened:
        scan = shop.scan(opened, Stream("sales", SqliteStream()), State())
        scan.relation.create("originals")
        scan.close()
        yield opened


def kept(
    shop: Sqlite, engine: duckdb.DuckDBPyConnection, stream: Stream, state: State | None = None, where: str = "TRUE"
) -> list[int]:
    """The ids the file hands out, those for which ``where`` is true."""
    scan = shop.scan(engine, stream, state or State())
    try:
        found = scan.relation.query("scanned", f"SELECT id FROM scanned WHERE {where} ORDER BY id").fetchall()
    except duckdb.Error as error:
        raise shop.explain(error) or error from None
    finally:
        scan.close()
    return [int(row[0]) for row in found]


def filtered(text: str, table: str = "sales") -> Stream:
    return narrowed(Stream(table, SqliteStream(), None, ("id",)), [Filter(text)], None)


# The rows the file hands out, read from TABLES; where it may hand out more than the filter keeps, that is said.
ANSWERED = {
    "n = 1": [1],
    "n in (1, 2, 77)": [1, 7],
    "n < 1": [2, 5, 100_000],
    "n >= 10 and r > 10": [4, 6],
    "n is null": [3],
    "p >= 10": [4, 6],
    "r = 10": [],
    "s = 'a'": [1],
    "s = 'a''b'": [4],
    "d = '2026-01-01'": [1, 7],
    "d > '2026-01-01'": [4, 5],
    "t = '2026-01-01 00:00:00.5'": [2, 4],
    "t <= '2026-01-01 00:00:00.5'": [1, 2, 4, 5, 6, 100_000],
    "t > '2026-01-01 00:00:00.5'": [4, 7],  # .50 is a greater text: the engine judges
    "t >= '2026-01-01 00:00:01'": [7],
}


@pytest.mark.parametrize("text", ANSWERED)
@pytest.mark.evidence("sqlite", "source", "real_server")
def test_only_what_the_steps_keep_leaves_the_file(
    shop: Sqlite, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst, text: str
) -> None:
    assert kept(shop, engine, filtered(text)) == ANSWERED[text]
    ran_against(shop, f"a file written by SQLite {sqlite3.sqlite_version}")


@pytest.mark.parametrize(
    "text",
    [
        "n <> 1",
        "c in ('a', 'z')",  # its index is in another order
        "v = 'a'",
        "j = '[7]'",  # JSON is a number's column there
        "r = 0.1",  # a double and a decimal
        "s > 'a'",
        "b is not null and lower(s) = 'a'",  # no index
        "d = '2026-02-30'",
    ],
)
def test_what_it_could_judge_otherwise_or_has_no_index_for_is_not_asked(
    shop: Sqlite, engine: duckdb.DuckDBPyConnection, text: str
) -> None:
    assert kept(shop, engine, filtered(text)) == [1, 2, 3, 4, 5, 6, 7, 100_000]


NUMBERS = st.one_of(st.sampled_from([0, 1, -1, 2, 10, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]), st.integers())
TIMES = ["2026-01-01", "2026-01-01 00:00:00", "2026-01-01 00:00:00.5", "2026-01-01 00:00:00.500000", "9999-12-31",
         "2026-01-01 00:00:01", "0001-01-01", "1970-01-01 00:00:00.0", "2025-12-31 23:59:59.999999"]  # fmt: skip
TEXTS = ["a", "A", "a ", "ä", "Ä", "", "10", "7", "07", "1e2", "a'b", "z", "{}", "null"]
VALUES = {
    **dict.fromkeys(("id", "n", "r", "p"), NUMBERS.map(str)),
    **dict.fromkeys(("d", "t"), st.sampled_from(TIMES).map(literal)),
    **dict.fromkeys(("s", "c", "v", "j"), st.sampled_from(TEXTS).map(literal)),
}


@st.composite
def conditions(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(CHECKED))
    operator = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null"]))
    if operator.startswith("is"):
        return f"{name} {operator}"
    if operator == "in":
        return f"{name} in ({', '.join(draw(st.lists(VALUES[name], min_size=1, max_size=3)))})"
    return f"{name} {operator} {draw(VALUES[name])}"


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(conditions(), min_size=1, max_size=2))
def test_no_row_is_lost(shop: Sqlite, engine: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    text = " and ".join(texts)
    where = expression(text, scope="row")
    try:
        here = engine.execute(f"SELECT id FROM originals WHERE {where} ORDER BY id").fetchall()
    except duckdb.Error:  # a number or day beyond the type: the engine refuses it either way
        return
    assert kept(shop, engine, filtered(text), where=where) == [row[0] for row in here]


# Rows without a cursor come with the first read only; row n of `n` is not row n of the table.
READ = {
    "integer": ("n", State("10"), [4, 6]),
    "integer below": ("n", State("1", until=Decimal(10)), [1, 7]),
    "first, below": ("n", State(until=Decimal(1)), [2, 3, 5, 100_000]),
    "date": ("d", State("2026-01-02"), [4, 5]),
    "timestamp": ("t", State("2026-01-01 00:00:00.5"), [2, 4, 7]),
    "timestamp below": (
        "t", State("2026-01-01 00:00:00", until=dt.datetime(2026, 1, 1, 0, 0, 1)), [1, 2, 4, 5],
    ),
    "text": ("s", State("a"), [1, 4]),
    "window": (None, State(window=Window("d", dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2))), [1, 7]),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_cursors_bounds_and_windows(shop: Sqlite, engine: duckdb.DuckDBPyConnection, case: str) -> None:
    cursor, state, expected = READ[case]
    assert kept(shop, engine, Stream("sales", SqliteStream(), cursor, ("id",)), state) == expected


def test_sqlite_searches_and_duckdb_does_not_scan(shop: Sqlite, engine: duckdb.DuckDBPyConnection) -> None:
    for text, way in (("n = 1", "SQLITE_QUERY"), ("n <> 1", "SQLITE_SCAN")):
        scan = shop.scan(engine, filtered(text), State())
        assert way in scan.relation.explain()
        scan.close()
    with closing(sqlite3.connect(shop.path)) as file:
        plan = file.execute("EXPLAIN QUERY PLAN SELECT * FROM sales WHERE (n < 1 OR n >= '')").fetchall()
    assert not any(step[3].startswith("SCAN") for step in plan)


def test_many_rows_come_by_the_scanner(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800) INSERT INTO t SELECT i FROM n"
    shop = made(tmp_path / "many.db", f"CREATE TABLE t (id INTEGER PRIMARY KEY); {rows};")
    # 100 of 800 rows are the eighth that is still asked for.
    assert kept(shop, engine, filtered("id <= 100", "t")) == list(range(1, 101))
    assert kept(shop, engine, filtered("id <= 101", "t")) == list(range(1, 801))


ODD = """
CREATE TABLE odd (id INTEGER PRIMARY KEY, n INTEGER, t TIMESTAMP, s TEXT, other INTEGER);
INSERT INTO odd VALUES (1, 1, '2026-01-01 00:00:00', 'a', 1), ({0}), (100000, 9, '2026-01-02 00:00:00', 'z', 1);
CREATE INDEX by_n ON odd (n); CREATE INDEX by_t ON odd (t); CREATE INDEX by_s ON odd (s);
"""


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("2, 'many', NULL, NULL, 1", "n < 5"),  # a text in a column of numbers: below 5, for all that is known
        ("2, 1, NULL, NULL, 'x'", "n = 1"),
        ("2, NULL, 1767225600, NULL, 1", "t > '2026-01-01'"),  # seconds since 1970
        ("2, NULL, '01/02/2026', NULL, 1", "t = '2026-01-02'"),
        ("2, NULL, NULL, x'61', 1", "s = 'a'"),
    ],
)
def test_a_value_of_another_kind_is_never_left_out_in_silence(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection, row: str, text: str
) -> None:
    shop = made(tmp_path / "odd.db", ODD.format(row))
    with pytest.raises(DataError, match="SQLite holds other values: 1 in column"):
        kept(shop, engine, filtered(text, "odd"))


def test_columns_nobody_wants_and_rows_left_behind_are_not_judged(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection
) -> None:
    shop = made(tmp_path / "odd.db", ODD.format("2, 2, NULL, NULL, 'x'"))
    whole = Stream("odd", SqliteStream(), None, ("id",))
    assert kept(shop, engine, narrowed(whole, [Select(["id", "n"])], None)) == [1, 2, 100_000]
    assert kept(shop, engine, filtered("n = 1", "odd")) == [1]
