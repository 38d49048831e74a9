"""Rows that are written once: which loads take that way, and that they leave what staged rows leave."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.checks.in_range import InRange
from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.checks.row_count import RowCount
from dataflow_platform.checks.unique import Unique
from dataflow_platform.connectors._lake.session import LakeSession
from dataflow_platform.core import injection, registry
from dataflow_platform.core.base import Check, Column, Destination, Rule, Scan, State, Stream, Table
from dataflow_platform.core.errors import DataError, TransientError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.transformations.derive import Derive
from dataflow_platform.transformations.filter import Filter
from tests.fixtures.lake import orphans
from tests.fixtures.queried import NoOptions, Queried
from tests.reliability import processes
from tests.reliability.warehouses import LakeFolders, PostgresDatabases
from tests.reliability.workload import STRATEGIES, destination

TARGET = Table("raw", "t")
LAKES = ("delta", "parquet_dataset")
ROWS = (
    "SELECT i AS id, i % 7 AS at, nullif('v' || i % 50, 'v9') AS v, "
    "DATE '2026-01-01' + CAST(i % 365 AS INTEGER) AS day, "
    "CASE i % 4 WHEN 0 THEN 'nan' WHEN 1 THEN -0.0 ELSE i / 3 END::DOUBLE AS share, [i, NULL] AS many, "
    "CAST(i AS DECIMAL(12, 3)) / 8 AS price, TIMESTAMPTZ '2024-02-29 12:00:00.000001+02' AS since "
    "FROM range(500) AS r(i)"
)
"""Every fiftieth row has no ``v``: 10 of 500."""
UPPER = Derive({"v": "upper(v)"})
NAMED = NotNull(columns=["v"], severity="warn")


KINDS = (*LAKES, "postgres", "duckdb")


@pytest.fixture(params=KINDS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    if request.param != "postgres":
        path = str(tmp_path / ("w.duckdb" if request.param == "duckdb" else "lake"))
        yield registry.destination(request.param)(path=path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    server.execute("DROP SCHEMA IF EXISTS raw CASCADE")
    yield destination(
        {
            "type": "postgres", "host": "127.0.0.1", "port": server.port, "database": "postgres", "user": "postgres",
            "password": server.password,
        }
    )  # fmt: skip
    server.execute("DROP SCHEMA IF EXISTS raw CASCADE")


def make(
    warehouse: Destination, how: str = "replace", sql: str = ROWS, load_id: str = "1", **changes: Any
) -> StreamLoad:
    made = StreamLoad(
        pipeline="p",
        stream=Stream("t", NoOptions(), changes.pop("cursor", None), ("id",)),
        source=Queried(sql=sql),
        destination=warehouse,
        target=TARGET,
        strategy=STRATEGIES[how],
        strategy_name=how,
        load_id=load_id,
    )
    return replace(made, **changes)


def kind_of(warehouse: Destination) -> str:
    return next(name for name in KINDS if type(warehouse) is registry.destination(name))


def shown(warehouse: Destination, sql: str = "SELECT * FROM raw.t ORDER BY id") -> list[str]:
    with warehouse.reader() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return [str(row) for row in connection.execute(sql).fetchall()]


EVERYWHERE = {"delta", "parquet_dataset", "postgres"}
CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    # What is loaded, and where it is written once. DuckDB's own stage becomes the table by its name.
    "replace": ({}, EVERYWHERE),
    "a first append": ({"how": "append"}, EVERYWHERE),
    "a first load of partitions": ({"how": "partition"}, set(LAKES)),
    "steps": ({"steps": [Filter("id < 400"), Derive({"twice": "id * 2"})]}, EVERYWHERE),
    "steps that change a column": ({"steps": [UPPER]}, EVERYWHERE),
    "a rule after such steps": ({"steps": [UPPER], "checks": [NAMED]}, set()),
    "a cursor": ({"how": "append", "cursor": "at"}, set(LAKES)),
    "a rule of rows": ({"checks": [NAMED]}, set(LAKES)),
    "a rule of the whole": ({"checks": [RowCount(min=1), Unique(columns="id")]}, set(LAKES)),
    "keys": ({"how": "merge"}, set()),
    "reconcile: on": ({"reconcile": "on"}, set()),
    "a cursor the steps change": ({"how": "append", "cursor": "at", "steps": [Derive({"at": "at + 1"})]}, set()),
    "values that are kept otherwise": ({"sql": ROWS.replace("i % 7 AS at", "INTERVAL 1 DAY AS at")}, {"postgres"}),
}


@pytest.mark.parametrize("case", CASES)
def test_which_loads_are_written_once(warehouse: Destination, case: str) -> None:
    changes, where = CASES[case]
    staged = stage(make(warehouse, **changes))
    once = staged.ahead is not None
    # What the steps drop is read and filtered, the other rows are accounted for without the last rule's ten.
    record = publish(staged)
    assert once == (kind_of(warehouse) in where)
    dropped, bad = (100 if case == "steps" else 0), (10 if case.startswith("a rule") and "whole" not in case else 0)
    assert (record.rows_read, record.rows_filtered, record.rows_quarantined) == (500, dropped, bad)
    assert record.rows_loaded == len(shown(warehouse)) == 500 - dropped - bad
    if once:
        assert staged.reconciled == "500 rows were written once, in the pass that read them; as many arrived".replace(
            "500", str(500 - dropped)
        )


def test_a_table_that_is_there_is_written_once_where_it_is_replaced_as_it_is(warehouse: Destination) -> None:
    publish(stage(make(warehouse)))
    narrower = "SELECT id, v FROM (" + ROWS + ")"
    for number, (how, sql, once) in enumerate(
        [("append", ROWS, False), ("replace", ROWS, True), ("replace", narrower, False)]
    ):
        staged = stage(make(warehouse, how, sql, str(number + 2)))
        assert (staged.ahead is not None) == (once and kind_of(warehouse) != "duckdb"), how
        before = len(shown(warehouse))
        assert publish(staged).rows_loaded == 500
        assert len(shown(warehouse)) == (before + 500 if how == "append" else 500)


def left(warehouse: Destination) -> dict[str, list[str]]:
    """What a load of ``ROWS`` leaves, without the clock and what reconciliation says."""
    asked = {
        "rows": "SELECT COLUMNS(*)::VARCHAR FROM raw.t ORDER BY id",
        "quarantine": "SELECT row_values, source_values, judged_values, reasons, source_types, refusal "
        "FROM raw._dataflow_quarantine ORDER BY ALL",
        "state": "SELECT cursor_value, boundary FROM raw._dataflow_state",
        "loads": "SELECT rows_read, rows_loaded, rows_quarantined, rows_filtered, cursor_after "
        "FROM raw._dataflow_loads",
    }
    return {name: shown(warehouse, sql) for name, sql in asked.items()}


@pytest.mark.parametrize("kind", LAKES)
def test_what_is_written_once_is_what_staged_rows_are(kind: str, tmp_path: Path) -> None:
    checks = [NAMED, InRange(column="price", max=60, severity="warn"), RowCount(min=400)]
    steps = [Filter("id <> 3"), Derive({"more": "id + 1"})]
    found = []
    for reconcile in ("on", "auto"):
        warehouse = registry.destination(kind)(path=str(tmp_path / reconcile))
        staged = stage(make(warehouse, "append", checks=checks, steps=steps, cursor="at", reconcile=reconcile))
        assert (staged.ahead is None) == (reconcile == "on")
        assert staged.span_of("at") == (0, 6)
        publish(staged)
        found.append((left(warehouse), dict(staged.samples)))
    assert found[0] == found[1]
    # Every fiftieth row from id 9 on has no name, those from 481 on cost more than 60; id 3 is dropped.
    quarantined = 10 + 19
    assert found[1][0]["loads"] == [str((500, 499 - quarantined, quarantined, 1, "6"))]


def test_the_range_of_a_column_is_known_where_only_the_server_sees_the_rows(warehouse: Destination) -> None:
    staged = stage(make(warehouse))
    assert str(staged.span_of("day")) == "(datetime.date(2026, 1, 1), datetime.date(2026, 12, 31))"
    staged.close()


class Coin(Check):
    """A rule that answers otherwise each time it is asked."""

    def names(self) -> list[str]:
        return ["coin"]

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        return [Rule("coin", "unlucky", "warn", violation="random() < 0.5")]


@pytest.mark.parametrize("kind", LAKES)
def test_a_row_is_judged_once(kind: str, tmp_path: Path) -> None:
    warehouse = registry.destination(kind)(path=str(tmp_path / "lake"))
    staged = stage(make(warehouse, checks=[Coin()]))
    assert staged.ahead is not None
    record = publish(staged)
    counted = int(shown(warehouse, "SELECT count(*) FROM raw._dataflow_quarantine")[0].strip("(,)"))
    assert 0 < staged.verdicts[0].failing == record.rows_quarantined == counted == 500 - len(shown(warehouse))


@pytest.mark.parametrize("kind", LAKES)
def test_a_value_no_file_keeps_is_refused_unless_a_rule_takes_it_out(kind: str, tmp_path: Path) -> None:
    warehouse = registry.destination(kind)(path=str(tmp_path / "lake"))
    sql = "SELECT i AS id, CASE WHEN i = 5 THEN 'infinity' ELSE '2026-01-01' END::DATE AS day FROM range(10) AS r(i)"
    with pytest.raises(DataError, match=r"lake\.value.*'day' holds infinity"):
        publish(stage(make(warehouse, sql=sql)))
    assert orphans(tmp_path / "lake" / "raw" / "t") == []
    range_of_days = InRange(column="day", max="2027-01-01", severity="warn")
    staged = stage(make(warehouse, sql=sql, checks=[range_of_days]))
    assert staged.ahead is not None
    assert publish(staged).rows_loaded == 9


@pytest.mark.parametrize("check", [RowCount(min=501), NotNull(columns=["v"])])
def test_a_check_that_fails_publishes_nothing(warehouse: Destination, check: Check, tmp_path: Path) -> None:
    publish(stage(make(warehouse, sql=ROWS.replace("500", "20"))))
    before = shown(warehouse)
    staged = stage(make(warehouse, load_id="2", checks=[check]))
    with pytest.raises(DataError, match=r"check\.failed"):
        publish(staged)
    assert shown(warehouse) == before
    if kind_of(warehouse) in LAKES:
        assert orphans(tmp_path / "lake" / "raw" / "t") == []


class Breaking(Queried):
    """Its connection breaks after 300 of the rows."""

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        broken = TransientError("source.gone", "the source is gone", fix="run it again")
        rows = pa.table({"id": range(300)})
        ended = []

        def batches() -> Iterator[pa.RecordBatch]:
            yield from rows.to_batches(max_chunksize=50)
            ended.append(broken)
            raise broken

        def read() -> int:
            if ended:
                raise broken
            return 300

        reader = pa.RecordBatchReader.from_batches(rows.schema, batches())
        return Scan(connection.from_arrow(reader), rows_read=read)


def test_a_source_that_breaks_is_named_and_leaves_nothing(warehouse: Destination, tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"source\.gone"):
        stage(replace(make(warehouse), source=Breaking(sql="")))
    assert publish(stage(make(warehouse))).rows_loaded == 500
    if kind_of(warehouse) in LAKES:
        assert orphans(tmp_path / "lake" / "raw" / "t") == []


def test_an_error_of_a_file_is_the_lakes_where_it_is_one_of_its_own(tmp_path: Path) -> None:
    staged = stage(make(registry.destination("delta")(path=str(tmp_path / "lake"))))
    (file,) = (tmp_path / "lake").rglob("part-*.parquet")
    full = 'IO Error: Could not write file "{}": No space left on device'
    told = staged.session.explain(duckdb.IOException(full.format(file)))
    assert told is not None
    assert told.code == "lake.disk_full"
    assert staged.session.explain(duckdb.IOException(full.format("/elsewhere.csv"))) is None
    staged.close()


@pytest.mark.parametrize("kind", LAKES)
def test_files_that_changed_are_found(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expose = LakeSession.expose

    def shortened(self: LakeSession, table: Table) -> None:
        if table.name.endswith("__dataflow_ahead"):
            for file in (tmp_path / "lake").rglob("part-*.parquet"):
                duckdb.execute(f"COPY (FROM '{file}' LIMIT 7) TO '{file}.less' (FORMAT parquet)")
                Path(f"{file}.less").rename(file)
        expose(self, table)

    monkeypatch.setattr(LakeSession, "expose", shortened)
    warehouse = registry.destination(kind)(path=str(tmp_path / "lake"))
    with pytest.raises(DataError, match=r"load\.corrupted.* 500 rows were written and 7 are there"):
        stage(make(warehouse))


def load_and_die(given: tuple[dict[str, Any], str], parent: Connection) -> None:
    """Replace the table; killed at a point where one is named."""
    fields, point = given
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    parent.send("it begins")
    injection.arm(injection.kill_at(point) if point else None)
    checks = [NAMED] if fields["type"] in LAKES else []
    staged = stage(make(destination(fields), checks=checks, load_id="2"))
    parent.send({"once": staged.ahead is not None, "rows": publish(staged).rows_loaded})


KILLS = [(kind, point) for kind in EVERYWHERE for point in ("staged", "handed_over", "rows_written", "record_written")]
KILLS += [("postgres", "copy_block"), ("postgres", "swapping"), *((kind, "files_written") for kind in LAKES)]


@pytest.mark.kill
@pytest.mark.parametrize(("kind", "point"), sorted(KILLS))
def test_a_killed_load_leaves_the_old_rows_and_the_next_one_nothing_of_it(
    kind: str, point: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "spill").mkdir()
    tmp_path.chmod(0o755)
    where = LakeFolders(tmp_path, kind) if kind in LAKES else PostgresDatabases(postgres_server, tmp_path / "spill")
    fields = where.new()
    try:
        publish(stage(make(destination(fields), sql=ROWS.replace("500", "20"))))
        before = where.seen(fields)
        killed, _ = processes.fork(load_and_die, (fields, point))
        assert killed
        assert where.seen(fields) == before
        killed, said = processes.fork(load_and_die, (fields, ""))
        assert (killed, said) == (False, {"once": True, "rows": 490 if kind in LAKES else 500})
        assert (where.stuck(fields), where.stale(fields)) == ([], [])
    finally:
        where.drop(fields)
