"""Every case of schema drift on every destination: the plan in words, the rows, the quarantine or the refusal."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from dataflow_platform.connectors.delta import DeltaDestination
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.connectors.postgres.connection import load_scanner
from dataflow_platform.core.base import Destination, Stream, Table
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.preview import preview
from dataflow_platform.engine.quarantine import by_reason
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from tests.engine.drift import STRATEGIES, Drift
from tests.engine.drift_columns import COLUMNS
from tests.engine.drift_keys import KEYS
from tests.engine.drift_types import TYPES
from tests.fixtures.query_source import Query, QueryOptions

CASES = [*COLUMNS, *TYPES, *KEYS]
DESTINATIONS = ("duckdb", "postgres", "delta")  # a fixture `<name>_warehouse` for each

DELTA_HAS_NOT = {
    **dict.fromkeys(("unsigned meets signed", "unsigned grows"), "Delta has no unsigned integers: they are widened"),
    **dict.fromkeys(("ENUM grows", "ENUM to text"), "Delta has no ENUM: it is text"),
    "timestamps of seconds to microseconds": "Delta has microseconds only",
    **dict.fromkeys(
        (
            "longer text widens the column", "text that fits leaves the column alone", "longer text is frozen",
            "longer text keeps its row out", "the length survives replace",
        ),
        "a text has no greatest length there",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def duckdb_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    folder: Path = tmp_path_factory.mktemp("drift")
    found = DuckDB(path=str(folder / "w.duckdb"))
    # While one connection is open, the many short ones need not open and checkpoint the file each.
    with found.reader():
        yield found


@pytest.fixture(scope="module")
def delta_warehouse(tmp_path_factory: pytest.TempPathFactory) -> DeltaDestination:
    folder: Path = tmp_path_factory.mktemp("drift")
    return DeltaDestination(path=str(folder / "lake"))


@pytest.fixture(scope="module")
def one_engine() -> Iterator[None]:
    """Each session's engine loads DuckDB's PostgreSQL scanner, 0.15 CPU seconds: here they share one that has it."""
    with pytest.MonkeyPatch.context() as patch, duckdb.connect() as shared:
        load_scanner(shared)

        def engine(_: PostgresDestination) -> duckdb.DuckDBPyConnection:
            own, name = shared.cursor(), f"e{uuid.uuid4().hex}"
            own.execute(f"ATTACH ':memory:' AS {name}; USE {name}; SET TimeZone = 'UTC'")
            return own

        patch.setattr(PostgresDestination, "_engine", engine)
        patch.setattr("dataflow_platform.connectors.postgres.destination.load_scanner", lambda engine: None)
        yield


@pytest.fixture(scope="module")
def postgres_warehouse(postgres_server: PostgresServer, one_engine: None) -> Iterator[PostgresDestination]:
    name = f"drift_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres",
        password=postgres_server.password,
    )  # fmt: skip
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def cases() -> Iterator[object]:
    for destination in DESTINATIONS:
        for case in CASES:
            why = case.waived.get(destination) or (DELTA_HAS_NOT.get(case.name) if destination == "delta" else None)
            marks = [pytest.mark.xfail(reason=why, strict=True)] if why else []
            yield pytest.param(destination, case, id=f"{destination}-{case.name.replace(' ', '_')}", marks=marks)


def load_of(case: Drift, warehouse: Destination, rows: tuple[str, ...], load_id: str) -> StreamLoad:
    second = load_id == "2"
    key = case.new_key if second and case.new_key is not None else case.key
    return StreamLoad(
        pipeline=case.name,
        stream=Stream("t", QueryOptions(), case.cursor, key),
        source=Query(sql=" UNION ALL BY NAME ".join(f"SELECT {row}" for row in rows)),
        destination=warehouse,
        target=Table("raw", case.name.replace(" ", "_")),
        strategy=STRATEGIES[case.how],
        strategy_name=case.how,
        load_id=f"{case.name} {load_id}",
        contract=Contract.model_validate(case.contract if second else case.first_contract),
    )


def look(warehouse: Destination, target: Table) -> tuple[str, str]:
    """The table's schema and its rows, sorted; columns a load strategy adds are left out of the rows."""
    session = warehouse.preview()
    try:
        columns = session.columns(target) or ()
        plain = ", ".join(quote(column.name) for column in columns if not column.name.startswith("_"))
        found = session.query(f"SELECT {plain} FROM {qualified(target.schema, target.name)}")
    finally:
        session.close()
    rows = sorted(" ".join("-" if value is None else str(value) for value in row) for row in found)
    schema = ", ".join(f"{each.name} {each.type}{'' if each.nullable else ' NOT NULL'}" for each in columns)
    return schema, "; ".join(rows)


def by_hand(warehouse: Destination, case: Drift, target: Table) -> None:
    if not case.by_hand:
        return
    session = warehouse.session()
    try:
        for statement in case.by_hand:
            if isinstance(warehouse, PostgresDestination):
                with session._told() as cursor:  # type: ignore[attr-defined]  # a person's own DDL, as typed
                    cursor.execute(statement.format(t=qualified(target.schema, target.name)))
            else:
                session.execute(statement.format(t=qualified(target.schema, target.name)))
        session.commit()
    finally:
        session.close()


@pytest.mark.parametrize(("destination", "case"), list(cases()))
def test_drift(destination: str, case: Drift, request: pytest.FixtureRequest) -> None:
    warehouse: Destination = request.getfixturevalue(f"{destination}_warehouse")
    first = load_of(case, warehouse, case.before, "1")
    publish(stage(first))
    by_hand(warehouse, case, first.target)
    before = look(warehouse, first.target) if case.error else None
    load = load_of(case, warehouse, case.after, "2")
    assert str(preview(load)) == case.plan
    if case.error:
        with pytest.raises(DataflowError) as refused:
            publish(stage(load))
        assert case.error in str(refused.value)
        # Neither the preview nor the refused load left anything.
        assert look(warehouse, first.target) == before
        return
    staged = stage(load)
    record = publish(staged)
    assert str(staged.plan) == (case.plan if case.done is None else case.done)
    schema, rows = look(warehouse, first.target)
    assert rows == case.rows
    assert schema == (case.columns or schema)
    assert record.rows_read == len(case.after)
    assert record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered
    assert quarantined(warehouse, case) == case.quarantined
    assert staged.left_out == case.left_out
    # What was done to the table is done once.
    assert preview(replace(load, load_id=f"{case.name} 3")).alterations == ()


def quarantined(warehouse: Destination, case: Drift) -> dict[str, int]:
    session = warehouse.session()
    try:
        return {rule: count for _, rule, count in by_reason(session, "raw", case.name)}
    finally:
        session.close()


def test_waivers_name_known_destinations() -> None:
    assert {name for case in CASES for name in case.waived} <= set(DESTINATIONS)
    assert len({case.name for case in CASES}) == len(CASES) >= 30
