"""One warehouse file for the examples of a module: each has a table of its own."""

from pathlib import Path

import pytest

from dataflow_platform.connectors.duckdb import DuckDB


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDB:
    folder: Path = tmp_path_factory.mktemp("strategies")
    return DuckDB(path=str(folder / "w.duckdb"))
