"""Values on their way into a lake's files, folders and statistics: exact for every reader, or refused in words."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from dataflow_platform.core.base import Destination, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError
from tests.fixtures.lake import orphans
from tests.fixtures.rows import Rows, RowsOptions
from tests.types.lakes import InDelta, InParquet
from tests.types.matrix import load_from
from tests.types.naughty import OURS

T = Table("raw", "t")
Lakes = Callable[[Path], InDelta | InParquet]
both = pytest.mark.parametrize("make", [InDelta, InParquet])


def load(into: Destination, by: str, **columns: Sequence[Any]) -> None:
    """The columns, beside ``id``, into a table partitioned by one of them."""
    length = len(next(iter(columns.values())))
    rows = pa.table({"id": pa.array(range(length), pa.int32()), **columns})
    offered = Rows().with_rows(rows), Stream("s", RowsOptions())
    load_from(*offered, into.model_copy(update={"partition_by": {"t": [by]}}), T)


def found_by_the_platform(lake: InDelta | InParquet, column: str) -> list[Any]:
    with lake.destination.reader() as connection:
        return [row[0] for row in connection.execute(f"SELECT {column} FROM raw.t ORDER BY id").fetchall()]


REFUSED = {
    "the folder of NULL": (["__HIVE_DEFAULT_PARTITION__", None], "that is the folder of NULL"),
    "NUL": (["a\0b"], "a text with a NUL character"),
    "a folder's name of 600 letters": (["🛩" * 50], "longer than the file system allows"),
}


@both
@pytest.mark.parametrize("why", REFUSED)
def test_partition_values_no_folder_keeps_are_refused_and_nothing_is_left(
    tmp_path: Path, make: Lakes, why: str
) -> None:
    values, words = REFUSED[why]
    lake = make(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        load(lake.destination, "p", p=values)
    assert caught.value.code in ("lake.partition_value", "lake.path_length")
    folder = next(tmp_path.iterdir()) / "raw" / "t"
    assert orphans(folder) == []
    with lake.destination.reader() as connection:
        assert connection.execute("SELECT * FROM duckdb_views() WHERE schema_name = 'raw'").fetchall() == []


@both
@pytest.mark.parametrize("day", ["infinity", "0044-03-15 (BC)", "10000-01-01"])
def test_partitions_of_days_python_and_others_do_not_know_are_refused(tmp_path: Path, make: Lakes, day: str) -> None:
    lake = make(tmp_path)
    session = lake.destination.model_copy(update={"partition_by": {"t": ["d"]}}).session()
    try:
        staged = session.stage(f"SELECT 1 AS id, DATE '{day}' AS d", T)
        with pytest.raises(DataError, match="one of the years 1 to 9999"):
            session.publish_as_new(staged, T)
    finally:
        session.close()


def test_an_empty_text_is_null_in_deltas_log_and_a_value_in_a_datasets_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Delta's log takes that for NULL"):
        load(InDelta(tmp_path).destination, "p", p=["", None, "x"])
    lake = InParquet(tmp_path)
    load(lake.destination, "p", p=["", None, "x"])
    assert found_by_the_platform(lake, "p") == ["", None, "x"]


@both
def test_naughty_partition_values_are_found_by_every_reader(tmp_path: Path, make: Lakes) -> None:
    # A folder's name has 255 bytes at most, and an odd one takes three letters: p=, and 253 / 3.
    values = [None, *(text for text in OURS if text and len(text.encode()) <= 84)]
    lake = make(tmp_path)
    load(lake.destination, "p", p=values)
    assert found_by_the_platform(lake, "p") == values
    if isinstance(lake, InDelta):
        assert [found.sort_by("id").column("p").to_pylist() for found in lake.read(T)] == [values, values]


@both
def test_a_column_called_star_is_no_partition(tmp_path: Path, make: Lakes) -> None:
    with pytest.raises(ConfigError, match="by a column called"):
        load(make(tmp_path).destination, "*", **{"*": ["x"]})


def test_statistics_lose_no_row_with_a_naughty_string(tmp_path: Path) -> None:
    """One file a row: its least and greatest text is the row's, and readers leave out files that cannot match."""
    lake = InDelta(tmp_path)
    values = [*OURS, "\U00020000", "\ud7ff" * 65, "a\0b"]
    load(lake.destination, "part", v=values, part=list(range(len(values))))
    dataset = DeltaTable(str(tmp_path / "delta/raw/t")).to_pyarrow_dataset()
    assert len(dataset.files) == len(values)
    assert [dataset.count_rows(filter=pc.field("v") == text) for text in values] == [1] * len(values)
    # DuckDB's literals hold no NUL.
    for text in values[:-1]:
        written = text.replace("'", "''")
        asked = f"SELECT count(*) FROM delta_scan('{tmp_path}/delta/raw/t') WHERE v = '{written}'"
        assert lake.extension().execute(asked).fetchall() == [(1,)], text


def test_readers_find_every_value_by_a_filter(tmp_path: Path) -> None:
    """Two files, each with values a bound is hard to give for."""
    lake, last = InDelta(tmp_path), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)
    long = [Decimal("-12345678901234567890.123456789"), Decimal("0"), Decimal("12345678901234567890.123456789")]
    columns = {
        "d": pa.array([dt.datetime(2020, 1, 1), dt.datetime(2021, 1, 1), last]),
        "f": pa.array([1.5, 3.5, -0.0]),
        "g": pa.array([0.1, 1.1, 2.0**-149], pa.float32()),
        "n": pa.array([1.5, 3.5, float("nan")]),
        "b": pa.array([True, False, True]),
        "e": pa.array([Decimal("0.000000001"), Decimal("-99999.5"), Decimal("1")], pa.decimal128(15, 9)),
        "h": pa.array(long, pa.decimal128(38, 9)),
        "k": pa.array([10**37, -(10**37), 1], pa.decimal128(38, 0)),
        "y": pa.array([b"\xff", b"", b"a"]),
    }
    load(lake.destination, "part", **columns, part=[0, 1, 1])
    table = DeltaTable(str(tmp_path / "delta/raw/t"))
    dataset = table.to_pyarrow_dataset()
    for name, values in columns.items():
        for value in values:
            # deltalake finds nothing in a file without bounds: that of NaN.
            if name != "n" or value.as_py() == 1.5:
                expected = sum(value == each for each in values)
                assert dataset.count_rows(filter=pc.field(name) == value) == expected, (name, value)
    mine = f"delta_scan('{tmp_path}/delta/raw/t')"
    # NaN is greater than any number to DuckDB.
    for condition, count in (("n > 3", 2), ("n = 3.5", 1), ("n = 'nan'", 1), ("h > 1", 1), ("d > '2021-01-01'", 1)):
        assert lake.extension().execute(f"SELECT count(*) FROM {mine} WHERE {condition}").fetchall() == [(count,)]
