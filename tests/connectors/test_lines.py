"""The line of a bad row in its text file: every row whose v is missing is bad."""

import csv
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.files import Files, FilesStream, lines
from dataflow_platform.core.base import Stream, Table, Transformation
from dataflow_platform.engine import source_lines
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.transformations.deduplicate import Deduplicate
from dataflow_platform.transformations.filter import Filter

Place = tuple[str, str, int]


def places(
    folder: Path, steps: list[Transformation] | None = None, severity: str = "warn", **options: Any
) -> list[Any]:
    """Load the files; of each bad row its file, and the word and number of its place."""
    load = StreamLoad(
        pipeline="p",
        stream=Stream("t", FilesStream(**{"path": "*[lz]*", **options})),
        source=Files(root=str(folder / "in")),
        destination=DuckDB(path=str(folder / "w.duckdb")),
        target=Table("raw", "t"),
        strategy=Append(),
        strategy_name="append",
        load_id=os.urandom(8).hex(),
        steps=steps or [],
        checks=[NotNull(columns=["v"], severity=severity)],
    )
    publish(stage(load))
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        rows = connection.execute("SELECT source_position FROM raw._dataflow_quarantine").fetchall()
    found = [json.loads(text) for (text,) in rows]
    return sorted((place.pop("file"), *(next(iter(place.items()), ("", 0)))) for place in found)


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        file = tmp_path / "in" / name
        file.parent.mkdir(exist_ok=True)
        data = text.encode()
        if name.endswith(".gz"):
            data = gzip.compress(data)
        if name.endswith(".zst"):
            data = pa.compress(data, "zstd", asbytes=True)
        file.write_bytes(data)

    return write


# The lines counted by eye; what is bad has nothing behind its last comma.
CSV: dict[str, tuple[str, dict[str, Any], list[int]]] = {
    "first, middle, last": ("id,v\n1,\n2,x\n3,\n4,x\n5,\n", {}, [2, 4, 6]),
    "no line break at the end": ("id,v\n1,x\n2,", {}, [3]),
    "no header": ("1,\n2,x\n3,\n", {"header": False, "columns": {"id": "INTEGER", "v": "VARCHAR"}}, [1, 3]),
    "blank lines": ("id,v\n\n1,\n\n\n2,x\n3,\n\n", {}, [3, 7]),
    "line breaks in quotes": ('id,note,v\n1,"a\nb\n\nc",\n2,"d\ne",x\n3,f,\n', {}, [2, 8]),
    "line breaks and quotes in quotes": ('id,note,v\n1,"a ""\n,\n"" b",x\n2,,\n', {}, [5]),
    "CR LF": ('id,note,v\r\n1,"a\r\nb",\r\n\r\n2,c,x\r\n3,d,\r\n', {}, [2, 6]),
    "CR alone": ("id,v\r1,\r2,x\r3,\r", {}, [2, 4]),
    "byte order mark": ("\ufeffid,v\n1,x\n2,\n", {}, [3]),
    "a header over two lines": ('id,"the\nnote",v\n1,a,\n', {}, [3]),
    "semicolons": ('id;note;v\n1;"a;\nb";\n2;c;x\n3;;\n', {"delimiter": ";"}, [2, 5]),
    "words for nothing": ("id,v\n1,NA\n2,x\n3,\n", {"null_values": ["NA"]}, [2, 4]),
    # Of four equal lines none is another; the bad rows are told apart all the same.
    "equal lines": ("id,v\n1,\n1,\n2,x\n1,\n1,\n", {}, [2, 3, 5, 6]),
    # In a file of one column an empty line is a row without a value.
    "one column": ("v\nx\n\ny\n\n", {}, [3, 5]),
    "numbers and dates": ("id,at,v\n1.50,2024-01-02,\n2.25,2024-01-03,x\n1.5,2024-01-02,\n", {}, [2, 4]),
}


PACKED = [(case, suffix) for case in ("line breaks in quotes", "blank lines") for suffix in (".gz", ".zst")]


@pytest.mark.parametrize(("case", "suffix"), [*((case, "") for case in CSV), *PACKED])
def test_the_line_of_a_csv_record(tmp_path: Path, put: Callable[[str, str], None], case: str, suffix: str) -> None:
    text, options, expected = CSV[case]
    put(f"l.csv{suffix}", text)
    assert places(tmp_path, **options) == [(f"l.csv{suffix}", "line", line) for line in expected]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_line_of_a_json_record(tmp_path: Path, put: Callable[[str, str], None], suffix: str) -> None:
    # An escaped line break is none; a blank line is no record; keys may stand in any order or be missing.
    text = (
        '{"id": 1, "v": null}\n\n{"id": 2, "v": "a\\nb"}\n  \n{"v": null, "id": 1}\n{"id": 3.10}\n{"id": 4, "v": "x"}\n'
    )
    put(f"l.jsonl{suffix}", text + '{"id": 12345678901234567890.5}')
    assert places(tmp_path) == [(f"l.jsonl{suffix}", "line", line) for line in (1, 5, 6, 8)]


def test_several_files_each_count_from_one(tmp_path: Path, put: Callable[[str, str], None]) -> None:
    put("l1.csv", "id,v\n1,\n2,x\n")
    put("l2.csv.gz", "id,v\n9,x\n1,\n")
    put("l3.csv", "id,v\n3,x\n")
    # A column more, in another order: united by name.
    put("l4.csv", "v,extra,id\nx,1,1\n\n,2,1\n,,1\n")
    expected = [("l1.csv", "line", 2), ("l2.csv.gz", "line", 3), ("l4.csv", "line", 4), ("l4.csv", "line", 5)]
    assert places(tmp_path) == expected
    # The next load reads the new file alone.
    put("l5.csv", "id,v\n7,x\n1,\n")
    assert places(tmp_path) == [*expected, ("l5.csv", "line", 3)]


def test_more_files_than_are_picked_out(
    tmp_path: Path, put: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_lines, "_FEW", 1)
    for number in range(3):
        put(f"l{number}.csv", f"id,v\n{number},x\n" + "1,x\n" * number + "1,\n")
    assert places(tmp_path) == [("l0.csv", "line", 3), ("l1.csv", "line", 4), ("l2.csv", "line", 5)]


def test_steps_that_drop_rows_or_leave_one_of_many(tmp_path: Path, put: Callable[[str, str], None]) -> None:
    put("l.csv", "id,v\n0,\n1,\n2,x\n1,\n3,\n")
    steps = [Filter.model_validate("id <> 0"), Deduplicate.model_validate({"by": ["id"]})]
    # Lines 3 and 5 are equal and one row is left of them: it is said to be the first.
    assert places(tmp_path, steps) == [("l.csv", "line", 3), ("l.csv", "line", 6)]


def test_many_lines_in_order(tmp_path: Path, put: Callable[[str, str], None]) -> None:
    # More than DuckDB gives to one thread at once (122,880 rows); what is expected is counted while it is written.
    random, text, expected, line = Random(5), io.StringIO(), [], 2
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "note", "v"])
    for number in range(300_000):
        note = random.choice(["plain", "two\nlines", 'a "quoted"\n\nword', "comma, comma"])
        bad = random.random() < 0.001
        if bad:
            expected.append(line)
        writer.writerow([number % 1000, note, "" if bad else "x" * 20])
        line += 1 + note.count("\n")
        if random.random() < 0.001:
            text.write("\n")
            line += 1
    put("l.csv", text.getvalue())
    assert places(tmp_path) == [("l.csv", "line", line) for line in expected]


def test_the_record_is_told_where_the_line_cannot_be(tmp_path: Path, put: Callable[[str, str], None]) -> None:
    # Python's reader refuses a field of more than 131,072 signs.
    put("l.csv", f'id,note,v\n1,"a\nb",\n2,{"x" * 140_000},x\n3,,\n')
    assert places(tmp_path) == [("l.csv", "record", 1), ("l.csv", "record", 3)]


def test_a_file_that_changed_meanwhile_has_no_lines(
    tmp_path: Path, put: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("l.csv", "id,v\n1,\n")
    begin = lines.begin

    def late(*given: Any) -> Any:
        put("l.csv", "id,v\n0,x\n1,\n")
        return begin(*given)

    monkeypatch.setattr(lines, "begin", late)
    assert places(tmp_path) == [("l.csv", "", 0)]


@pytest.fixture
def second_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files somebody counted the lines of."""
    looked: list[str] = []
    begin = lines.begin

    def watched(file: Any, *given: Any) -> Any:
        looked.append(file.name)
        return begin(file, *given)

    monkeypatch.setattr(lines, "begin", watched)
    return looked


def test_only_files_with_a_bad_row_are_looked_at_again(
    tmp_path: Path, put: Callable[[str, str], None], second_looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("l1.csv", "id,v\n1,x\n")
    put("l2.csv", "id,v\n1,\n")
    assert places(tmp_path) == [("l2.csv", "line", 2)]
    assert second_looks == ["l2.csv"]
    # A clean load does not even count records.
    put("l3.csv", "id,v\n1,x\n")
    monkeypatch.setattr(source_lines, "_find", None)
    assert places(tmp_path) == [("l2.csv", "line", 2)]
    assert second_looks == ["l2.csv"]
