"""Rows at exactly the stored cursor move once, whatever becomes of their columns between two loads."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core.base import Destination, Stream, Table, Transformation
from dataflow_platform.core.errors import DataError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import load_state
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.transformations.cast import Cast
from dataflow_platform.transformations.select import Select
from tests.fixtures.query_source import Query, QueryOptions

# Two rows share the greatest cursor, 20; the second load brings both again and a third that shares it too.
FIRST = (
    "1 AS id, 10 AS at, 'a' AS v, 1 AS n",
    "2 AS id, 20 AS at, 'b' AS v, 2 AS n",
    "3 AS id, 20 AS at, 'c' AS v, 3 AS n",
)


@dataclass(frozen=True)
class Turn:
    """What is different at the second load; ``rows`` are those at the cursor, ids 2, 3 and a new 4."""

    name: str
    rows: tuple[str, ...]
    contract: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Transformation, ...] = ()
    then: tuple[Transformation, ...] | None = None
    """The steps of the second load, where they differ."""


TURNS = [
    Turn("nothing", tuple(f"{n} AS id, 20 AS at, '{v}' AS v, {n} AS n" for n, v in ((2, "b"), (3, "c"), (4, "d")))),
    Turn(
        "a column is added",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS v, {n} AS n, {n} AS more" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
    ),
    Turn("a column is removed", tuple(f"{n} AS id, 20 AS at, {n} AS n" for n in (2, 3, 4))),
    Turn(
        "a column is renamed by contract",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS w, {n} AS n" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
        {"renames": {"w": "v"}},
    ),
    Turn(
        "a column changes its case",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS \"V\", {n} AS n" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
    ),
    Turn(
        "columns change places",
        tuple(f"'{v}' AS v, {n} AS n, 20 AS at, {n} AS id" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
    ),
    Turn(
        "a column is widened",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS v, {n}::DOUBLE AS n" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
    ),
    Turn(
        "the cursor is widened",
        tuple(f"{n} AS id, 20::BIGINT AS at, '{v}' AS v, {n} AS n" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
    ),
    Turn(
        "a column becomes text under quarantine",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS v, '{n}' AS n" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
        {"type_changes": "quarantine"},
    ),
    Turn(
        "the cursor is dropped by a step",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS v, {n} AS n, 1 AS more" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
        steps=(Select.model_validate(["id", "v"]),), then=(Select.model_validate(["id", "v", "more"]),),
    ),
    Turn(
        "the cursor is cast by a step",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS v, {n} AS n, 1 AS more" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
        steps=(Cast.model_validate({"at": "varchar"}),),
    ),
    Turn(
        "a step begins to drop the cursor",
        tuple(f"{n} AS id, 20 AS at, '{v}' AS v, {n} AS n" for n, v in ((2, "b"), (3, "c"), (4, "d"))),
        then=(Select.model_validate(["id", "v", "n"]),),
    ),
]  # fmt: skip


def load(warehouse: Destination, rows: tuple[str, ...], load_id: str, name: str = "t", **changes: Any) -> StreamLoad:
    base = StreamLoad(
        pipeline="p",
        stream=Stream(name, QueryOptions(), "at", ("id",)),
        source=Query(sql=" UNION ALL BY NAME ".join(f"SELECT {row}" for row in rows)),
        destination=warehouse,
        target=Table("raw", name),
        strategy=Append(),
        strategy_name="append",
        load_id=f"{name} {load_id}",
    )
    return replace(base, **changes)


def ids(warehouse: Destination, name: str = "t") -> list[int]:
    session = warehouse.session()
    try:
        return sorted(row[0] for row in session.query(f'SELECT id FROM "raw"."{name}"'))
    finally:
        session.close()


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDB:
    return DuckDB(path=str(tmp_path / "w.duckdb"))


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.name.replace(" ", "_"))
def test_rows_at_the_cursor_move_once(warehouse: DuckDB, turn: Turn) -> None:
    publish(stage(load(warehouse, FIRST, "1", steps=turn.steps)))
    after = turn.steps if turn.then is None else turn.then
    contract = Contract.model_validate(turn.contract)
    for number in ("2", "3"):  # once more: what was remembered after the change is recognised too
        record = publish(stage(load(warehouse, turn.rows, number, steps=after, contract=contract)))
        assert ids(warehouse) == [1, 2, 3, 4]
        # Of the three rows read the first time one is new; the second time none.
        assert (record.rows_read, record.rows_loaded) == (3, 1 if number == "2" else 0)


def test_a_row_that_changed_without_its_cursor_is_a_new_row(warehouse: DuckDB) -> None:
    publish(stage(load(warehouse, FIRST, "1")))
    publish(stage(load(warehouse, ("2 AS id, 20 AS at, 'B' AS v, 2 AS n, 'x' AS more",), "2")))
    assert ids(warehouse) == [1, 2, 2, 3]


def test_a_row_that_stays_away_once_is_still_known(warehouse: DuckDB) -> None:
    publish(stage(load(warehouse, FIRST, "1")))
    publish(stage(load(warehouse, ("2 AS id, 20 AS at, 'b' AS v, 2 AS n, 'x' AS more",), "2")))
    publish(stage(load(warehouse, ("3 AS id, 20 AS at, 'c' AS v, 3 AS n, 'y' AS more",), "3")))
    assert ids(warehouse) == [1, 2, 3]


def test_a_cursor_of_a_narrower_type_is_compared_in_the_wider(warehouse: DuckDB) -> None:
    publish(stage(load(warehouse, ("1 AS id, 5000000000 AS at",), "1")))
    record = publish(stage(load(warehouse, ("2 AS id, 7 AS at",), "2")))
    assert (record.rows_read, record.cursor_after) == (0, "5000000000")


def test_a_cursor_that_becomes_text_is_refused(warehouse: DuckDB) -> None:
    publish(stage(load(warehouse, FIRST, "1")))
    with pytest.raises(DataError, match=r"\[cursor.type_change\].*'at' was INTEGER and is text now"):
        stage(load(warehouse, ("4 AS id, '30' AS at, 'd' AS v, 4 AS n",), "2"))


# A warehouse of before the columns were kept: tables without them, one md5 of each row.
OLD_STATE = "pipeline VARCHAR, stream VARCHAR, cursor_value VARCHAR, cursor_type VARCHAR, boundary VARCHAR, "
OLD_STATE += "position VARCHAR, load_id VARCHAR, updated_at TIMESTAMPTZ"
OLD_LOADS = "load_id VARCHAR, pipeline VARCHAR, stream VARCHAR, target VARCHAR, run_id VARCHAR, partition_key VARCHAR, "
OLD_LOADS += (
    "strategy VARCHAR, started_at TIMESTAMPTZ, committed_at TIMESTAMPTZ, rows_read BIGINT, rows_loaded BIGINT, "
)
OLD_LOADS += "rows_quarantined BIGINT, rows_filtered BIGINT, rows_inserted BIGINT, rows_updated BIGINT, rows_deleted "
OLD_LOADS += "BIGINT, cursor_before VARCHAR, cursor_after VARCHAR, checks VARCHAR"


def make_old(warehouse: Destination) -> None:
    """Turn a warehouse loaded with FIRST into what the version before left."""
    session = warehouse.session()
    try:
        entries = session.in_engine(
            "SELECT md5(to_json({'id': id, 'at': \"at\", 'v': v, 'n': n})::VARCHAR) FROM "
            "(VALUES (2, 20, 'b', 2), (3, 20, 'c', 3)) AS rows(id, \"at\", v, n)"
        )
        boundary = json.dumps([entry for (entry,) in entries])
        for name, columns in (("_dataflow_state", OLD_STATE), ("_dataflow_loads", OLD_LOADS)):
            session.execute(f'DROP TABLE "raw"."{name}"')
            session.execute(f'CREATE TABLE "raw"."{name}" ({columns})')
        values = f"'p', 't', '20', 'INTEGER', '{boundary}', '{{}}', 't 1', NULL"
        session.execute(f'INSERT INTO "raw"."_dataflow_state" VALUES ({values})')
        session.commit()
    finally:
        session.close()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresDestination]:
    name = f"boundary_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres",
        password=postgres_server.password, wait_seconds=5,
    )  # fmt: skip
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("where", ["warehouse", "postgres"])
def test_a_warehouse_of_the_version_before_goes_on(where: str, request: pytest.FixtureRequest) -> None:
    warehouse: Destination = request.getfixturevalue(where)
    publish(stage(load(warehouse, FIRST, "1")))
    make_old(warehouse)
    publish(stage(load(warehouse, TURNS[0].rows[1:], "2")))  # ids 3 and 4
    assert ids(warehouse) == [1, 2, 3, 4]
    session = warehouse.session()
    try:
        state = load_state(session, "raw", "p", "t")
    finally:
        session.close()
    assert [column.name for column in state.boundary_columns] == ["id", "at", "v", "n"]
    # Row 2, which stayed away, is known by its old fingerprint still: it moves no second time.
    publish(stage(load(warehouse, TURNS[0].rows, "3")))
    assert ids(warehouse) == [1, 2, 3, 4]
