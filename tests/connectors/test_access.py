"""The Access source on files that Access wrote, and on files laid out by hand for what those do not hold."""

import csv
import datetime as dt
import io
import random
import shutil
import struct
import subprocess
from collections import Counter
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow_platform.connectors.access import Access
from dataflow_platform.connectors.access.pages import Pages
from dataflow_platform.connectors.access.records import rows as records
from dataflow_platform.connectors.access.table import table
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from tests.fixtures import access_file
from tests.fixtures.access_file import AccessFile, unpacked
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import rows, stream

FIRST_DAY = dt.datetime(1899, 12, 30)
# Type -> the bytes of a value, laid out after the format's description, and the value they mean.
VALUES: dict[str, tuple[Any, str, Any]] = {
    "long": (struct.pack("<i", -(2**31)), "INTEGER", -(2**31)),
    "boolean": (True, "BOOLEAN", True),
    "byte": (b"\xff", "UTINYINT", 255),
    "integer": (struct.pack("<h", -(2**15)), "SMALLINT", -(2**15)),
    "large number": (struct.pack("<q", 2**63 - 1), "BIGINT", 2**63 - 1),
    "currency": (struct.pack("<q", -(2**63)), "DECIMAL(19,4)", Decimal("-922337203685477.5808")),
    "single": (struct.pack("<f", 0.1), "FLOAT", struct.unpack("<f", struct.pack("<f", 0.1))[0]),
    "double": (struct.pack("<d", 0.1 + 0.2), "DOUBLE", 0.30000000000000004),  # seventeen digits
    # A quarter of a day after the day before the first: the time goes forward there as well.
    "date/time": (struct.pack("<d", -1.25), "TIMESTAMP", FIRST_DAY - dt.timedelta(days=1) + dt.timedelta(hours=6)),
    # Three of four words, the highest first.
    "decimal": (
        struct.pack("<BIIII", 0x80, 0, *struct.unpack(">III", (10**28 - 1).to_bytes(12, "big"))), "DECIMAL(28,4)",
        Decimal("-999999999999999999999999.9999"),
    ),
    "guid": (
        bytes.fromhex("33221100554477668899aabbccddeeff"), "UUID", UUID("00112233-4455-6677-8899-aabbccddeeff"),
    ),
    "date/time extended": (
        # 2020-01-01 is 737,424 days after 0001-01-01 (date.toordinal() - 1); 5,025 s are 01:23:45.
        f"{737424:019}:{5025:012}{1234560:07}:7".encode(), "TIMESTAMP", dt.datetime(2020, 1, 1, 1, 23, 45, 123456),
    ),
    "binary": (b"\x00\xff\x10", "BLOB", b"\x00\xff\x10"),
    "text": ("naïve 张三\r\n".encode("utf-16-le"), "VARCHAR", "naïve 张三\r\n"),
}  # fmt: skip
COLUMNS = [(f"{kind} {place}", kind) for place, kind in enumerate(VALUES)]


def every_type(folder: Path) -> Path:
    """Two rows: the values above, and none at all."""
    made = AccessFile()
    made.table("types", COLUMNS, [[value for value, _, _ in VALUES.values()], [None] * len(VALUES)])
    return made.write(folder / "types.accdb")


def text_table(folder: Path, values: list[Any], kind: str = "text") -> Access:
    made = AccessFile()
    made.table("texts", [("id", "long"), ("said", kind)], [[access_file.u32(n), each] for n, each in enumerate(values)])
    return Access(path=str(made.write(folder / "texts.accdb")))


def read(source: Access, engine: duckdb.DuckDBPyConnection, wanted: Stream) -> list[Any]:
    return rows(source.scan(engine, wanted, State()))


def taken(source: Access, table: str) -> list[tuple[Any, ...]]:
    """The rows as they come, seven at a time."""
    columns, statement = source.plan(stream(table), State())
    with closing(source.reading(source.engine(), statement, columns)) as reading:
        return [tuple(row.values()) for batch in iter(partial(reading.next, 7), None) for row in batch.to_pylist()]


@pytest.mark.evidence("access", "source", "real_server")
def test_a_file_of_access(tmp_path: Path, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst) -> None:
    source = Access(path=str(unpacked(tmp_path, "merchant_taylors.mdb")))
    assert source.test_connection() == f"1 tables in Microsoft Access file {source.path} (.mdb)"
    (told,) = source.catalogue()
    assert (told.name, told.primary_key, told.estimated_rows) == ("merchant_taylors", ("Id No",), 20)
    assert [column.type for column in told.columns[6:11]] == ["text(150)", *["date/time"] * 3, "memo"]
    columns = ("Id No", "Surname", "Remarks", "Freedom")
    found = read(source, engine, stream("merchant_taylors", columns=columns))
    # As Access shows them; mdb-json 1.0.0 has 1900-01-00 in place of all dates here.
    assert found[:2] == [(1, "Aaron", None, dt.datetime(1760, 7, 3)), (2, "Abbey", None, dt.datetime(1601, 5, 11))]
    assert len(found) == 20
    ran_against(source, "Access 2000-2003 file (Jet 4)")


@pytest.mark.evidence("access", "source", "real_server")
def test_tables_of_an_accdb(tmp_path: Path, ran_against: RanAgainst) -> None:
    source = Access(path=str(unpacked(tmp_path, "empty.accdb")))
    assert source.discover() == []
    with Pages(Path(source.path), "here") as pages:
        objects = table(pages, 2)
        by_name = {field.name: field for field in objects.fields}
        found = list(records(pages, objects, [by_name[name] for name in ("Name", "DateCreate", "Owner", "Lv", "Id")]))
        assert len(found) == objects.row_count == 18
        told = {row[0]: row for row in found}
        assert told["MSysDb"][1].year > 2000
        assert isinstance(told["MSysDb"][2], bytes)
        rights = table(pages, told["MSysACEs"][4])
        assert len(list(records(pages, rights, rights.fields))) == rights.row_count == 53
    ran_against(source, "Access 2007-2019 file (ACE)")


def test_every_type(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    source = Access(path=str(every_type(tmp_path)))
    scan = source.scan(engine, stream("types"), State())
    assert [str(kind) for kind in scan.relation.types] == [kind for _, kind, _ in VALUES.values()]
    full, empty = rows(scan)
    assert list(full) == [value for _, _, value in VALUES.values()]
    assert list(empty) == [False if kind == "boolean" else None for kind in VALUES]  # Access has no third boolean


def test_as_text(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    names = tuple(name for name, _ in COLUMNS)
    wanted = names[1], names[5], names[8], names[10], names[12]
    full = read(Access(path=str(every_type(tmp_path))), engine, stream("types", columns=wanted, as_text=wanted))[1]
    assert full == (
        "True", "-922337203685477.5808", "1899-12-29 06:00:00", "00112233-4455-6677-8899-aabbccddeeff", "00ff10",
    )  # fmt: skip


def test_texts(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    # One byte a character, two after a zero, and one again after the next.
    packed = b"\xff\xfe" + b"caf\xe9\0" + "张三".encode("utf-16-le") + b"\0!"
    found = read(text_table(tmp_path, [packed, b"", None]), engine, stream("texts"))
    assert found == [(0, "café张三!"), (1, ""), (2, None)]


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_long_values(tmp_path: Path, engine: duckdb.DuckDBPyConnection, pieces: int) -> None:
    made = AccessFile()
    long = "ä" * (500 if pieces == 0 else 1_500)
    value = made.long_value(long.encode("utf-16-le"), pieces)
    made.table("long", [("id", "long"), ("memo", "memo"), ("thing", "ole")], [[access_file.u32(1), value, value]])
    source = Access(path=str(made.write(tmp_path / "long.mdb")))
    assert read(source, engine, stream("long")) == [(1, long, long.encode("utf-16-le"))]


def test_a_long_value_that_is_cut_off(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    source = text_table(tmp_path, [struct.pack("<III", 9 | 0x80000000, 0, 0) + b"a\0b\0"], "memo")
    with pytest.raises(DataError, match="4 bytes of 9"):
        read(source, engine, stream("texts"))


def test_dropped_moved_and_older_rows(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    made, columns = AccessFile(), [("id", "long"), ("said", "text"), ("late", "text"), ("flag", "boolean")]
    number = made.table("rows", columns, [])

    def record(key: int, *said: Any) -> bytes:
        return access_file.row(columns, [access_file.u32(key), *said])

    there = [
        (record(1, b"a\0", b"b\0", True), 0),
        (record(2, b"dropped", None, True), 0xC000),
        (b"\0\1\2\3", 0x4000),  # row 3 moved to another page; what is left is its address
        (record(4, b"d\0"), 0),  # stored before the last two columns were added
        (record(3, b"c\0", None, False), 0x8000),
    ]
    made.define(number, columns, there, 3)
    source = Access(path=str(made.write(tmp_path / "rows.accdb")))
    expected = [(1, "a", "b", True), (3, "c", None, False), (4, "d", None, False)]
    assert read(source, engine, stream("rows")) == expected


def test_many_rows_over_many_pages(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    made, columns = AccessFile(), [(f"column {number}", "long") for number in range(150)]
    # A definition of 150 columns takes two pages; 6 rows of 604 bytes fit on one: 700 pages, a map of its own.
    made.table("many", columns, [[access_file.u32(n)] + [access_file.u32(7)] * 149 for n in range(4_200)])
    source = Access(path=str(made.write(tmp_path / "many.accdb")))
    scan = source.scan(engine, stream("many"), State())
    (told,) = rows(scan, 'count(*), sum("column 0"), sum("column 149")')
    assert told == (4_200, 4_200 * 4_199 // 2, 7 * 4_200)


def test_a_map_of_pages_far_away(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    made, columns = AccessFile(), [("id", "long")]
    number = made.table("far", columns, [])
    told = b"\1" + access_file.u32(0) + access_file.u32(made.add(b"\5\1\0\0" + b"\x20"))
    usage = made.add(access_file.data(access_file.u32(0), [(told, 0)])) << 8
    made.pages[number][:] = access_file.definition(columns, 1, usage).ljust(4096, b"\0")
    source = Access(path=str(made.write(tmp_path / "far.accdb")))
    # The sixth bit of the second map; the first has 4,092 bytes of bits: 5 + 4,092 * 8.
    with pytest.raises(DataError, match="page 32741 is missing"):
        read(source, engine, stream("far"))


def test_types_and_columns_that_a_person_names(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    source = Access(path=str(unpacked(tmp_path, "merchant_taylors.mdb")))
    wanted = stream("merchant_taylors", columns=("Freedom",), types={"Freedom": "DATE"})
    assert (dt.date(1760, 7, 3),) in read(source, engine, wanted)
    made = AccessFile()
    made.table("files", [("id", "long"), ("what", "attachment")], [[access_file.u32(1), access_file.u32(1)]])
    source = Access(path=str(made.write(tmp_path / "files.accdb")))
    with pytest.raises(ConfigError, match=r"what \(attachment or multi-valued\)"):
        read(source, engine, stream("files"))
    with pytest.raises(ConfigError, match=r"access\.type"):
        read(source, engine, stream("files", types={"what": "JSON"}))
    assert read(source, engine, stream("files", columns=("id",))) == [(1,)]


def _flipped(path: Path, at: int, byte: int) -> None:
    told = bytearray(path.read_bytes())
    told[at] = byte
    path.write_bytes(bytes(told))


@pytest.mark.parametrize(
    ("at", "byte", "code", "said"),
    [
        (0x14, 0, "access.format", "Access 97"),
        (4, 0, "access.format", "no Access database"),
        (0x3E, 1, "access.encrypted", "encrypted"),
        (3 * 4096 + 16, 9, "access.damaged", "2 rows of a table that should have 9"),
        (4 * 4096 + 4, 9, "access.damaged", "does not belong"),
        (4 * 4096 + 13, 200, "access.damaged", "more rows than fit"),
        (3 * 4096, 1, "access.damaged", "page 3"),
    ],
)
def test_files_that_are_refused(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection, at: int, byte: int, code: str, said: str
) -> None:
    path = every_type(tmp_path)  # page 3 has the definition of `types`, page 4 its rows
    _flipped(path, at, byte)
    with pytest.raises(DataflowError, match=said) as caught:
        read(Access(path=str(path)), engine, stream("types"))
    assert caught.value.code == code


def test_flipped_bytes_never_end_in_an_error_of_python(tmp_path: Path) -> None:
    whole, chance = every_type(tmp_path).read_bytes(), random.Random(7)
    path, codes = tmp_path / "flipped.accdb", Counter[str]()
    for _ in range(80):
        told = bytearray(whole)
        told[4096 * chance.randrange(len(whole) // 4096) + chance.randrange(64)] = chance.choice([0, 1, 0x80, 255])
        path.write_bytes(told)
        source = Access(path=str(path))
        try:
            source.catalogue()
            taken(source, "types")
        except DataflowError as error:
            codes[error.code.partition(".")[0]] += 1
    assert codes["access"] > 5  # else the flips hit nothing that matters


rows_of_any_kind = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.text(st.characters(blacklist_categories=("Cs",)), max_size=100),
        st.none() | st.binary(max_size=100),
        st.booleans(),
        st.none() | st.floats(allow_nan=False),
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=rows_of_any_kind)
def test_whatever_was_written_is_read(tmp_path: Path, found: list[tuple[Any, ...]]) -> None:
    made = AccessFile()
    columns = [("n", "large number"), ("said", "text"), ("bytes", "binary"), ("yes", "boolean"), ("ratio", "double")]
    packed = [
        [
            None if n is None else struct.pack("<q", n), None if said is None else said.encode("utf-16-le"), raw, yes,
            None if ratio is None else struct.pack("<d", ratio),
        ]
        for n, said, raw, yes, ratio in found
    ]  # fmt: skip
    made.table("any", columns, packed)
    source = Access(path=str(made.write(tmp_path / "any.accdb")))
    assert taken(source, "any") == found


def test_a_value_that_is_none_names_its_column(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(DataError, match="column 'said'"):
        read(text_table(tmp_path, [b"\x00\xd8"]), engine, stream("texts"))  # half of a character
    far = struct.pack("<d", 3e6)  # in the year 10,113
    with pytest.raises(DataError, match="column 'said'"):
        read(text_table(tmp_path, [far], "date/time"), engine, stream("texts"))


def test_a_file_that_is_written_meanwhile(tmp_path: Path) -> None:
    source = text_table(tmp_path, [b"a\0"] * 2_000)
    columns, statement = source.plan(stream("texts"), State())
    with closing(source.reading(source.engine(), statement, columns)) as reading:
        assert reading.next(10) is not None
        with Path(source.path).open("ab") as file:
            file.write(bytes(4096))
        with pytest.raises(TransientError, match="written while it was read"):
            list(iter(partial(reading.next, 20_000), None))


def test_what_is_not_there(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    source = text_table(tmp_path, [])
    assert read(source, engine, stream("texts")) == []
    with pytest.raises(ConfigError, match="did you mean 'texts'"):
        read(source, engine, stream("text"))
    with pytest.raises(ConfigError, match=r"access\.query"):
        read(source, engine, stream(query="SELECT 1"))
    with pytest.raises(ConfigError, match=r"access\.open"):
        read(Access(path=str(tmp_path / "none.mdb")), engine, stream("texts"))


def _by_mdbtools(path: Path, name: str) -> list[dict[str, str]]:
    if not shutil.which("mdb-export"):
        pytest.skip("mdb-export is not installed: apt-get install mdbtools")
    command = ["mdb-export", "-b", "raw", str(path), name]
    done = subprocess.run(command, capture_output=True, check=True)
    return list(csv.DictReader(io.StringIO(done.stdout.decode(errors="replace"), newline="")))


@pytest.mark.mdbtools
def test_mdbtools_reads_the_same(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    """Another reader of the format finds the same in files of Access, and in those laid out by hand."""
    path = unpacked(tmp_path, "merchant_taylors.mdb")
    names = ("Id No", "Surname", "Forenames", "How Admitted", "Notes", "Remarks", "Source Ref")
    ours = read(Access(path=str(path)), engine, stream("merchant_taylors", columns=names))
    theirs = [tuple(row[name] for name in names) for row in _by_mdbtools(path, "merchant_taylors")]
    assert sorted(tuple(str(value or "") for value in row) for row in ours) == sorted(theirs)
    path = every_type(tmp_path)
    full = _by_mdbtools(path, "types")[0]
    compared = ("long", "byte", "integer", "currency", "decimal", "text")
    for name, kind in COLUMNS:
        if kind in compared:
            assert full[name] == str(VALUES[kind][2]), kind
        if kind == "guid":
            assert UUID(full[name].strip("{}")) == VALUES[kind][2]
