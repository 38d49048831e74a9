"""DuckDB and SQLite files as sources: what is there, what is not, and who else is at them."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDBFile, DuckDBStream
from dataflow_platform.connectors.sqlite import Sqlite, SqliteStream
from dataflow_platform.core.base import Source, State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, TransientError
from tests.fixtures.evidence import RanAgainst

SETUP = """
CREATE TABLE t (id INTEGER, name TEXT);
INSERT INTO t VALUES (1, 'a'), (2, NULL), (2, 'c');
CREATE TABLE no_rows (id INTEGER);
CREATE VIEW seen AS SELECT id FROM t WHERE id > 1;
CREATE TABLE "Odd ""name" ("a b" INTEGER, "select" INTEGER);
INSERT INTO "Odd ""name" VALUES (1, 2);
"""
Made = tuple[Source, Callable[[str], Stream], Path]


VERSIONS = {"duckdb": f"DuckDB {duckdb.__version__}", "sqlite": f"a file written by SQLite {sqlite3.sqlite_version}"}


@pytest.fixture(params=VERSIONS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """A file with the tables of SETUP, and how a stream of it is said."""
    path = tmp_path / f"shop.{request.param}"
    if request.param == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute(SETUP)
        return DuckDBFile(path=str(path), wait_seconds=0.2), lambda name: Stream(name, DuckDBStream()), path
    with closing(sqlite3.connect(path)) as other, other:
        other.executescript(SETUP)
    return Sqlite(path=str(path)), lambda name: Stream(name, SqliteStream()), path


def rows(source: Source, connection: duckdb.DuckDBPyConnection, stream: Stream) -> list[tuple[object, ...]]:
    scan = source.scan(connection, stream, State())
    try:
        return sorted(scan.relation.fetchall(), key=str)
    finally:
        scan.close()


@pytest.mark.parametrize(
    "made", [pytest.param(each, marks=pytest.mark.evidence(each, "source", "real_server")) for each in VERSIONS],
    indirect=True,
)  # fmt: skip
def test_tables_and_views(made: Made, connection: duckdb.DuckDBPyConnection, ran_against: RanAgainst) -> None:
    source, stream, _ = made
    assert [name.removeprefix("main.") for name in source.discover()] == ['Odd "name', "no_rows", "seen", "t"]
    assert source.test_connection().startswith("4 tables in")
    assert rows(source, connection, stream("t")) == [(1, "a"), (2, "c"), (2, None)]
    assert rows(source, connection, stream("seen")) == [(2,), (2,)]
    assert rows(source, connection, stream("no_rows")) == []
    assert rows(source, connection, stream('Odd "name')) == [(1, 2)]
    # Nothing stays attached.
    attached = connection.execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert attached == [(1,)]
    ran_against(source, VERSIONS["duckdb" if isinstance(source, DuckDBFile) else "sqlite"])


def test_a_scan_inside_a_transaction(made: Made, connection: duckdb.DuckDBPyConnection) -> None:
    source, stream, _ = made
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    assert len(rows(source, connection, stream("t"))) == 3
    with pytest.raises(ConfigError, match="unknown table"):
        source.scan(connection, stream("tt"), State())
    connection.execute("COMMIT")
    assert connection.execute("SELECT * FROM kept").fetchall() == [(1,)]


def test_what_is_not_there(made: Made, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    source, stream, path = made
    with pytest.raises(ConfigError, match=r"unknown table '(main\.)?tt'(.|\n)*did you mean '(main\.)?t'"):
        source.scan(connection, stream("tt"), State())
    path.unlink()
    with pytest.raises(ConfigError, match="there is no file"):
        source.scan(connection, stream("t"), State())
    assert not path.exists()
    path.write_bytes(b"this is no database, but long enough to have a header" * 100)
    with pytest.raises(ConfigError, match="not a"):
        source.scan(connection, stream("t"), State())


def test_a_duckdb_file_that_is_written(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    path = tmp_path / "shop.duckdb"
    duckdb.connect(str(path)).close()
    writer = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({str(path)!r}); print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        source = DuckDBFile(path=str(path), wait_seconds=0.2)
        with pytest.raises(TransientError, match=rf"process {writer.pid} .* holds shop.duckdb; waited 0.2 s"):
            source.scan(connection, Stream("t", DuckDBStream()), State())
    finally:
        writer.communicate(b"\n")


def test_a_duckdb_file_is_not_source_and_destination_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.duckdb")
    with (
        duckdb.connect(path) as connection,
        pytest.raises(ConfigError, match=r"\[duckdb.same_file\]"),
    ):
        DuckDBFile(path=path).scan(connection, Stream("t", DuckDBStream()), State())


def test_sqlite_counts_what_is_something_else(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as other, other:
        other.executescript("CREATE TABLE t (id INTEGER, price DECIMAL(5,2)); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    source = Sqlite(path=str(path))
    scan = source.scan(connection, Stream("t", SqliteStream()), State())
    with pytest.raises(duckdb.Error) as caught:
        scan.relation.fetchall()
    scan.close()
    told = source.explain(caught.value)
    assert isinstance(told, DataError)
    # Two of two prices are texts.
    assert "2 in column 'price' (DECIMAL(5,2)), which is read as DOUBLE" in told.what
    assert rows(source, connection, Stream("t", SqliteStream(as_text=("price",)))) == [(1, "x"), (2, "y")]
    with pytest.raises(ConfigError, match="did you mean 'price'"):
        source.scan(connection, Stream("t", SqliteStream(as_text=("prise",))), State())
