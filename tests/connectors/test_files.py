"""The files source on real files: formats and packings, reading each file once, every error."""

import datetime as dt
import gzip
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest

from dataflow_platform.connectors.files import Files, FilesStream
from dataflow_platform.core.base import Scan, State, Stream, Window
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError

CSV = b"id,name,day\n1,Ann,2020-01-01\n2,,2020-01-02\n"
JSONL = b'{"id": 1, "name": "Ann", "day": "2020-01-01"}\n{"id": 2, "name": null, "day": "2020-01-02"}\n'
# Both hold these rows.
ROWS = [(1, "Ann", dt.date(2020, 1, 1)), (2, None, dt.date(2020, 1, 2))]
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda raw: raw,
    ".gz": gzip.compress,
    ".zst": lambda raw: pyarrow.compress(raw, codec="zstd", asbytes=True),
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def source(root: Path, **fields: Any) -> Files:
    return Files(root=str(root), **fields)


def stream(path: str, **options: Any) -> Stream:
    return Stream(name="files", options=FilesStream(path=path, **options))


def put(root: Path, name: str, content: bytes, changed: int | None = None) -> Path:
    """Write a file; ``changed`` sets its time of change, in seconds."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if changed is not None:
        os.utime(path, (changed, changed))
    return path


def put_parquet(root: Path, name: str, query: str, codec: str = "snappy") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as writer:
        writer.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, CODEC {codec})")
    return path


def rows(scan: Scan) -> list[tuple[Any, ...]]:
    return sorted(scan.relation.fetchall(), key=str)


def failure(root: Path, connection: duckdb.DuckDBPyConnection, wanted: Stream, **fields: Any) -> DataflowError:
    """The error of reading ``wanted``: raised by scan, or explained from what DuckDB raised while reading."""
    files = source(root, **fields)
    with pytest.raises((DataflowError, duckdb.Error)) as caught:
        files.scan(connection, wanted, State()).relation.fetchall()
    told = files.explain(caught.value)
    assert told is not None, caught.value
    return told


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(("ending", "content"), [("csv", CSV), ("jsonl", JSONL), ("ndjson", JSONL)])
def test_text_formats_in_every_packing(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, ending: str, content: bytes, packing: str
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


@pytest.mark.parametrize("codec", ["uncompressed", "gzip", "zstd"])
def test_parquet_in_every_codec(tmp_path: Path, connection: duckdb.DuckDBPyConnection, codec: str) -> None:
    put_parquet(tmp_path, "a.parquet", "SELECT 1::INT AS id, 'Ann' AS name", codec)
    scan = source(tmp_path).scan(connection, stream("*.parquet"), State())
    assert rows(scan) == [(1, "Ann")]
    assert [str(kind) for kind in scan.relation.types] == ["INTEGER", "VARCHAR"]


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
        "*.txt", delimiter="|", header=False, null_values=["NA", "-"], filename_column="file",
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


def test_only_new_and_changed_files_are_read(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
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
        "it's \"quoted\" ü 日本.csv", "a b;c,d.csv", "st*r.csv", "wh?t.csv", "br[ack]et.csv", "back\\slash.csv",
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
def test_nothing_outside_the_root_is_read(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, pattern: str
) -> None:
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


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("name", "content", "line", "excerpt", "words"),
    [
        ("many.csv", b"a,b\n1,x\n2,y,z\n3,w\n", 3, "2,y,z", "Expected Number of Columns: 2 Found: 3"),
        ("few.csv", b"a,b\n1,x\n2\n", 3, "2", "Expected Number of Columns: 2 Found: 1"),
        ("late.csv", b"a,b\n" + b"1,x\n" * 30_000 + b"q,y\n", 30_002, "q,y", 'Could not convert string "q" to'),
        ("late_few.csv", b"a,b\n" + b"1,x\n" * 30_000 + b"7\n1,x\n", 30_002, "7", "Expected Number of Columns: 2"),
        ("open.csv", b'a,b\n1,x\n2,"y\n3,z\n', 3, '2,"y', "unterminated quote"),
        ("long.csv", b"a,b\n" + b"x" * 500 + b"\n", 2, "x" * 77 + "...", "Found: 1"),
        ("first.jsonl", b'{"a": 1\n{"a": 2}\n', 1, '{"a": 1', "unexpected"),
        ("word.jsonl", b'{"a": 1}\nnonsense here\n{"a": 3}\n', 2, "nonsense here", "invalid literal"),
        ("late.jsonl", b'{"a": 1}\n' * 30_000 + b"{]\n", 30_001, "{]", "unexpected"),
        ("type.jsonl", b'{"a": 1}\n' * 30_000 + b'{"a": "q"}\n', 30_001, '{"a": "q"}', "Failed to cast"),
    ],
)
def test_broken_lines_are_told_with_file_line_and_words(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection,
    name: str, content: bytes, line: int, excerpt: str, words: str, packing: str,
) -> None:
    good = CSV.replace(b"id,name,day", b"a,b,c") if name.endswith("csv") else b'{"a": 5}\n'
    put(tmp_path, f"0 good.{name.rpartition('.')[2]}{packing}", PACKINGS[packing](good), changed=1)
    path = put(tmp_path, name + packing, PACKINGS[packing](content))
    error = failure(tmp_path, connection, stream(f"*.{name.rpartition('.')[2]}{packing}"))
    assert isinstance(error, DataError)
    assert error.code == "files.unreadable"
    assert error.where.file == str(path)
    assert error.where.line == line
    assert error.where.excerpt is not None
    assert error.where.excerpt.strip() == excerpt
    assert words.lower() in error.what.lower()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("plain.csv.gz", b"a,b\n1,2\n", "GZIP"),
        ("plain.jsonl.zst", JSONL, ""),
        ("no.parquet", b"this is no parquet file at all", "magic bytes"),
        ("tiny.parquet", b"x", ""),
        ("latin.csv", b"a,b\n1,\xff\xfe\n", "utf-8"),
        ("list.jsonl", b"[1]\n[2]\n", "record"),
    ],
)
def test_files_that_are_something_else(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str, content: bytes, words: str
) -> None:
    path = put(tmp_path, name, content)
    error = failure(tmp_path, connection, stream(name))
    assert isinstance(error, DataError)
    assert error.code == "files.unreadable"
    assert error.where.file == str(path)
    assert words.lower() in error.what.lower()


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_packed_file_that_ends_too_early_is_not_taken_for_a_short_one(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, packing: str, share: float
) -> None:
    """DuckDB reads what is there: 70 % of this gzip file gives it 140,788 of 200,000 rows and no error."""
    raw = b"a,b\n" + b"".join(b"%d,name%d\n" % (number, number * 7919 % 100_003) for number in range(200_000))
    packed = PACKINGS[packing](raw)
    path = put(tmp_path, f"cut.csv{packing}", packed[: int(len(packed) * share)])
    error = failure(tmp_path, connection, stream("cut.csv*"))
    assert isinstance(error, TransientError)
    assert error.code == "files.incomplete"
    assert error.where.file == str(path)
    path.write_bytes(packed)
    assert len(source(tmp_path).scan(connection, stream("cut.csv*"), State()).relation.fetchall()) == 200_000


def test_gzip_of_several_parts(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """What `cat a.gz b.gz` and log shippers make is whole."""
    put(tmp_path, "a.csv.gz", gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"))
    assert rows(source(tmp_path).scan(connection, stream("*.gz"), State())) == [(1,), (2,)]


def test_a_file_that_goes_away(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    path = put(tmp_path, "a.parquet", b"")
    put_parquet(tmp_path, "a.parquet", "SELECT 1 AS id")
    files = source(tmp_path)
    scan = files.scan(connection, stream("*.parquet"), State())
    path.unlink()
    with pytest.raises(duckdb.Error) as caught:
        scan.relation.fetchall()
    told = files.explain(caught.value)
    assert isinstance(told, TransientError)
    assert told.code == "files.vanished"
    assert told.where.file == str(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the user who may not read")
@pytest.mark.parametrize("closed", ["in/a.csv", "in"])
def test_files_and_folders_this_user_may_not_read(
    connection: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, closed: str
) -> None:
    root = tmp_path_factory.mktemp("closed")
    for folder in (root, *root.parents):
        if folder.stat().st_uid == 0 and folder.name.startswith(("pytest", "closed")):
            folder.chmod(0o755)
    put(root, "in/a.csv", b"id\n1\n")
    failure(root, connection, stream("no/*.csv"))  # everything is imported before the user changes
    (root / closed).chmod(0o000)
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        error = failure(root, connection, stream("in/*.csv"))
    finally:
        os.seteuid(0)
    assert isinstance(error, ConfigError)
    assert error.code == "files.unreadable"
    assert error.where.file == str(root / closed)


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (stream("*.json"), "files.nothing_found", "the folder holds: a.csv, b.parquet, c.csv.bz2, in/d.jsonl"),
        (stream("*.c*", columns={"idd": "INTEGER"}), "files.compression", "cannot read bz2"),
        (stream("a.csv", columns={"idd": "INTEGER"}), "column.unknown", "did you mean 'id'"),
        (stream("b.parquet", columns={"idd": "INTEGER"}), "column.unknown", "did you mean 'id'"),
        (stream("a.csv", columns={"id": "INTEGRE"}), "type.unknown", "INTEGRE"),
        (stream("[ab].*"), "files.format", "set `format`"),
        (stream("noname"), "files.format", "set `format`"),
    ],
)
def test_wrong_settings(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, wanted: Stream, code: str, words: str
) -> None:
    put(tmp_path, "a.csv", b"id\n1\n")
    put_parquet(tmp_path, "b.parquet", "SELECT 1 AS id")
    put(tmp_path, "c.csv.bz2", b"BZh")
    put(tmp_path, "in/d.jsonl", JSONL)
    put(tmp_path, "noname", CSV)
    error = failure(tmp_path, connection, wanted)
    assert isinstance(error, ConfigError)
    assert error.code == code
    assert words.replace(", c.csv.bz2", "") in str(error)


def test_packed_parquet_is_refused(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.parquet.gz", gzip.compress(b"x"))
    error = failure(tmp_path, connection, stream("*.gz"))
    assert error.code == "files.compression"


def test_a_root_that_is_no_folder(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    missing = tmp_path / "missing"
    assert failure(missing, connection, stream("*.csv")).code == "files.root"
    assert source(missing).probe(stream("*.csv")) is None
    with pytest.raises(ConfigError) as caught:
        source(missing).test_connection()
    assert caught.value.code == "files.root"


def test_a_relative_root_starts_at_the_project(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    put(tmp_path, "inbox/a.csv", b"id\n1\n")
    scan = Files(root="inbox").scan(connection, stream("*.csv", filename_column="file"), State())
    assert rows(scan) == [(1, "a.csv")]


def test_probe_changes_with_the_files_only(tmp_path: Path) -> None:
    files, wanted = source(tmp_path), stream("*.csv")
    assert files.probe(wanted) is None
    put(tmp_path, "a.csv", b"id\n1\n", changed=1_000)
    first = files.probe(wanted)
    put(tmp_path, "a.txt", b"something else")
    assert files.probe(wanted) == first
    put(tmp_path, "a.csv", b"id\n2\n", changed=2_000)
    assert files.probe(wanted) not in (first, None)


def test_discover_origin_and_test_connection(tmp_path: Path) -> None:
    root = tmp_path / "my inbox"
    for name in ("faa/a.v1.csv.gz", "faa/b.csv.gz", "c.jsonl", "d.pdf", ".hidden/e.csv", "in/.f.csv"):
        put(root, name, b"")
    files = source(root)
    assert files.discover() == ["*.jsonl", "faa/*.csv.gz"]
    assert files.test_connection() == f"3 readable files below {root}"
    assert files.origin(stream("faa/*.csv.gz")) == ("my_inbox", "faa_csv_gz")
    assert files.origin(stream("*")) == ("my_inbox", "files")
