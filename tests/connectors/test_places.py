"""Where a bad row stood in its source: kept in quarantine, never in the table."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.files import Files, FilesStream
from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core.base import Source, Stream, Table
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.transformations.derive import Derive
from dataflow_platform.transformations.filter import Filter
from tests.fixtures.rest_api import Stub


def places(folder: Path, source: Source, options: Any, checks: bool = True) -> list[Any]:
    """Load one stream; the columns of its table, then the places of the rows whose v is NULL."""
    load = StreamLoad(
        pipeline="p",
        stream=Stream("t", options),
        source=source,
        destination=DuckDB(path=str(folder / "w.duckdb")),
        target=Table("raw", "t"),
        strategy=Append(),
        strategy_name="append",
        load_id="1",
        # The steps neither lose the places nor show them: a filter counts what it drops in a second look.
        steps=[Filter.model_validate("id <> 0"), Derive.model_validate({"v": "upper(v)"})],
        checks=[NotNull(columns=["v"], severity="warn")] if checks else [],
    )
    publish(stage(load))
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        columns = [row[0] for row in connection.execute("DESCRIBE raw.t").fetchall()]
        rows = connection.execute("SELECT source_position FROM raw._dataflow_quarantine ORDER BY 1").fetchall()
    return [columns, *(json.loads(row[0]) for row in rows)]


def test_a_csv_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,v\n1,x\n2,\n")
    (tmp_path / "b.csv").write_text("id,v\n3,\n")
    found = places(tmp_path, Files(root=str(tmp_path)), FilesStream(path="*.csv"))
    assert found == [["id", "v"], {"file": "a.csv", "line": 3}, {"file": "b.csv", "line": 2}]


def test_a_row_of_a_parquet_file_has_its_number(tmp_path: Path) -> None:
    duckdb.sql("SELECT range AS id, CASE WHEN range % 2 = 0 THEN 'x' END AS v FROM range(1, 5)").write_parquet(
        str(tmp_path / "a.parquet")
    )
    found = places(tmp_path, Files(root=str(tmp_path)), FilesStream(path="*.parquet"))
    # ids 1 and 3 have no v: the first and the third row of the file.
    assert found == [["id", "v"], {"file": "a.parquet", "row": 1}, {"file": "a.parquet", "row": 3}]


def test_json_lines_name_their_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "v": null}\n{"id": 2, "v": "x"}\n')
    found = places(tmp_path, Files(root=str(tmp_path)), FilesStream(path="*.jsonl"))
    assert found == [["id", "v"], {"file": "a.jsonl", "line": 1}]


@pytest.mark.parametrize("checks", [True, False])
def test_a_row_of_an_api_has_its_page(tmp_path: Path, stub: Stub, checks: bool) -> None:
    rows = [{"id": number, "v": None if number == 5 else "x"} for number in range(1, 7)]
    stub.on("/rows", lambda seen: rows[(first := 2 * int(seen.query["page"]) - 2) : first + 2])
    options = Rest.StreamOptions.model_validate({"path": "rows", "paging": {"type": "page_number"}})
    found = places(tmp_path, Rest(base_url=stub.url), options, checks)
    # Row 5 comes with the third page of two rows each; without a rule nobody asks for places.
    assert found == [["id", "v"], *([{"page": 3}] if checks else [])]
