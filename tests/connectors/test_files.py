"""The files source on real files: formats and packings, reading each file once, every error."""

import datetime as dt
import gzip
from pathlib import Path

import duckdb
import pytest

from dataflow_platform.core.base import State, Window
from dataflow_platform.core.errors import ConfigError, TransientError
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.file_source import CSV, JSONL, PACKINGS, ROWS, failure, put, put_parquet, rows, source, stream


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(("ending", "content"), [("csv", CSV), ("jsonl", JSONL), ("ndjson", JSONL)])
@pytest.mark.evidence("files", "source", "real_server")
def test_text_formats_in_every_packing(
    tmp_path: Path,
    connection: duckdb.DuckDBPyConnection,
    ending: str,
    content: bytes,
    packing: str,
    ran_against: RanAgainst,
) -> None:
    name = f"people.{ending}{packing}"
    packed = PACKINGS[packing](content)
    put(tmp_path, name, packed)
    scan = source(tmp_path).scan(connection, stream(f"*.{ending}{packing}"), State())
    assert rows(scan) == ROWS
    assert scan.relation.columns == ["id", "name", "day"]
    assert list(scan.position["files"]) == [name]
    assert scan.bytes_read is not None
    assert scan.bytes_read() == len(packed)
    ran_against(source(tmp_path), f"DuckDB {duckdb.__version__}, local folder")


@pytest.mark.parametrize("codec", ["uncompressed", "gzip", "zstd"])
@pytest.mark.evidence("files", "source", "real_server")
def test_parquet_in_every_codec(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, codec: str, ran_against: RanAgainst
) -> None:
    put_parquet(tmp_path, "a.parquet", "SELECT 1::INT AS id, 'Ann' AS name", codec)
    scan = source(tmp_path).scan(connection, stream("*.parquet"), State())
    assert rows(scan) == [(1, "Ann")]
    assert [str(kind) for kind in scan.relation.types] == ["INTEGER", "VARCHAR"]
    ran_against(source(tmp_path), f"DuckDB {duckdb.__version__}, local folder")


def test_packings_may_be_mixed_and_columns_are_united_by_name(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    put(tmp_path, "a.csv", b"id,name\n1,Ann\n")
    put(tmp_path, "b.csv.gz", gzip.compress(b"city,id\nOslo,2\n"))
    scan = source(tmp_path).scan(connection, stream("*.csv*"), State())
    assert scan.relation.columns == ["id", "name", "city"]
    assert rows(scan) == [(1, "Ann", None), (2, None, "Oslo")]


def test_csv_settings(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.txt", b"1|NA|x # y\n2|-|\n")
    wanted = stream(
        "*.txt",
        delimiter="|",
        header=False,
        null_values=["NA", "-"],
        filename_column="file",
        columns={"id": "INTEGER", "value": "DOUBLE", "note": "VARCHAR"},
    )
    scan = source(tmp_path).scan(connection, wanted, State())
    assert [str(kind) for kind in scan.relation.types] == ["INTEGER", "DOUBLE", "VARCHAR", "VARCHAR"]
    # '#' begins no comment; an empty field is no value although others were named.
    assert rows(scan) == [(1, None, "x # y", "a.txt"), (2, None, None, "a.txt")]


def test_tsv_has_tabs(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.tsv.gz", gzip.compress(b"id\tname\n1\ta,b\n"))
    assert rows(source(tmp_path).scan(connection, stream("*.tsv.gz"), State())) == [(1, "a,b")]


def test_columns_may_be_declared_in_part(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.csv", b"id,zip\n1,01234\n")
    put(tmp_path, "a.jsonl", b'{"id": 1, "zip": "01234"}\n')
    put_parquet(tmp_path, "a.parquet", "SELECT 1::INT AS id, 1234 AS zip")
    for ending, value in (("csv", "01234"), ("jsonl", "01234"), ("parquet", "1234")):
        wanted = stream(f"*.{ending}", columns={"zip": "VARCHAR"}, filename_column="source file")
        scan = source(tmp_path).scan(connection, wanted, State())
        assert scan.relation.columns == ["id", "zip", "source file"]
        assert rows(scan) == [(1, value, f"a.{ending}")]


def test_a_json_key_no_line_has_is_an_empty_column(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.jsonl", b'{"id": 1}\n')
    scan = source(tmp_path).scan(connection, stream("*.jsonl", columns={"email": "VARCHAR"}), State())
    assert rows(scan) == [(1, None)]


@pytest.mark.evidence("files", "source", "real_server")
def test_only_new_and_changed_files_are_read(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, ran_against: RanAgainst
) -> None:
    files, wanted = source(tmp_path), stream("in/*.csv")
    put(tmp_path, "in/a.csv", b"id\n1\n", changed=1_000)
    put(tmp_path, "in/b.csv", b"id\n2\n", changed=1_000)
    first = files.scan(connection, wanted, State())
    assert rows(first) == [(1,), (2,)]
    assert first.position == {"files": {"in/a.csv": "5:1000000000000", "in/b.csv": "5:1000000000000"}}

    unchanged = files.scan(connection, wanted, State(position=first.position))
    assert rows(unchanged) == []
    assert unchanged.relation.columns == ["id"]
    assert unchanged.position == first.position

    put(tmp_path, "in/b.csv", b"id\n3\n", changed=2_000)  # as long as before: the time tells
    put(tmp_path, "in/c.csv", b"id\n4\n")
    later = files.scan(connection, wanted, State(position=first.position))
    assert rows(later) == [(3,), (4,)]
    assert set(later.position["files"]) == {"in/a.csv", "in/b.csv", "in/c.csv"}

    (tmp_path / "in/a.csv").unlink()
    gone = files.scan(connection, wanted, State(position=later.position))
    assert rows(gone) == []
    assert set(gone.position["files"]) == {"in/b.csv", "in/c.csv"}
    ran_against(source(tmp_path), f"DuckDB {duckdb.__version__}, local folder")


def test_a_partition_run_reads_every_file_and_leaves_the_position(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    put(tmp_path, "a.csv", b"id\n1\n")
    files, wanted = source(tmp_path), stream("*.csv")
    position = files.scan(connection, wanted, State()).position
    window = Window("day", dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1))
    put(tmp_path, "b.csv", b"id\n2\n")
    scan = files.scan(connection, wanted, State(position=position, window=window))
    assert rows(scan) == [(1,), (2,)]
    assert scan.position == position


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_blank_files_are_passed_over_and_remembered(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, packing: str, content: bytes
) -> None:
    """DuckDB alone would add a column `column0` for each."""
    put(tmp_path, f"blank.csv{packing}", PACKINGS[packing](content) if content else b"")
    put(tmp_path, f"packed nothing.csv{packing}", PACKINGS[packing](b""))
    put(tmp_path, "full.csv", b"id\n1\n")
    scan = source(tmp_path).scan(connection, stream("*.csv*"), State())
    assert scan.relation.columns == ["id"]
    assert rows(scan) == [(1,)]
    assert len(scan.position["files"]) == 3


def test_no_file_but_declared_columns(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    wanted = stream("*.csv", columns={"id": "integer", "at": "timestamp"}, filename_column="file")
    scan = source(tmp_path).scan(connection, wanted, State())
    assert scan.relation.columns == ["id", "at", "file"]
    assert [str(kind) for kind in scan.relation.types] == ["INTEGER", "TIMESTAMP", "VARCHAR"]
    assert rows(scan) == []
    assert scan.position == {"files": {}}


def test_files_are_left_to_settle(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    old = put(tmp_path, "old.csv", b"id\n1\n", changed=1_000)
    put(tmp_path, "older.csv", b"id\n0\n", changed=1_000)
    put(tmp_path, "new.csv", b"id\n2\n")
    files, wanted = source(tmp_path, settle_seconds=600), stream("*.csv")
    scan = files.scan(connection, wanted, State())
    assert rows(scan) == [(0,), (1,)]
    assert set(scan.position["files"]) == {"old.csv", "older.csv"}
    # Written to again: it keeps its old mark until it has settled, and then counts as changed.
    old.write_bytes(b"id\n1\n9\n")
    again = files.scan(connection, wanted, State(position=scan.position))
    assert rows(again) == []
    assert again.position == scan.position
    assert rows(source(tmp_path).scan(connection, wanted, State(position=scan.position))) == [(1,), (2,), (9,)]


def test_nothing_has_settled_yet(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "new.csv", b"id\n2\n")
    error = failure(tmp_path, connection, stream("*.csv"), settle_seconds=600)
    assert isinstance(error, TransientError)
    assert (error.code, error.retry_after) == ("files.unsettled", 600)
    scan = source(tmp_path, settle_seconds=600).scan(connection, stream("*.csv", columns={"id": "BIGINT"}), State())
    assert rows(scan) == []
    assert source(tmp_path, settle_seconds=600).probe(stream("*.csv")) is None


@pytest.mark.parametrize(
    "name",
    [
        'it\'s "quoted" ü 日本.csv',
        "a b;c,d.csv",
        "st*r.csv",
        "wh?t.csv",
        "br[ack]et.csv",
        "back\\slash.csv",
        "$x {y} %s.csv",
    ],
)
def test_odd_names(tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str) -> None:
    put(tmp_path, f"wéird dir/{name}", b"id\n1\n")
    # What DuckDB would take for a match of st*r.csv, wh?t.csv or br[ack]et.csv: it must not be read twice.
    for other in ("stXr.csv", "what.csv", "braet.csv"):
        put(tmp_path, f"wéird dir/{other}", b"id\n2\n")
    files, wanted = source(tmp_path), stream("*/*.csv", filename_column="file")
    found = rows(files.scan(connection, wanted, State()))
    assert found.count((1, f"wéird dir/{name}")) == 1
    assert len(found) == 4


def test_hive_like_folders_add_no_column_and_hidden_files_are_not_seen(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    put(tmp_path, "year=2020/a.csv", b"id\n1\n")
    put(tmp_path, "year=2020/deep/b.csv", b"id\n2\n")
    put(tmp_path, "year=2020/.arriving.csv", b"id\n3\n")
    scan = source(tmp_path).scan(connection, stream("**/*.csv"), State())
    assert scan.relation.columns == ["id"]
    assert rows(scan) == [(1,), (2,)]


@pytest.mark.parametrize("pattern", ["../*.csv", "/etc/passwd", "in/../../*.csv", "in/link.csv", "linked/*.csv"])
def test_nothing_outside_the_root_is_read(tmp_path: Path, connection: duckdb.DuckDBPyConnection, pattern: str) -> None:
    root = tmp_path / "root"
    secret = put(tmp_path, "outside/secret.csv", b"id\n1\n")
    put(root, "in/a.csv", b"id\n1\n")
    (root / "in/link.csv").symlink_to(secret)
    (root / "linked").symlink_to(secret.parent)
    error = failure(root, connection, stream(pattern))
    assert isinstance(error, ConfigError)
    assert error.code == "files.outside_root"


def test_links_inside_the_root_are_fine(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    real = tmp_path / "real"
    put(real, "a.csv", b"id\n1\n")
    (real / "b.csv").symlink_to(real / "a.csv")
    (tmp_path / "root").symlink_to(real)
    assert rows(source(tmp_path / "root").scan(connection, stream("b.csv"), State())) == [(1,)]
