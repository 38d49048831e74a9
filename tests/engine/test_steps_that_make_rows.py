"""Steps that change which rows there are, through the whole line, on every kind of destination."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.checks.expression import Expression
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine import quarantine
from dataflow_platform.engine.lineage import Origin
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.replay import Selection, replay
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from tests.fixtures import file_source as files
from tests.fixtures.rows import Rows, RowsOptions
from tests.transformations.stepping import step

ORDERS = [
    {"id": 1, "customer": "a", "items": [5, 6]},
    {"id": 2, "customer": "a", "items": [-1, 7]},
    {"id": 3, "customer": "b", "items": []},
]


@pytest.fixture(params=["duckdb", "delta", "parquet_dataset", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    if request.param != "postgres":
        yield registry.destination(request.param)(path=str(tmp_path / "w.duckdb"), wait_seconds=0.3)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"steps_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=server.port, database=name, user="postgres", password=server.password, wait_seconds=0.3
    )
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def make(warehouse: Destination, rows: list[dict[str, Any]], steps: Any = (), **changes: Any) -> StreamLoad:
    cursor, one_shot = changes.pop("cursor", None), changes.pop("one_shot", False)
    name = changes.pop("name", "t")
    base = StreamLoad(
        pipeline="p",
        stream=Stream(name, RowsOptions(), cursor, ()),
        source=Rows(one_shot=one_shot).with_rows(pa.Table.from_pylist(rows)),
        destination=warehouse,
        target=Table("raw", name),
        strategy=registry.load_strategy("append")(),
        strategy_name="append",
        load_id=uuid.uuid4().hex,
        steps=[step(*next(iter(each.items()))) for each in steps],
    )
    return replace(base, **changes)


def run(*args: Any, **changes: Any) -> LoadRecord:
    return publish(stage(make(*args, **changes)))


def table(warehouse: Destination, name: str = "t") -> list[tuple[Any, ...]]:
    with warehouse.reader() as connection:
        return connection.execute(f"SELECT * FROM raw.{name} ORDER BY ALL").fetchall()


def counts(record: LoadRecord) -> tuple[int | None, ...]:
    """Read and made rows are loaded, quarantined or filtered."""
    there = record.rows_read + (record.rows_made or 0)
    assert there == record.rows_loaded + record.rows_quarantined + record.rows_filtered
    return record.rows_read, record.rows_made, record.rows_loaded, record.rows_quarantined, record.rows_filtered


@pytest.mark.parametrize("one_shot", [False, True])
def test_an_opened_list_is_accounted_for_and_its_bad_elements_are_kept(warehouse: Destination, one_shot: bool) -> None:
    positive = Expression(sql="items > 0", severity="warn", name="positive")
    record = run(warehouse, ORDERS, [{"unnest": "items"}], checks=[positive], one_shot=one_shot)
    # Three orders hold four items: one more than was read; one of the four is negative.
    assert counts(record) == (3, 1, 3, 1, 0)
    assert table(warehouse) == [(1, "a", 5), (1, "a", 6), (2, "a", 7)]
    session = warehouse.session()
    try:
        (bad,) = quarantine.rows_of(session, "raw", "p", "t", 10)
    finally:
        session.close()
    assert bad["values"] == {"id": 2, "customer": "a", "items": -1}
    # Replaying the order would load its good item a second time.
    assert "read them again from the source" in str(bad["cannot_be_replayed"])


def test_groups_are_checked_and_counted(warehouse: Destination) -> None:
    few = Expression(sql="orders < 2", severity="warn", name="few")
    steps = [{"aggregate": {"by": ["customer"], "compute": {"orders": "count(*)"}}}]
    record = run(warehouse, ORDERS, steps, checks=[few])
    # Three rows read make two groups, so one was folded away; of the groups one is bad.
    assert counts(record) == (3, 0, 1, 1, 1)
    assert table(warehouse) == [("b", 1)]
    # Of nothing a sum over all rows still makes one row.
    empty = run(warehouse, [{"id": 1}], [{"filter": "id > 1"}, {"aggregate": {"compute": {"n": "count(*)"}}}], name="e")
    assert counts(empty) == (1, 0, 1, 0, 0)
    assert table(warehouse, "e") == [(0,)]


JOIN = {"join": {"table": "raw.people", "by": {"customer": "key"}, "columns": {"name": "who"}}}


def test_a_join_reads_a_table_of_the_destination(warehouse: Destination) -> None:
    orders = [{"id": order["id"], "customer": order["customer"]} for order in ORDERS]
    with pytest.raises(ConfigError, match=r"the step reads raw\.people, and there is no such table"):
        stage(make(warehouse, orders, [JOIN]))
    run(warehouse, [{"key": "a", "name": "Ann"}, {"key": "c", "name": "Cid"}], name="people")
    staged = stage(make(warehouse, orders, [JOIN]))
    assert staged.lineage.values()["who"] == (Origin("name", "raw.people"),)
    assert staged.lineage.values()["customer"] == (Origin("customer"),)
    assert counts(publish(staged)) == (3, 0, 3, 0, 0)
    assert table(warehouse) == [(1, "a", "Ann"), (2, "a", "Ann"), (3, "b", None)]


def test_a_broken_promise_loads_nothing(warehouse: Destination) -> None:
    orders = [{"id": 1, "customer": "a"}]
    run(warehouse, [{"key": "a", "name": "Ann"}, {"key": "a", "name": "Anna"}], name="people")
    with pytest.raises(DataError, match=r"raw\.people has a key more than once.*: a") as caught:
        stage(make(warehouse, orders, [JOIN]))
    assert str(caught.value.where) == "transform[0]"
    many = {"join": {**JOIN["join"], "matches": "many"}}
    assert counts(run(warehouse, orders, [many])) == (1, 1, 2, 0, 0)
    assert table(warehouse) == [(1, "a", "Ann"), (1, "a", "Anna")]


def test_rows_of_another_table_are_added(warehouse: Destination) -> None:
    run(warehouse, [{"id": 9}], name="old")
    assert counts(run(warehouse, [{"id": 1}], [{"union": "raw.old"}])) == (1, 1, 2, 0, 0)
    assert table(warehouse) == [(1,), (9,)]


def test_steps_that_need_all_rows_take_no_cursor(warehouse: Destination) -> None:
    steps = [{"aggregate": {"by": ["customer"], "compute": {"orders": "count(*)"}}}]
    with pytest.raises(ConfigError) as caught:
        stage(make(warehouse, ORDERS, steps, cursor="id"))
    assert (caught.value.code, str(caught.value.where)) == ("transform.needs_all", "transform[0]")


def test_an_opened_list_goes_on_by_its_cursor(warehouse: Destination) -> None:
    first = run(warehouse, ORDERS[:2], [{"unnest": "items"}], cursor="id")
    # Order 2 stands at the cursor: it is read again, its items are known. Order 4 is new.
    again = [*ORDERS[1:2], {"id": 4, "customer": "c", "items": [8]}]
    second = run(warehouse, again, [{"unnest": "items"}], cursor="id")
    assert (counts(first), counts(second)) == ((2, 2, 4, 0, 0), (2, 0, 1, 0, 1))
    assert table(warehouse) == [(1, "a", 5), (1, "a", 6), (2, "a", -1), (2, "a", 7), (4, "c", 8)]


def doubled(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Each row, and once more with the negative amount."""
    schema = pa.schema([("id", pa.int64()), ("amount", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            ids = [each for each in batch["id"].to_pylist() for _ in range(2)]
            yield pa.record_batch(
                {"id": ids, "amount": [each if n % 2 else -each for n, each in enumerate(ids)]}, schema
            )

    return pa.RecordBatchReader.from_batches(schema, batches())


@pytest.mark.parametrize("one_shot", [False, True])
def test_a_function_over_all_rows_stands_between_other_steps(warehouse: Destination, one_shot: bool) -> None:
    rows = [{"id": each, "note": "x" * each} for each in range(1, 6)]
    steps = [
        {"filter": "id > 1"},
        {
            "python": {
                "function": f"{__name__}:doubled",
                "takes": "reader",
                "columns": {"id": "bigint", "amount": "bigint"},
            }
        },
        {"derive": {"text": "CAST(amount AS VARCHAR)"}},
    ]
    checks = [Expression.model_validate({"sql": "amount <> 5", "severity": "warn"})]
    record = run(warehouse, rows, steps, one_shot=one_shot, checks=checks)
    # 5 read, 1 filtered before; 4 become 8: net 3 are made. One of them, 5, is in quarantine.
    assert counts(record) == (5, 3, 7, 1, 0)
    assert table(warehouse) == [
        (2, -2, "-2"), (2, 2, "2"), (3, -3, "-3"), (3, 3, "3"), (4, -4, "-4"), (4, 4, "4"), (5, -5, "-5"),
    ]  # fmt: skip


def test_rows_are_written_in_the_order_asked_for(warehouse: Destination) -> None:
    rows = [{"id": each * 7919 % 10007, "note": "n"} for each in range(10_000)]
    run(warehouse, rows, [{"sort": "id desc"}])
    if warehouse.facts.title == "PostgreSQL":
        return  # the server says nothing of its order but that of its pages
    with warehouse.reader() as connection:
        connection.execute("SET preserve_insertion_order = true; SET threads = 1")
        found = [row[0] for row in connection.execute("SELECT id FROM raw.t").fetchall()]
    assert found == sorted((row["id"] for row in rows), reverse=True)


def test_a_select_that_groups_reads_a_table_beside_its_rows(warehouse: Destination) -> None:
    run(warehouse, [{"customer": "a", "city": "Ulm"}, {"customer": "b", "city": "Bonn"}], name="places")
    query = "SELECT city, count(*) AS orders FROM input JOIN raw.places USING (customer) GROUP BY city"
    record = run(warehouse, ORDERS, [{"sql": query}])
    assert counts(record) == (3, 0, 2, 0, 1)
    assert table(warehouse) == [("Bonn", 1), ("Ulm", 2)]


DISTINCT_ROWS = {"sql": "SELECT DISTINCT * FROM input"}
GROUPED = {"aggregate": {"by": ["name"], "compute": {"id": "min(id)"}}}


@pytest.mark.parametrize("made_by", [DISTINCT_ROWS, GROUPED], ids=["sql", "aggregate"])
def test_rows_made_anew_of_a_file_know_nothing_of_its_lines(
    warehouse: Destination, tmp_path: Path, made_by: dict[str, Any]
) -> None:
    """`*` is what the file's columns are: its places would tell equal rows apart, and come into the table."""
    files.put(tmp_path, "in/a.csv", b"id,name\n1,a\n1,a\n2,b\n-3,c\n")
    stream = replace(files.stream("a.csv"), name="t")
    checks = [Expression.model_validate({"sql": "id > 0", "severity": "warn"})]
    record = run(warehouse, [], [made_by], source=files.source(tmp_path / "in"), stream=stream, checks=checks)
    assert (record.rows_read, record.rows_loaded, record.rows_quarantined, record.rows_filtered) == (4, 2, 1, 1)
    wanted: list[tuple[Any, ...]] = [(1, "a"), (2, "b")] if made_by == DISTINCT_ROWS else [("a", 1), ("b", 2)]
    assert table(warehouse) == wanted


@pytest.mark.parametrize("keeps", ["SELECT id + 0 AS id FROM input", None])
def test_rows_chosen_among_all_are_not_replayed_alone(warehouse: Destination, keeps: str | None) -> None:
    steps: list[dict[str, Any]] = [{"sort": {"by": "id desc", "limit": 2}}] if keeps is None else [{"sql": keeps}]
    rule = {"sql": "id <> 3", "severity": "warn"}
    load = make(warehouse, ORDERS, steps, checks=[Expression.model_validate(rule)])
    assert publish(stage(load)).rows_quarantined == 1
    mended = replace(load, checks=(), load_id="again")
    if keeps is None:
        with pytest.raises(DataError) as caught:
            replay(mended, Selection(), "me")
        assert caught.value.code == "replay.window"
    else:
        assert replay(mended, Selection(), "me").loaded == 1
