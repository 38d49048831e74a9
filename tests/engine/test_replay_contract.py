"""Rows the schema contract kept out, replayed under one that takes them in: as if it had from the start."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core.base import Destination, LoadStrategy, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.contract import Contract
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.partition import Partition
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3
from tests.engine.replayed import Told

HOW: dict[str, LoadStrategy] = {
    "append": Append(),
    "replace": Replace(),
    "merge": Merge(),
    "delta": Delta(),
    "scd1": Scd1(),
    "scd2": Scd2(),
    "scd3": Scd3(columns=("v",)),
    "partition": Partition(by=("id",)),
}


@dataclass
class Drifting(Told):
    """A story whose batches are SELECTs, each with columns and types of its own."""

    def arrow(self, rows: Any) -> pa.Table:
        return duckdb.sql(rows or "SELECT 1 AS id").to_arrow_table()

    def schema(self) -> list[tuple[str, str, bool]]:
        session = self.warehouse.session()
        try:
            found = session.columns(Table("raw", self.name)) or ()
            return sorted((column.name, column.type, column.nullable) for column in found)
        finally:
            session.close()

    def begin(self, first: str, required: str) -> None:
        """Make the table beforehand where a column of it must not be NULL."""
        self.load(first, [])
        if required:
            session = self.warehouse.session()
            session.execute(f"ALTER TABLE raw.{self.name} ALTER COLUMN {required} SET NOT NULL")
            session.commit()
            session.close()


def batch(columns: str, *rows: str) -> str:
    quoted = ", ".join(f'"{name}"' for name in columns.split(", "))
    return f"SELECT * FROM (VALUES {', '.join(f'({row})' for row in rows)}) AS given({quoted})"


@dataclass(frozen=True)
class Drift:
    """Three batches; ``bad`` rows of them are kept out by ``contract``, and replayed without it.

    ``passes``: those no later load made moot under ``merge``. ``schema``: of the source's columns, afterwards.
    """

    contract: Mapping[str, Any]
    batches: tuple[str, str, str]
    bad: int
    passes: int
    schema: list[tuple[str, str]]
    required: str = ""


DRIFTS = {
    # 5e9 is no INTEGER, 8 is one. Key 1 then comes with a good value: under merge its bad row is moot.
    "a type that grew": Drift(
        {"type_changes": "quarantine"},
        (
            batch("id, at, v", "1, 1, 1", "2, 1, 2"),
            batch("id, at, v", "1, 2, 5000000000", "2, 2, 6000000000", "3, 2, 8::BIGINT"),
            batch("id, at, v", "1, 3, 1", "4, 3, 7000000000"),
        ),
        bad=3, passes=2, schema=[("at", "INTEGER"), ("id", "INTEGER"), ("v", "BIGINT")],
    ),
    # DECIMAL(4,1) and DECIMAL(4,2) meet in DECIMAL(5,2): 1.25 would be rounded.
    "a decimal that grew": Drift(
        {"type_changes": "quarantine"},
        (
            batch("id, at, v", "1, 1, 1.5::DECIMAL(4,1)"),
            batch("id, at, v", "1, 2, 1.25::DECIMAL(4,2)", "2, 2, 2.50", "3, 2, NULL"),
            batch("id, at, v", "2, 3, 3.75::DECIMAL(4,2)"),
        ),
        bad=2, passes=2, schema=[("at", "INTEGER"), ("id", "INTEGER"), ("v", "DECIMAL(5,2)")],
    ),
    "a new column": Drift(
        {"new_columns": "quarantine"},
        (
            batch("id, at, v", "1, 1, 'a'", "2, 1, 'b'"),
            batch("id, at, v, extra", "1, 2, 'c', 'x'", "2, 2, 'd', NULL", "3, 2, 'e', 'y'"),
            batch("id, at, v, extra", "1, 3, 'a', NULL", "4, 3, 'f', 'z'"),
        ),
        bad=3, passes=2, schema=[("at", "INTEGER"), ("extra", "VARCHAR"), ("id", "INTEGER"), ("v", "VARCHAR")],
    ),
    "a new column that went": Drift(
        {"new_columns": "quarantine"},
        (
            batch("id, at, v", "1, 1, 'a'", "2, 1, 'b'"),
            batch("id, at, v, extra", "1, 2, 'c', 'x'", "2, 2, 'd', NULL", "3, 2, 'e', 'y'"),
            batch("id, at, v, other", "1, 3, 'a', 1", "4, 3, 'f', NULL"),
        ),
        bad=3, passes=3,
        schema=[("at", "INTEGER"), ("extra", "VARCHAR"), ("id", "INTEGER"), ("other", "INTEGER"), ("v", "VARCHAR")],
    ),
    "a missing column": Drift(
        {"missing_columns": "quarantine"},
        (
            batch("id, at, v, w", "1, 1, 'a', 7", "2, 1, 'b', 8"),
            batch("id, at, v", "1, 2, 'c'", "3, 2, 'd'"),
            batch("id, at, v, w", "2, 3, 'e', 9", "3, 3, 'd', 9"),
        ),
        bad=2, passes=1, schema=[("at", "INTEGER"), ("id", "INTEGER"), ("v", "VARCHAR"), ("w", "INTEGER")],
    ),
    "a value that is missing": Drift(
        {"nullability": "quarantine"},
        (
            batch("id, at, v", "1, 1, 'a'", "2, 1, 'b'"),
            batch("id, at, v", "1, 2, NULL", "2, 2, 'c'", "3, 2, NULL"),
            batch("id, at, v", "1, 3, 'a'", "2, 3, NULL"),
        ),
        bad=3, passes=2, schema=[("at", "INTEGER"), ("id", "INTEGER"), ("v", "VARCHAR")], required="v",
    ),
}  # fmt: skip


def compare(warehouse: Destination, name: str, drift: Drift) -> None:
    wrong, right = (Drifting(warehouse, name, HOW[name]) for _ in range(2))
    wrong.contract = Contract(**drift.contract)
    kept_out = 0
    for number, rows in enumerate(drift.batches):
        for told in (wrong, right):
            if number == 0:
                told.begin(rows, drift.required)
            else:
                kept_out += told.load(rows, []).rows_quarantined
    # None of them under the right contract.
    assert kept_out == drift.bad
    wrong.contract = Contract()
    found = wrong.replay(checks=[])
    assert (found.still_bad, found.left_out, found.refused or {}) == (0, 0, {})
    if name in ("merge", "scd1"):
        assert found.loaded == drift.passes
    elif name in ("append", "scd2", "scd3"):
        assert found.loaded == drift.bad
    assert wrong.table() == right.table()
    assert wrong.schema() == right.schema()
    own = [(column, kind) for column, kind, _ in right.schema() if not column.startswith(("_", "previous_"))]
    assert own == drift.schema
    assert wrong.replay(checks=[]).selected == 0


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    path: Path = tmp_path_factory.mktemp("replay") / "w.duckdb"
    found = DuckDB(path=str(path))
    with found.reader():  # others need not open and checkpoint the file
        yield found


CASES = [(name, drift) for name in ("merge", "scd2") for drift in DRIFTS]
CASES += [
    (name, drift) for name in HOW if name not in ("merge", "scd2") for drift in ("a type that grew", "a new column")
]
# A snapshot that lacks the column would make the bad rows that have it moot; ``missing_columns`` is refused there.
CASES += [("delta", "a value that is missing"), ("append", "a missing column"), ("append", "a new column that went")]


@pytest.mark.parametrize(("name", "drift"), CASES)
def test_as_if_the_contract_had_been_right(warehouse: DuckDB, name: str, drift: str) -> None:
    compare(warehouse, name, DRIFTS[drift])


@pytest.mark.parametrize("drift", ["a type that grew", "a new column that went"])
def test_on_postgresql(postgres_server: PostgresServer, drift: str) -> None:
    name = f"replay_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    warehouse = PostgresDestination(
        host="127.0.0.1",
        port=postgres_server.port,
        database=name,
        user="postgres",
        password=postgres_server.password,
    )
    compare(warehouse, "scd2", DRIFTS[drift])
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_contract_that_still_keeps_them_out(warehouse: DuckDB) -> None:
    told = Drifting(warehouse, "merge", Merge(), contract=Contract(type_changes="quarantine"))
    told.load(batch("id, at, v", "1, 1, 1"), [])
    told.load(batch("id, at, v", "1, 2, '5000000000'", "2, 2, 'x'"), [])
    before = (told.table(), told.schema())
    # Unchanged, they break the same rule; frozen, the contract says so, and nothing is done.
    assert (told.replay(checks=[]).still_bad, told.replay(checks=[]).loaded) == (2, 0)
    told.contract = Contract(type_changes="freeze")
    with pytest.raises(DataError, match=r"\[contract\.type_change\]"):
        told.replay(checks=[])
    # Text is no number under any contract: evolve refuses too, in the same words as a load.
    told.contract = Contract()
    with pytest.raises(DataError, match=r"\[contract\.type_change\]"):
        told.replay(checks=[])
    assert (told.table(), told.schema()) == before
    assert len(told.open_ids()) == 2
