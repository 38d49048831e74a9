"""The straight line on DuckDB: what is read, staged, checked, loaded and remembered."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.checks.in_range import InRange
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import LoadStrategy, Stream, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.transformations.cast import Cast
from dataflow_platform.transformations.filter import Filter
from dataflow_platform.transformations.rename import Rename
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.rows import Rows, RowsOptions

STRATEGIES: dict[str, LoadStrategy] = {"append": Append(), "merge": Merge(), "replace": Replace()}


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDB:
    return DuckDB(path=str(tmp_path / "w.duckdb"), wait_seconds=0.3)


def make(warehouse: DuckDB, how: str, rows: list[dict[str, Any]], load_id: str = "1", **changes: Any) -> StreamLoad:
    one_shot = changes.pop("one_shot", False)
    cursor = changes.pop("cursor", None)
    base = StreamLoad(
        pipeline="p",
        stream=Stream("t", RowsOptions(), cursor, ("id",)),
        source=Rows(one_shot=one_shot).with_rows(pa.Table.from_pylist(rows)),
        destination=warehouse,
        target=Table("raw", "t"),
        strategy=STRATEGIES[how],
        strategy_name=how,
        load_id=load_id,
    )
    return replace(base, **changes)


def run(*args: Any, **changes: Any) -> LoadRecord:
    return publish(stage(make(*args, **changes)))


def table(warehouse: DuckDB, sql: str = "SELECT * FROM raw.t ORDER BY ALL") -> list[tuple[Any, ...]]:
    with warehouse.reader() as connection:
        return connection.execute(sql).fetchall()


def balanced(record: LoadRecord) -> bool:
    return record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered


ONE = [{"id": 1, "at": 10, "v": "a"}, {"id": 2, "at": 20, "v": "b"}]
TWO = [{"id": 2, "at": 20, "v": "b"}, {"id": 3, "at": 20, "v": "c"}, {"id": 1, "at": 30, "v": "A"}]


@pytest.mark.parametrize("one_shot", [False, True])
def test_append_with_cursor_loses_no_tie_and_repeats_none(warehouse: DuckDB, one_shot: bool) -> None:
    run(warehouse, "append", ONE, cursor="at", one_shot=one_shot)
    record = run(warehouse, "append", TWO, "2", cursor="at", one_shot=one_shot)
    # id 2 came with the first load, id 3 shares its cursor and is new, id 1 is a later version.
    assert table(warehouse) == [(1, 10, "a"), (1, 30, "A"), (2, 20, "b"), (3, 20, "c")]
    assert (record.rows_read, record.rows_loaded, record.rows_filtered) == (3, 2, 1)
    assert (record.cursor_before, record.cursor_after) == ("20", "30")


@pytest.mark.parametrize("one_shot", [False, True])
def test_second_run_with_nothing_new_moves_nothing(warehouse: DuckDB, one_shot: bool) -> None:
    run(warehouse, "merge", ONE, cursor="at", one_shot=one_shot)
    record = run(warehouse, "merge", ONE, "2", cursor="at", one_shot=one_shot)
    assert record.rows_loaded == 0
    assert balanced(record)
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]


def test_merge_updates_inserts_and_keeps_the_newest_of_a_batch(warehouse: DuckDB) -> None:
    run(warehouse, "merge", ONE, cursor="at")
    batch = [*TWO, {"id": 3, "at": 40, "v": "newest"}, {"id": 3, "at": 35, "v": "older"}]
    record = run(warehouse, "merge", batch, "2", cursor="at")
    assert table(warehouse) == [(1, 30, "A"), (2, 20, "b"), (3, 40, "newest")]
    # 5 rows read; id 2 was known (1 filtered); two older rows of id 3 lost (2 filtered); 1 updated, 1 inserted.
    assert (record.rows_read, record.rows_filtered, record.rows_updated, record.rows_inserted) == (5, 3, 1, 1)


@pytest.mark.evidence("duckdb", "destination", "real_server")
def test_merge_with_equal_cursors_is_deterministic(warehouse: DuckDB, tmp_path: Path, ran_against: RanAgainst) -> None:
    batch = [{"id": 1, "at": 5, "v": "x"}, {"id": 1, "at": 5, "v": "y"}]
    run(warehouse, "merge", batch, cursor="at")
    other = DuckDB(path=str(tmp_path / "other.duckdb"))
    run(other, "merge", batch[::-1], cursor="at")
    assert table(warehouse) == table(other) == [(1, 5, "y")]
    ran_against(warehouse, f"DuckDB {duckdb.__version__}")


def test_replace_reads_everything_again_whatever_the_state(warehouse: DuckDB) -> None:
    run(warehouse, "replace", ONE, cursor="at")
    record = run(warehouse, "replace", ONE[:1], "2", cursor="at")
    assert table(warehouse) == [(1, 10, "a")]
    assert (record.rows_read, record.rows_loaded) == (1, 1)


def test_a_committed_load_id_is_a_no_op(warehouse: DuckDB) -> None:
    first = run(warehouse, "append", ONE)
    again = run(warehouse, "append", TWO)
    assert again == first
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]


@pytest.mark.parametrize("one_shot", [False, True])
@pytest.mark.parametrize("how", ["append", "merge", "replace"])
def test_bad_rows_go_to_quarantine_with_reasons(warehouse: DuckDB, how: str, one_shot: bool) -> None:
    rows = [*ONE, {"id": 3, "at": 99, "v": None}, {"id": 4, "at": None, "v": None}]
    checks = [NotNull(columns=["v"], severity="warn"), InRange(column="at", max=50, severity="warn")]
    record = run(warehouse, how, rows, checks=checks, one_shot=one_shot)
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]
    assert (record.rows_read, record.rows_loaded, record.rows_quarantined) == (4, 2, 2)
    found = table(
        warehouse, "SELECT row_values, json_extract(reasons, '$[*].rule') FROM raw._dataflow_quarantine ORDER BY 1"
    )
    assert found == [
        ('{"id":3,"at":99,"v":null}', ['"not_null_v"', '"in_range_at"']),
        # A missing value breaks not_null only: a range says nothing about what is not there.
        ('{"id":4,"at":null,"v":null}', ['"not_null_v"']),
    ]


def test_a_failed_error_check_leaves_the_target_untouched(warehouse: DuckDB) -> None:
    run(warehouse, "append", ONE)
    with pytest.raises(DataError, match=r"\[check.failed\] check 'not_null_v' failed"):
        run(warehouse, "append", [*TWO, {"id": 9, "at": 1, "v": None}], "2", checks=[NotNull(columns=["v"])])
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]
    assert table(warehouse, "SELECT count(*) FROM raw._dataflow_loads") == [(1,)]
    # To be looked at; it comes again with the next load, and is open to nobody.
    assert table(warehouse, "SELECT status, count(*) FROM raw._dataflow_quarantine GROUP BY 1") == [("refused", 1)]


def test_more_than_62_rules(warehouse: DuckDB) -> None:
    checks = [InRange(column="at", max=1000 - n, severity="warn", name=f"rule_{n}") for n in range(130)]
    rows = [{"id": n, "at": value} for n, value in enumerate([871, 872, 1000])]
    record = run(warehouse, "append", rows, checks=checks)
    assert record.rows_quarantined == 2
    counts = table(warehouse, "SELECT json_array_length(reasons) FROM raw._dataflow_quarantine ORDER BY 1")
    # Limits run from 1000 down to 871: 872 breaks the last one, 1000 all but the first.
    assert counts == [(1,), (129,)]


@pytest.mark.parametrize("one_shot", [False, True])
def test_a_filter_counts_and_its_rows_are_not_read_again(warehouse: DuckDB, one_shot: bool) -> None:
    steps = [Filter.model_validate("v <> 'A'"), Rename.model_validate({"at": "changed"})]
    first = run(warehouse, "append", [*ONE, TWO[2]], cursor="at", steps=steps, one_shot=one_shot)
    assert (first.rows_read, first.rows_loaded, first.rows_filtered, first.cursor_after) == (3, 2, 1, "30")
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]


def test_new_missing_and_changed_columns(warehouse: DuckDB) -> None:
    run(warehouse, "append", [{"id": 1, "v": "a"}])
    run(warehouse, "append", [{"id": 2, "extra": 1.5}], "2")
    assert table(warehouse) == [(1, "a", None), (2, None, 1.5)]
    frozen = Contract(new_columns="freeze")
    with pytest.raises(DataError, match=r"contract\.new_column"):
        run(warehouse, "append", [{"id": 3, "v": "x", "more": 1}], "3", contract=frozen)
    with pytest.raises(DataError, match=r"'v' is VARCHAR in the target and BIGINT in the stream"):
        run(warehouse, "append", [{"id": 3, "v": 7}], "4")
    run(warehouse, "append", [{"id": 3, "v": "c", "more": 1}], "5", contract=Contract(new_columns="discard"))
    assert table(warehouse, "SELECT id, v FROM raw.t WHERE id = 3") == [(3, "c")]


def test_a_type_is_widened_only_without_loss(warehouse: DuckDB) -> None:
    narrow = pa.table({"id": pa.array([1], pa.int32())})
    wide = pa.table({"id": pa.array([2**40], pa.int64())})
    load = make(warehouse, "append", ONE)
    publish(stage(replace(load, source=Rows().with_rows(narrow))))
    publish(stage(replace(load, source=Rows().with_rows(wide), load_id="2")))
    publish(stage(replace(load, source=Rows().with_rows(narrow), load_id="3")))
    assert table(warehouse, "SELECT id, typeof(id) FROM raw.t ORDER BY 1") == [
        (1, "BIGINT"), (1, "BIGINT"), (2**40, "BIGINT"),
    ]  # fmt: skip


def test_nothing_is_visible_before_publish_and_close_undoes_it(warehouse: DuckDB) -> None:
    run(warehouse, "append", ONE)
    staged = stage(make(warehouse, "append", TWO, "2"))
    staged.close()
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]
    assert table(warehouse, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%stage%'") == []


def test_keys_with_nulls_go_to_quarantine_under_merge(warehouse: DuckDB) -> None:
    record = run(warehouse, "merge", [*ONE, {"id": None, "at": 1, "v": "x"}])
    assert (record.rows_loaded, record.rows_quarantined) == (2, 1)
    reasons = table(warehouse, "SELECT json_extract_string(reasons, '$[0].rule') FROM raw._dataflow_quarantine")
    assert reasons == [("primary_key_present",)]


def test_an_empty_stream_makes_an_empty_table(warehouse: DuckDB) -> None:
    empty = pa.table({"id": pa.array([], pa.int64())})
    record = publish(stage(replace(make(warehouse, "merge", ONE), source=Rows().with_rows(empty))))
    assert record.rows_read == record.rows_loaded == 0
    assert table(warehouse) == []


def test_position_of_the_source_is_committed_with_the_rows(warehouse: DuckDB) -> None:
    load = make(warehouse, "append", ONE)
    publish(stage(replace(load, source=Rows(position="page 7").with_rows(pa.Table.from_pylist(ONE)))))
    assert table(warehouse, "SELECT position FROM raw._dataflow_state") == [('{"read": "page 7"}',)]


@pytest.mark.parametrize("name", ["csv", "Parquet", "orders.json", "x.csv.gz"])
def test_a_table_is_no_file_of_its_name(
    warehouse: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"raw.{name}").write_text("other\n1\n")
    for load_id in ("1", "2"):
        run(warehouse, "append", [{"id": 1}], load_id=load_id, target=Table("raw", name))
    assert table(warehouse, f'SELECT id FROM raw."{name}"') == [(1,), (1,)]


def test_a_load_leaves_nothing_but_its_tables(warehouse: DuckDB) -> None:
    for one_shot in (False, True):
        kept = [Filter.model_validate("id > 1")]
        run(warehouse, "append", [{"id": 1}, {"id": 2}], load_id=str(one_shot), one_shot=one_shot, steps=kept)
    held = "SELECT table_schema || '.' || table_name, table_type FROM information_schema.tables ORDER BY ALL"
    assert table(warehouse, held) == [
        ("raw._dataflow_loads", "BASE TABLE"),
        ("raw._dataflow_quarantine", "BASE TABLE"),
        ("raw._dataflow_state", "BASE TABLE"),
        ("raw.t", "BASE TABLE"),
    ]


def test_hostile_names_survive(warehouse: DuckDB) -> None:
    names = ["a b", 'quo"te', "apo'strophe", "select", "1st", "ümläut", "emoji 🛩", "x" * 200]
    rows = [{"id": 1, **dict.fromkeys(names, "v")}]
    target = Table('odd "schema"', "odd 'table'")
    publish(stage(replace(make(warehouse, "merge", rows), target=target)))
    publish(stage(replace(make(warehouse, "merge", rows, "2"), target=target)))
    with warehouse.reader() as connection:
        found = connection.execute('SELECT * FROM "odd ""schema"""."odd \'table\'"')
        assert [column[0] for column in found.description] == ["id", *names]


@pytest.mark.evidence("duckdb", "destination", "real_server")
def test_engine_spills_instead_of_growing(warehouse: DuckDB, ran_against: RanAgainst) -> None:
    with warehouse.reader() as connection:
        limit = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert limit == ("488.2 MiB",)  # 512 MB in binary units
    assert isinstance(connection, duckdb.DuckDBPyConnection)
    ran_against(warehouse, f"DuckDB {duckdb.__version__}")


@pytest.mark.parametrize("one_shot", [False, True])
def test_a_cursor_the_steps_change_tells_known_rows(warehouse: DuckDB, one_shot: bool) -> None:
    """The cursor travels beside the rows where a step changes its column, bad rows among them."""
    steps = [Cast.model_validate({"at": "VARCHAR"})]
    checks = [NotNull(columns=["v"], severity="warn")]
    options: dict[str, Any] = {"cursor": "at", "steps": steps, "checks": checks, "one_shot": one_shot}
    run(warehouse, "append", ONE, **options)
    record = run(warehouse, "append", [*TWO, {"id": 4, "at": 30, "v": None}], "2", **options)
    # id 2 was there (filtered), ids 3 and 1 are new, id 4 has no value.
    assert (record.rows_read, record.rows_loaded, record.rows_quarantined, record.rows_filtered) == (4, 2, 1, 1)
    assert table(warehouse) == [(1, "10", "a"), (1, "30", "A"), (2, "20", "b"), (3, "20", "c")]
