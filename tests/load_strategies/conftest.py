"""One warehouse file for the examples of a module: each has a table of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow_platform.connectors.duckdb import DuckDB


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    folder: Path = tmp_path_factory.mktemp("strategies")
    found = DuckDB(path=str(folder / "w.duckdb"))
    # While one connection is open, the hundreds of short ones need not open and checkpoint the file each.
    with found.reader():
        yield found
