"""Parquet datasets: the manifest, what stays for readers of older versions, and the types files give back."""

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.parquet_dataset import ParquetDataset
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError
from tests.engine.test_line import ONE, TWO, run, table
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.lake import orphans


@pytest.fixture
def warehouse(tmp_path: Path) -> ParquetDataset:
    return ParquetDataset(path=str(tmp_path / "lake"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "raw" / "t"


def manifests(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((folder / "_manifest").glob("*.json"))]


@pytest.mark.evidence("parquet_dataset", "destination", "real_server")
def test_the_newest_manifest_names_the_table(warehouse: ParquetDataset, folder: Path, ran_against: RanAgainst) -> None:
    run(warehouse, "append", ONE, cursor="at")
    run(warehouse, "merge", TWO, "2", cursor="at")
    first, second = manifests(folder)
    assert (first["version"], second["version"]) == (0, 1)
    assert second["loads"] == [{"pipeline": "p", "stream": "t", "load_id": "2"}]
    # Any reader of Parquet gets the table from that list alone.
    files = [str(folder / file["path"]) for file in second["files"]]
    assert sorted(duckdb.read_parquet(files).fetchall()) == table(warehouse)
    assert orphans(folder) == []
    ran_against(warehouse, f"DuckDB {duckdb.__version__}, local folder")


def test_replaced_files_stay_for_the_retention_and_then_go(warehouse: ParquetDataset, folder: Path) -> None:
    run(warehouse, "replace", ONE)
    (old,) = manifests(folder)[0]["files"]
    run(warehouse, "replace", TWO, "2")
    assert (folder / old["path"]).exists()
    brief = ParquetDataset(path=warehouse.path, retention_hours=0)
    for manifest in (folder / "_manifest").iterdir():
        os.utime(manifest, (0, 0))
    run(brief, "append", ONE, "3")
    assert not (folder / old["path"]).exists()
    assert [each["version"] for each in manifests(folder)] == [2]
    assert len(table(warehouse)) == 5


def test_a_newer_format_is_refused(warehouse: ParquetDataset, folder: Path) -> None:
    run(warehouse, "append", ONE)
    file = folder / "_manifest" / f"{0:020d}.json"
    file.write_text(json.dumps({**manifests(folder)[0], "format": 2}))
    with pytest.raises(ConfigError, match=r"parquet_dataset\.format"):
        run(warehouse, "append", TWO, "2")


EXACT = [
    "TRUE", "-1::TINYINT", "255::UTINYINT", "65535::USMALLINT", "4294967295::UINTEGER", "18446744073709551615::UBIGINT",
    "1.5::FLOAT", "'-inf'::DOUBLE", "'nan'::DOUBLE", "-0.0::DOUBLE", "1.23::DECIMAL(38,2)", "''", "'\\x00\\xFF'::BLOB",
    "DATE '0001-01-01'", "TIME '23:59:59.999999'", "TIMESTAMP '9999-12-31 23:59:59.999999'",
    "TIMESTAMP_NS '2024-01-01 00:00:00.123456789'", "TIMESTAMPTZ '2024-03-31 01:30:00.000001+00'",
    "'6b0c8d5e-0000-4000-8000-000000000000'::UUID", "'{\"a\": 1}'::JSON", "[1, NULL]", "{'a b': [1::UBIGINT]}",
    "MAP {'k': TIME '01:02:03'}",
]  # fmt: skip
WIDENED = {
    "TIMESTAMP_S '2024-01-01 00:00:00'": "TIMESTAMP",
    "1::HUGEINT": "DECIMAL(38,0)",
    "'b'::ENUM('a', 'b')": "VARCHAR",
    "INTERVAL '1 month 2 days 00:00:00.000001'": "VARCHAR",
    "[1, 2]::INTEGER[2]": "INTEGER[]",
}


@pytest.mark.evidence("parquet_dataset", "destination", "real_server")
def test_types(warehouse: ParquetDataset, ran_against: RanAgainst) -> None:
    listed = ", ".join(f"{value} AS c{number}" for number, value in enumerate([*EXACT, *WIDENED]))
    target = Table("raw", "t")
    session = warehouse.session()
    try:
        session.publish_as_new(session.stage(f"SELECT {listed}", target), target)
        session.commit()
    finally:
        session.close()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        expected = [str(kind) for kind in connection.sql(f"SELECT {listed}").types[: len(EXACT)]]
        text = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM (SELECT {listed})").fetchall()
    with warehouse.reader() as connection:
        kinds = [kind for _, kind, *_ in connection.execute("DESCRIBE raw.t").fetchall()]
        assert kinds == [*expected, *WIDENED.values()]
        assert connection.execute("SELECT COLUMNS(*)::VARCHAR FROM raw.t").fetchall() == text
    ran_against(warehouse, f"DuckDB {duckdb.__version__}, local folder")


def test_a_type_that_is_refused(warehouse: ParquetDataset) -> None:
    session = warehouse.session()
    try:
        staged = session.stage("SELECT NULL::UNION(a INTEGER, b VARCHAR) AS c", Table("raw", "t"))
        with pytest.raises(ConfigError, match=r"parquet_dataset\.type"):
            session.publish_as_new(staged, Table("raw", "t"))
    finally:
        session.close()
