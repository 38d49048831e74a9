"""What comes late in a file never changes silently: it fits the type of the first rows, or the load says where."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError, DataError
from tests.fixtures.file_source import failure, put, rows, source, stream

BEFORE = 20_480  # as many rows as the types are taken from


@pytest.mark.parametrize(
    ("first", "late"),
    [
        ("1", "1.5"),  # DuckDB alone: 2
        ("1", "007"),  # 7
        ("1", "0x1F"),  # 31
        ("1", "+1"),
        ("1", "-0"),
        ("1", "99999999999999999999"),
        ("1.5", "12345678901234567.89"),  # 12345678901234568.0
        ("1.5", "1e400"),  # inf
        ("1.5", "1e-400"),  # 0.0
        ("1.5", "007.5"),
        ("2020-01-01", "01/02/2020"),
        ("2020-01-01", "infinity"),
        ("2020-01-01 00:00:00", "2020-01-01 00:00:00.123456789"),  # .123456
        ("2020-01-01 00:00:00", "2020-01-01 00:00:00+02:00"),
        ("12:00:00", "12:00:00.1234567"),
        ("true", "t"),
    ],
)
def test_late_csv_text_of_another_kind(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, first: str, late: str
) -> None:
    path = put(tmp_path, "a.csv", f"v;w\n{(first + ';x' + chr(10)) * BEFORE}{late};x\n".encode())
    error = failure(tmp_path, connection, stream("a.csv", delimiter=";"))
    assert isinstance(error, DataError)
    # One line of names, then the first rows.
    assert (error.where.file, error.where.line, error.where.excerpt) == (str(path), BEFORE + 2, f"{late};x")
    assert f'"{late}"' in error.what
    assert "column 'v'" in error.what
    scan = source(tmp_path).scan(connection, stream("a.csv", delimiter=";", columns={"v": "VARCHAR"}), State())
    assert {row[0] for row in rows(scan)} == {first, late}


@pytest.mark.parametrize(
    ("first", "late", "words"),
    [
        ('"v": 1', '"v": 1.5', '"1.5"'),  # DuckDB alone: 2
        ('"v": 1', '"v": true', '"true"'),  # 1
        ('"v": 1', '"v": "2"', '""2""'),  # 2
        ('"v": 1.5', '"v": 12345678901234567.89', '"12345678901234567.89"'),
        ('"v": "x"', '"v": 7', '"7"'),
        ('"v": "x"', '"v": {"a": 1}', '"{"a":1}"'),
        ('"v": "2020-01-01T00:00:00"', '"v": "2020-01-01T00:00:00+02:00"', "+02:00"),
        ('"v": 1', '"v": 1, "w": 2', "a key that the first rows had not: w"),
        ('"v": 1', '"v": 1, "v": 2', "a key twice"),
        ('"v": 1', '"V": 1', "a key that the first rows had not: V"),
    ],
)
def test_late_json_value_of_another_kind(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, first: str, late: str, words: str
) -> None:
    path = put(tmp_path, "a.jsonl", f"{('{' + first + '}' + chr(10)) * BEFORE}{{{late}}}\n".encode())
    error = failure(tmp_path, connection, stream("a.jsonl"))
    assert isinstance(error, DataError)
    assert (error.where.file, error.where.line, error.where.excerpt) == (str(path), BEFORE + 1, f"{{{late}}}")
    assert words in error.what


def test_a_late_json_key_may_be_declared(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.jsonl", b'{"v": 1}\n' * BEFORE + b'{"v": 2, "w": 0.10}\n')
    scan = source(tmp_path).scan(connection, stream("a.jsonl", columns={"w": "DECIMAL(5,2)"}), State())
    assert [str(row[1]) for row in rows(scan) if row[0] == 2] == ["0.10"]


def test_numbers_inside_texts_are_left_alone(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    # The line has a number too long for a double: it is read with its numbers marked, and its texts are not.
    text = 'say \\"12345678901234567.89\\", -0, 1e400: 5, {\\"a\\": 1.50} \\\\ \\u0001'
    put(tmp_path, "a.jsonl", f'{{"n": 12345678901234567.89, "t": "{text}", "o": {{"k": 1.50, "t": "9.0"}}}}\n'.encode())
    scan = source(tmp_path).scan(connection, stream("a.jsonl", columns={"n": "DECIMAL(20,2)"}), State())
    ((number, said, nested),) = rows(scan)
    assert str(number) == "12345678901234567.89"
    assert said == 'say "12345678901234567.89", -0, 1e400: 5, {"a": 1.50} \\ \x01'
    assert nested == '{"k":1.50,"t":"9.0"}'


def test_an_empty_text_is_not_nothing(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    put(tmp_path, "a.csv", b'id,t,n\n1,"",""\n2,,\n3,x,5\n')
    assert rows(source(tmp_path).scan(connection, stream("a.csv"), State())) == [
        (1, "", None),
        (2, None, None),
        (3, "x", 5),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b"a,A\n1,2\n"), ("a.csv", b"a,a\n1,2\n"), ("a.jsonl", b'{"a": 1, "A": 2}\n')],
)
def test_names_that_differ_only_in_case_are_refused(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str, content: bytes
) -> None:
    put(tmp_path, name, content)
    error = failure(tmp_path, connection, stream(name))
    assert isinstance(error, ConfigError)
    assert error.code in ("files.columns", "files.unreadable")


def test_parquet_names_alike_and_no_column(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    pq.write_table(pa.table({"a": [1], "A": [2]}), tmp_path / "alike.parquet")
    pq.write_table(pa.table({}), tmp_path / "none.parquet")
    assert failure(tmp_path, connection, stream("alike.parquet")).code == "files.columns"
    assert failure(tmp_path, connection, stream("none.parquet")).code in ("files.columns", "files.unreadable")


def test_a_declared_type_never_rounds_parquet(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    pq.write_table(pa.table({"v": [1.0, 1.5]}), tmp_path / "a.parquet")
    assert '"1.5"' in failure(tmp_path, connection, stream("a.parquet", columns={"v": "INTEGER"})).what
    scan = source(tmp_path).scan(connection, stream("a.parquet", columns={"v": "DECIMAL(3,1)"}), State())
    assert [str(row[0]) for row in rows(scan)] == ["1.0", "1.5"]


def test_nanoseconds_deep_inside_are_found(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    kind = pa.list_(pa.struct([("at", pa.timestamp("ns", "UTC"))]))
    for name, value in (("fine", 1_577_836_800_123_456_000), ("cut", 1_577_836_800_123_456_789)):
        pq.write_table(pa.table({"v": pa.array([None, [{"at": value}]], kind)}), tmp_path / f"{name}.parquet")
    assert len(rows(source(tmp_path).scan(connection, stream("fine.parquet"), State()))) == 2
    assert "holds nanoseconds" in failure(tmp_path, connection, stream("cut.parquet")).what


@pytest.mark.parametrize("file", ["a.csv", "a.jsonl"])
def test_a_double_written_with_all_its_digits_is_that_double(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, file: str
) -> None:
    # "%.17g" of 48.0538086, as R, C and GeoJSON writers print it; the shortest form of the same double is 48.0538086.
    lines = (
        "v\n48.053808600000004\n0.10000000000000001\n"
        if file.endswith("csv")
        else ('{"v": 48.053808600000004}\n{"v": 0.10000000000000001}\n')
    )
    put(tmp_path, file, lines.encode())
    for columns in ({}, {"v": "DOUBLE"}):
        scan = source(tmp_path).scan(connection, stream(file, columns=columns), State())
        assert [str(kind) for kind in scan.relation.types] == ["DOUBLE"]
        assert sorted(rows(scan)) == [(0.1,), (48.0538086,)]
