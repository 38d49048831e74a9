"""What a person reads when a file is broken, hidden, gone or not what its name says."""

import gzip
import os
import pwd
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow_platform.connectors.files import Files
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, TransientError
from tests.fixtures.file_source import CSV, JSONL, PACKINGS, failure, put, put_parquet, rows, source, stream


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
        ("type.jsonl", b'{"a": 1}\n' * 30_000 + b'{"a": "q"}\n', 30_001, '{"a": "q"}', "to BIGINT without a change"),
    ],
)
def test_broken_lines_are_told_with_file_line_and_words(
    tmp_path: Path,
    connection: duckdb.DuckDBPyConnection,
    name: str,
    content: bytes,
    line: int,
    excerpt: str,
    words: str,
    packing: str,
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


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bare.jsonl", b"{}\n{}\n", "no line is a record: a JSON object with a field"),
        ("list.jsonl", b"[]\n", "no line is a record: a JSON object with a field"),
        ("bare.parquet", b"", "the file has no column"),
    ],
)
def test_files_without_a_column(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str, content: bytes, words: str
) -> None:
    path = put(tmp_path, name, content)
    if name.endswith("parquet"):
        pq.write_table(pa.table({}), path)
    error = failure(tmp_path, connection, stream(name))
    assert (error.code, error.what, error.where.file) == ("files.unreadable", words, str(path))


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
        if folder.stat().st_uid == 0 and folder.name.startswith(("pytest", "popen", "closed")):
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
    assert files.origin(stream("faa/*.csv.gz")) == ("faa_csv_gz",)
    assert files.origin(stream("*")) == ("files",)
