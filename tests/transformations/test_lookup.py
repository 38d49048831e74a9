"""Columns taken from reference files and tables by a key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.engine import step_functions, transform
from tests.transformations.stepping import columns_of, over, refusal, run, step

ORDERS = "SELECT * FROM (VALUES (1, '01'), (2, '1'), (3, 'x'), (4, NULL), (5, '9')) AS t(id, code)"
COUNTRIES = [("01", "Germany", "83"), ("1", "France", "68"), ("9", "", None)]
TAKEN = {"by": ["code"], "columns": {"name": "country", "people": "people"}}


def as_csv(folder: Path) -> str:
    (folder / "c.csv").write_text('code,name,people\n01,Germany,83\n1,"France",68\n9,"",\n', encoding="utf-8-sig")
    return "c.csv"


def as_tsv(folder: Path) -> str:
    (folder / "c.tsv").write_text('code\tname\tpeople\n01\tGermany\t83\n1\tFrance\t68\n9\t""\t\n')
    return "c.tsv"


def as_jsonl(folder: Path) -> str:
    rows = [dict(zip(("code", "name", "people"), row, strict=True)) for row in COUNTRIES]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "c.jsonl"


def as_parquet(folder: Path) -> str:
    columns = zip(*COUNTRIES, strict=True)
    pq.write_table(
        pa.table(dict(zip(("code", "name", "people"), map(list, columns), strict=True))), folder / "c.parquet"
    )
    return "c.parquet"


def as_xlsx(folder: Path) -> str:
    book = openpyxl.Workbook()
    book.active.title = "lands"
    book.active.append(("code", "name", "people"))
    for code, name, people in COUNTRIES:
        book.active.append((code, name, people and int(people)))
    book.save(folder / "c.xlsx")
    return "c.xlsx"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("write", [as_csv, as_tsv, as_jsonl, as_parquet, as_xlsx])
def test_each_format_is_read_as_it_is_written(folder: Path, write: Callable[[Path], str]) -> None:
    file = {"path": write(folder), "types": {"people": "bigint"}}
    names, rows = over(ORDERS, step("lookup", {"file": file, **TAKEN, "misfit": "null"}))
    assert names == ["id", "code", "country", "people"]
    # 01 and 1 are two keys: nothing makes numbers of them. An empty text is one, but in a cell of Excel.
    assert sorted(rows) == [
        (1, "01", "Germany", 83), (2, "1", "France", 68), (3, "x", None, None), (4, None, None, None),
        (5, "9", None if write is as_xlsx else "", None),
    ]  # fmt: skip


def test_a_default_stands_for_keys_that_are_not_found(folder: Path) -> None:
    looked = step("lookup", {"file": as_csv(folder), **TAKEN, "default": {"country": "elsewhere"}})
    # A row without a key was not looked up.
    assert {row[0]: row[2:] for row in over(ORDERS, looked)[1] if row[0] in (3, 4)} == {
        3: ("elsewhere", None), 4: (None, None),
    }  # fmt: skip


def test_keys_that_are_not_found_fail_or_are_set_aside(folder: Path) -> None:
    file = as_csv(folder)
    with pytest.raises(duckdb.InvalidInputException, match=r"a key of code is not known to c\.csv"):
        over(ORDERS, step("lookup", {"file": file, **TAKEN}))
    judged = step("lookup", {"file": file, **TAKEN, "misfit": "quarantine"})
    assert judged.rules() == {"lookup_country": "code is not known to c.csv"}
    assert sorted((row[0], row[-1]) for row in over(ORDERS, judged)[1]) == [
        (1, False), (2, False), (3, True), (4, False), (5, False),
    ]  # fmt: skip


def test_a_table_is_looked_into_like_a_file(folder: Path) -> None:
    looked = step("lookup", {"table": "raw.c", "by": {"code": "iso"}, "columns": ["name"], "misfit": "null"})
    tables = {"raw.c": "SELECT '01' AS iso, 'Germany' AS name"}
    assert sorted(over(ORDERS, looked, tables=tables)[1])[0] == (1, "01", "Germany")
    assert looked.upstream() == ("raw.c",)


def test_a_key_twice_breaks_the_promise(folder: Path) -> None:
    (folder / "c.csv").write_text("code,name,people\n1,a,\n2,b,\n1,c,\n,d,\n,e,\n")
    looked = step("lookup", {"file": "c.csv", **TAKEN, "misfit": "null"})
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE input AS {ORDERS}")
        run(connection, looked)
        (promise,) = looked.promises()
        assert connection.execute(promise.broken_by).fetchall() == [("1",)]
    assert "c.csv has a key more than once" in promise.what


def test_what_is_taken_of_a_file_is_not_traced_to_a_column_called_alike(folder: Path) -> None:
    looked = step("lookup", {"file": as_csv(folder), "by": ["code"], "columns": {"people": "n"}, "misfit": "null"})
    with duckdb.connect() as connection, step_functions.opened(connection) as functions:
        connection.execute("CREATE TABLE input AS SELECT 'a' AS code, 1 AS people")
        query = transform.compose("SELECT * FROM input", columns_of(connection), [looked], None, functions)
    assert {name: [each.column for each in origins] for name, origins in query.lineage.direct().items()} == {
        "code": ["code"], "people": ["people"], "n": [],
    }  # fmt: skip


def test_an_unreadable_file_is_told(folder: Path) -> None:
    (folder / "c.csv").write_text("code,name,people\n1,a,b,c,d\n")
    with pytest.raises(DataError) as raised:
        over(ORDERS, step("lookup", {"file": "c.csv", **TAKEN}))
    assert raised.value.code == "reference.unreadable"
    (folder / "c.csv").write_text("code,name,people\n1,a,many\n")
    with pytest.raises(DataError) as raised:
        over(ORDERS, step("lookup", {"file": {"path": "c.csv", "types": {"people": "bigint"}}, **TAKEN}))
    assert raised.value.code == "reference.unreadable"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"file": "c.csv", "table": "a.b", **TAKEN}, "lookup.where"),
        (TAKEN, "lookup.where"),
        ({"file": "c.docx", **TAKEN}, "lookup.format"),
        ({"file": "absent.csv", **TAKEN}, "lookup.file"),
        ({"file": "twice.csv", **TAKEN}, "lookup.header"),
        ({"file": "c.csv", "by": ["code"], "columns": ["nam"]}, "column.unknown"),
        ({"file": "c.csv", "by": ["id"], "columns": ["name"]}, "column.unknown"),
        ({"file": "c.csv", "by": {"id": "code"}, "columns": ["name"]}, "lookup.key_type"),
        ({"file": "c.csv", "by": ["code"], "columns": {"name": "id"}}, "column.duplicate"),
        ({"file": "c.csv", **TAKEN, "default": {"name": "x"}}, "lookup.default"),
        ({"file": "c.csv", **TAKEN, "default": {"country": "x"}, "misfit": "null"}, "lookup.default"),
        ({"file": {"path": "c.csv", "types": {"people": "bigg"}}, **TAKEN}, "type.unknown"),
        ({"api": {"connection": "a", "path": "x"}, **TAKEN}, "lookup.question"),
        ({"api": {"connection": "a", "path": "{key}"}, "by": ["id", "code"], "columns": ["x"]}, "lookup.key"),
    ],
)
def test_a_mistake_is_found_before_a_row_is_read(folder: Path, value: dict[str, Any], code: str) -> None:
    as_csv(folder)
    (folder / "twice.csv").write_text("code,Code\n")
    assert refusal("lookup", value, [Column("id", "INTEGER"), Column("code", "VARCHAR")]).code == code


def test_a_lookup_without_a_pipeline_has_no_connection() -> None:
    asked = step("lookup", {"api": {"connection": "crm", "path": "{key}"}, "by": ["code"], "columns": ["name"]})
    with pytest.raises(ConfigError) as raised:
        over(ORDERS, asked)
    assert raised.value.code == "lookup.connection"
