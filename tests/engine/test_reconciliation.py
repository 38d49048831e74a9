"""Reconciliation: a cell that changes between stage and commit is found, and what did not change is let through."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core import injection
from dataflow_platform.core.base import Destination, Stream, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.reconciliation import HASH, Reconciliation
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad
from tests.engine.corruptions import KINDS, NESTED, ROWS, Corruption, corruptions, rows
from tests.fixtures.queried import NoOptions, Queried
from tests.reliability.workload import STRATEGIES

TARGET = Table("raw", "t")


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresDestination]:
    postgres_server.execute("DROP SCHEMA IF EXISTS raw CASCADE")
    yield PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database="postgres", user="postgres",
        password=postgres_server.password,
    )  # fmt: skip
    postgres_server.execute("DROP SCHEMA IF EXISTS raw CASCADE")


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    if request.param == "duckdb":
        return DuckDB(path=str(tmp_path / "w.duckdb"))
    found: PostgresDestination = request.getfixturevalue("postgres")
    return found


def make(warehouse: Destination, how: str, sql: str, load_id: str = "1", **changes: Any) -> StreamLoad:
    made = StreamLoad(
        pipeline="p",
        stream=Stream("t", NoOptions(), changes.pop("cursor", None), changes.pop("key", ("id",))),
        source=Queried(sql=sql),
        destination=warehouse,
        target=TARGET,
        strategy=STRATEGIES[how],
        strategy_name=how,
        load_id=load_id,
        reconcile="on",
    )
    return replace(made, **changes)


def staging_table(staged: StagedLoad) -> str:
    assert staged.staged is not None
    return f'"{staged.staged.schema}"."{staged.staged.name}"'


def test_a_thousand_corruptions_of_the_stage_are_all_found(warehouse: Destination) -> None:
    nested = isinstance(warehouse, DuckDB)
    staged = stage(make(warehouse, "merge", rows(nested)))
    table, ask = staging_table(staged), staged.session.in_engine
    ask(f"CREATE TEMP TABLE original AS FROM {table}")
    chosen = corruptions(1000 if nested else 1200, of_stage=True)
    if not nested:  # PostgreSQL keeps structures as jsonb
        chosen = [corruption for corruption in chosen if corruption.column not in NESTED][:1000]
    assert len(chosen) == 1000
    try:
        for corruption in chosen:
            for sql in corruption.in_duckdb(table, "original"):
                assert ask(sql) == [(1,)], corruption
            with pytest.raises(DataError, match=r"load\.corrupted") as error:
                Reconciliation(staged).begin()
            # One row is named: by its key, which is another one where the key itself was changed.
            assert "1 rows are not what came into the stage: id " in str(error.value), corruption
            restore(staged, table, corruption)
        Reconciliation(staged).begin()  # and nothing else was ever wrong
    finally:
        staged.close()


def restore(staged: StagedLoad, table: str, corruption: Corruption) -> None:
    ask = staged.session.in_engine
    ask(f"DELETE FROM {table} WHERE {HASH} IN (SELECT {HASH} FROM original WHERE id = {corruption.row})")
    ask(f"INSERT INTO {table} FROM original WHERE id = {corruption.row}")
    if corruption.row % 8 == 0:  # one transaction keeps blocks for each of its inserts
        staged.session.settle()


def written(warehouse: Destination) -> tuple[StagedLoad, Reconciliation]:
    """A first load up to where its rows are in the target, not yet compared."""
    staged = stage(make(warehouse, "append", rows()))
    reconciling = Reconciliation(staged)
    reconciling.begin()
    reconciling.cleared()
    reconciling.depart(swaps=True)
    assert staged.staged is not None
    staged.session.execute("CREATE SCHEMA IF NOT EXISTS raw")
    staged.session.publish_as_new(staged.staged, TARGET)
    return staged, reconciling


def test_a_thousand_corruptions_of_the_target_are_all_found(tmp_path: Path) -> None:
    staged, reconciling = written(DuckDB(path=str(tmp_path / "w.duckdb")))
    ask = staged.session.in_engine
    ask("CREATE TEMP TABLE original AS FROM raw.t")
    for corruption in corruptions(1000, of_stage=False):
        for sql in corruption.in_duckdb("raw.t", "original"):
            assert ask(sql) == [(1,)], corruption
        with pytest.raises(DataError, match=r"load\.corrupted.* 1 rows are not"):
            reconciling.arrive(ROWS)
        restore(staged, "raw.t", corruption)
    staged.close()


def test_corruptions_of_a_table_of_the_server_are_found(postgres: PostgresDestination) -> None:
    staged, reconciling = written(postgres)
    session = staged.session
    session.execute("CREATE TABLE raw.original AS SELECT * FROM raw.t")
    # Each kind of change once: the rows have to travel back every time.
    for corruption in corruptions(KINDS, of_stage=False):
        for sql in corruption.in_postgres("raw.t"):
            assert session.execute(sql) == 1, corruption
        with pytest.raises(DataError, match=r"load\.corrupted.* 1 rows are not"):
            reconciling.arrive(ROWS)
        session.execute("DELETE FROM raw.t")
        session.execute("INSERT INTO raw.t SELECT * FROM raw.original")
    reconciling.arrive(ROWS)
    staged.close()


def test_what_nobody_changed_is_let_through_whatever_its_type(warehouse: Destination) -> None:
    nested = rows(nested=True) if isinstance(warehouse, DuckDB) else rows()
    for number, how in enumerate(["append", "replace", "append"]):
        staged = stage(make(warehouse, how, nested, str(number)))
        record = publish(staged)
        assert record.rows_loaded == ROWS
        assert staged.reconciled == f"{ROWS} rows: the table holds what came into the stage"


WIDER = "SELECT i AS id, i::{0} AS v, (i / 4)::DECIMAL({1}) AS d, i::{2} AS f FROM range({3}, {4}) AS r(i)"


@pytest.mark.parametrize("how", ["replace", "merge"])
def test_a_wider_table_holds_what_came_in(warehouse: Destination, how: str) -> None:
    publish(stage(make(warehouse, how, WIDER.format("BIGINT", "12,4", "DOUBLE", 0, 10))))
    staged = stage(make(warehouse, how, WIDER.format("SMALLINT", "9,2", "FLOAT", 5, 20), "2"))
    publish(staged)
    assert staged.reconciled == "15 rows: the table holds what came into the stage"


def at(point: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Call ``change`` when a load reaches ``point``."""
    monkeypatch.setattr(injection, "reach", lambda reached: change() if reached == point else None)


FIRST = "SELECT i AS id, i % 5 AS at, 'v' || i AS v FROM range(100) AS r(i)"
SECOND = "SELECT i AS id, i % 5 + 10 AS at, 'w' || i AS v FROM range(50, 150) AS r(i)"


# On PostgreSQL the statements are the same: those that differ in how rows arrive (COPY, a new table, in place).
CASES = [("duckdb", how, place) for how in sorted(STRATEGIES) for place in ("stage", "target")]
CASES += [("postgres", how, "target") for how in ("append", "replace", "delta", "scd2")]


@pytest.mark.parametrize(("warehouse", "how", "place"), CASES, indirect=["warehouse"])
def test_every_strategy_publishes_nothing_where_a_cell_changed(
    warehouse: Destination, how: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stage(make(warehouse, how, FIRST, cursor="at")))
    before = shown(warehouse)
    staged = stage(make(warehouse, how, SECOND, "2", cursor="at"))
    if place == "stage":
        change = f"UPDATE {staging_table(staged)} SET v = 'x' WHERE id = 77"
        at("handed_over", monkeypatch, lambda: staged.session.in_engine(change))
    else:
        change = "UPDATE raw.t SET v = 'x' WHERE v = 'w77'"
        at("rows_written", monkeypatch, lambda: staged.session.execute(change))
    with pytest.raises(DataError, match=r"load\.corrupted.* 1 rows are not what came into the stage: id 77\D") as error:
        publish(staged)
    # Under scd2 on PostgreSQL the ended version of the key differs as well.
    named = re.search(r"in column (at \(1\), )?v \([12]\)", str(error.value)) is not None
    assert named == (place == "target" and not is_swapped(warehouse, how))
    assert shown(warehouse) == before
    # The same load goes through once nobody changes anything.
    monkeypatch.undo()
    again = stage(make(warehouse, how, SECOND, "3", cursor="at"))
    publish(again)
    assert again.reconciled == "100 rows: the table holds what came into the stage"


def is_swapped(warehouse: Destination, how: str) -> bool:
    """The staging table has become the target: what it held before is gone."""
    return how == "replace" and isinstance(warehouse, DuckDB)


def shown(warehouse: Destination) -> list[tuple[Any, ...]]:
    with warehouse.reader() as connection:
        return connection.execute("SELECT * FROM raw.t ORDER BY ALL").fetchall()


def test_rows_exchanged_between_keys_are_found(warehouse: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each column holds the values it held before: only hashes of whole rows tell.
    staged = stage(make(warehouse, "append", FIRST))
    change = "UPDATE raw.t SET v = CASE id WHEN 3 THEN 'v4' ELSE 'v3' END WHERE id IN (3, 4)"
    at("rows_written", monkeypatch, lambda: staged.session.execute(change))
    with pytest.raises(DataError, match=r" 2 rows are not what came into the stage: id 3; 4"):
        publish(staged)


def test_a_row_lost_and_another_doubled_is_found(warehouse: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = stage(make(warehouse, "append", FIRST))

    def change() -> None:
        staged.session.execute("DELETE FROM raw.t WHERE id = 3")
        staged.session.execute("INSERT INTO raw.t SELECT * FROM raw.t WHERE id = 4")

    at("rows_written", monkeypatch, change)
    with pytest.raises(DataError, match=r"load\.corrupted"):
        publish(staged)


def test_many_differences_are_named_as_a_few_ranges(warehouse: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(stage(make(warehouse, "append", FIRST)))
    staged = stage(make(warehouse, "append", SECOND, "2"))
    change = """UPDATE raw.t SET v = 'x' WHERE "at" >= 10 AND id BETWEEN 60 AND 89"""
    at("rows_written", monkeypatch, lambda: staged.session.execute(change))
    # 30 rows in three ranges of ten.
    named = r"30 rows .*: id 60 to 69 \(10 rows\); 70 to 79 \(10 rows\); 80 to 89 \(10 rows\), in column v \(30\)"
    with pytest.raises(DataError, match=named):
        publish(staged)


def test_auto_means_full_loads_and_off_means_none(warehouse: Destination) -> None:
    said = []
    for number, (choice, cursor) in enumerate([("auto", "at"), ("auto", "at"), ("auto", None), ("off", None)]):
        staged = stage(make(warehouse, "merge", FIRST, str(number), cursor=cursor, reconcile=choice))
        publish(staged)
        said.append(staged.reconciled is not None)
        assert HASH not in {column.name for column in columns_of(warehouse)}
    # The first load, one from a cursor on, one that reads everything, one that asks for nothing.
    assert said == [True, False, True, False]


def columns_of(warehouse: Destination) -> Any:
    session = warehouse.session()
    try:
        return session.columns(TARGET)
    finally:
        session.close()
