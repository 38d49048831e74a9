"""Lookback and upper bound: late rows are found, none comes twice, none above the bound is lost."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.checks.not_null import NotNull
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.files import Files
from dataflow_platform.connectors.postgres import Postgres, PostgresDestination, PostgresStream
from dataflow_platform.core import injection
from dataflow_platform.core.base import Destination, LoadStrategy, State, Stream, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.reading_range import to_read
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3
from tests.fixtures.query_source import Query, QueryOptions

KEYED: dict[str, LoadStrategy] = {"merge": Merge(), "scd1": Scd1(), "scd2": Scd2(), "scd3": Scd3(columns=("v",))}


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDB:
    return DuckDB(path=str(tmp_path / "w.duckdb"))


def load(warehouse: Destination, sql: str, load_id: str, **changes: Any) -> StreamLoad:
    stream = replace(
        Stream("t", QueryOptions(), "at", ("id",)),
        **{word: changes.pop(word) for word in ("lookback", "upper_bound", "cursor") if word in changes},
    )
    base = StreamLoad(
        pipeline="p", stream=stream, source=Query(sql=sql), destination=warehouse, target=Table("raw", "t"),
        strategy=Merge(), strategy_name="merge", load_id=load_id,
    )  # fmt: skip
    return replace(base, **changes)


def run(*args: Any, **changes: Any) -> LoadRecord:
    return publish(stage(load(*args, **changes)))


def table(warehouse: Destination, sql: str = "SELECT id FROM raw.t ORDER BY ALL") -> list[Any]:
    with warehouse.reader() as connection:
        return [row[0] if len(row) == 1 else row for row in connection.execute(sql).fetchall()]


@pytest.fixture
def shop(postgres_server: PostgresServer) -> Iterator[Postgres]:
    name = f"range_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    postgres_server.execute("CREATE TABLE orders (id int PRIMARY KEY, at timestamptz DEFAULT now())", name)
    yield Postgres(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres", password=postgres_server.password
    )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(("lookback", "found"), [(None, [2, 3]), (timedelta(hours=1), [1, 2, 3])])
def test_a_transaction_that_commits_behind_the_cursor(
    warehouse: DuckDB, shop: Postgres, postgres_server: PostgresServer, lookback: timedelta | None, found: list[int]
) -> None:
    """Order 1 takes its time first and is committed last, while the read that takes order 2 goes on.

    `now()` is the time a transaction begins. Without lookback the next read begins at order 2 and order 1 is never
    seen: that is what the documentation says. With it, it is found.
    """
    options = PostgresStream(table="orders")
    stream = Stream("orders", options, "at", ("id",), lookback)
    first = load(warehouse, "", "1", stream=stream, source=shop)
    # The source's own sessions cannot write.
    late, early = (shop.connect("-c default_transaction_read_only=off") for _ in range(2))
    with closing(late), closing(early):
        late.cursor().execute("INSERT INTO orders (id) VALUES (1)")
        early.cursor().execute("INSERT INTO orders (id) VALUES (2)")
        early.commit()
        injection.arm(lambda point, _: late.commit() if point == "staged" else None)
        try:
            publish(stage(first))
        finally:
            injection.arm(None)
    assert table(warehouse) == [2]
    postgres_server.execute("INSERT INTO orders (id) VALUES (3)", shop.database)
    start = len(postgres_server.log.read_text())
    publish(stage(replace(first, load_id="2")))
    assert table(warehouse) == found
    # The lookback is the server's business: one query, and it begins at the moved cursor.
    (asked,) = [line for line in postgres_server.log.read_text()[start:].splitlines() if "COPY (" in line]
    assert '"at" >= ' in asked


@pytest.mark.parametrize(
    ("kind", "cursor", "late", "too_late", "lookback"),
    [
        ("INTEGER", "100", "90", "89", Decimal(10)),
        ("INTEGER", "100", "90", "89", Decimal("9.5")),  # from 90.5 on, rounded down
        ("UTINYINT", "5", "0", None, Decimal(10)),  # -5 is no UTINYINT: the beginning
        ("HUGEINT", str(-(2**127) + 5), str(-(2**127)), None, Decimal(10)),
        ("DECIMAL(4,2)", "10.00", "9.50", "9.49", Decimal("0.5")),
        ("DECIMAL(2,1)", "-9.5", "-9.9", None, Decimal(100)),  # -109.5 has too many digits
        ("DOUBLE", "1.5", "1.0", "0.99", Decimal("0.5")),
        ("DOUBLE", "1e300", "1e300", "9e299", Decimal(10) ** 37),  # nothing to a number of that size
        ("DATE", "2026-01-10", "2026-01-08", "2026-01-07", timedelta(days=2)),
        ("DATE", "2026-01-10", "2026-01-09", "2026-01-08", timedelta(hours=1)),  # 23:00 of the day before
        ("TIMESTAMP", "2026-01-10 00:30:00", "2026-01-09 23:30:00", "2026-01-09 23:29:59", timedelta(hours=1)),
        ("TIMESTAMP_NS", "2026-01-10 00:30:00", "2026-01-09 23:30:00", "2026-01-09 23:29:59", timedelta(hours=1)),
        ("TIMESTAMPTZ", "2026-03-29 04:00:00+02", "2026-03-29 02:00:00+01", "2026-03-29 01:59:59+01",
         timedelta(hours=1)),
        ("TIMESTAMP", "infinity", "infinity", "2026-01-09", timedelta(hours=1)),
    ],
)  # fmt: skip
def test_how_far_back_is_read(
    warehouse: DuckDB, kind: str, cursor: str, late: str, too_late: str | None, lookback: Any
) -> None:
    """``late`` is the earliest value that is read again, ``too_late`` one that is not."""
    with closing(warehouse.session()) as session:
        stored = State(cursor, session.in_engine(f"SELECT typeof(CAST('{cursor}' AS {kind}))")[0][0])
        stream = Stream("t", QueryOptions(), "at", ("id",), lookback)
        reading = to_read(session, stream, stored, datetime.now(UTC))
        for value, wanted in ((late, True), (too_late, False), (cursor, True)):
            if value is not None:
                asked = f"SELECT CAST('{value}' AS {kind}) >= CAST('{reading.cursor}' AS {stored.cursor_type})"
                assert session.in_engine(asked) == [(wanted,)]


ROWS = "SELECT * FROM (VALUES (1, 10, 'a'), (2, 20, NULL), (3, 30, 'c')) AS rows(id, \"at\", v)"


@pytest.mark.parametrize("how", KEYED)
def test_rows_read_again_come_once(warehouse: DuckDB, how: str) -> None:
    changes = {"strategy": KEYED[how], "strategy_name": how, "lookback": Decimal(100)}
    checks = [NotNull(columns=["v"], severity="warn")]
    for number in ("1", "2"):
        record = run(warehouse, ROWS, number, checks=checks, **changes)
        assert record.rows_read == record.rows_loaded + record.rows_quarantined + record.rows_filtered == 3
        assert table(warehouse) == [1, 3]
        # The bad row lies in quarantine already: it is counted as filtered, and not set aside once more.
        assert table(warehouse, "SELECT source_values FROM raw._dataflow_quarantine") == [
            '{"id":"2","at":"20","v":null}'
        ]
    # A bad row that has changed is another one.
    run(warehouse, ROWS.replace("(2, 20, NULL)", "(2, 21, NULL)"), "3", checks=checks, **changes)
    assert table(warehouse, "SELECT count(*) FROM raw._dataflow_quarantine") == [2]


def test_rows_read_again_come_once_on_a_server_too(shop: Postgres) -> None:
    fields = {name: getattr(shop, name) for name in ("host", "port", "database", "user", "password")}
    warehouse = PostgresDestination(**fields)
    checks = [NotNull(columns=["v"], severity="warn")]
    for number in ("1", "2"):
        publish(stage(load(warehouse, ROWS, number, checks=checks, lookback=Decimal(100))))
        assert table(warehouse) == [1, 3]
        assert table(warehouse, "SELECT count(*) FROM raw._dataflow_quarantine") == [1]


@pytest.mark.parametrize("how", ["merge", "scd2"])
def test_an_older_version_that_is_read_again_changes_nothing(warehouse: DuckDB, how: str) -> None:
    """A source that keeps every version: what lookback brings again is older than what the table has."""
    versions = "SELECT * FROM (VALUES (1, 10, 'a'), (1, 20, 'b'), (1, 30, 'c')) AS rows(id, \"at\", v)"
    changes = {"strategy": KEYED[how], "strategy_name": how, "lookback": Decimal(100)}
    run(warehouse, versions, "1", **changes)
    before = table(warehouse, "SELECT * FROM raw.t ORDER BY ALL")
    assert len(before) == (3 if how == "scd2" else 1)
    run(warehouse, versions, "2", **changes)
    assert table(warehouse, "SELECT * FROM raw.t ORDER BY ALL") == before


def test_the_cursor_never_goes_back(warehouse: DuckDB) -> None:
    run(warehouse, "SELECT 1 AS id, 100 AS at", "1", lookback=Decimal(10))
    record = run(warehouse, "SELECT 2 AS id, 95 AS at", "2", lookback=Decimal(10))  # row 1 was deleted there
    assert (table(warehouse), record.cursor_after) == ([1, 2], "100")


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"strategy": Append(), "strategy_name": "append", "lookback": Decimal(1)}, "lookback", "a second time"),
        ({"strategy": Replace(), "strategy_name": "replace", "lookback": Decimal(1)}, "lookback", "by the cursor"),
        ({"strategy": Replace(), "strategy_name": "replace", "upper_bound": Decimal(1)}, "upper_bound", "the cursor"),
        ({"strategy": Scd2(deletes="close"), "strategy_name": "scd2", "upper_bound": Decimal(1)}, "upper_bound", ""),
        ({"cursor": None, "upper_bound": Decimal(1)}, "upper_bound", "stream 't' has none"),
        ({"lookback": timedelta(hours=1)}, "lookback", "a time or a duration, and the cursor 'at' is INTEGER"),
        ({"upper_bound": timedelta(hours=1)}, "upper_bound", "a time or a duration"),
        ({"cursor": "v", "lookback": Decimal(1)}, "lookback", "a number, and the cursor 'v' is VARCHAR"),
        ({"cursor": "v", "upper_bound": Decimal(1)}, "upper_bound", "a number, and the cursor 'v' is VARCHAR"),
    ],
)
def test_what_does_not_fit_is_refused(warehouse: DuckDB, changes: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[cursor.{code}\].*{said}"):
        stage(load(warehouse, ROWS, "1", **changes))


@pytest.mark.parametrize("how", ["append", "merge"])
def test_rows_above_the_bound_wait(warehouse: DuckDB, how: str) -> None:
    """The row without a cursor comes with the first read, as it does without a bound; the bound itself is above."""
    rows = f"{ROWS} UNION ALL SELECT 4, NULL, 'd'"
    changes = {"strategy": {"append": Append(), "merge": Merge()}[how], "strategy_name": how}
    assert run(warehouse, rows, "1", upper_bound=Decimal(20), **changes).rows_read == 2
    assert table(warehouse) == [1, 4]
    run(warehouse, rows, "2", upper_bound=Decimal("20.5"), **changes)
    assert table(warehouse) == [1, 2, 4]
    run(warehouse, rows, "3", **changes)
    assert table(warehouse) == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "DATE"])
def test_a_duration_is_counted_from_the_runs_begin(warehouse: DuckDB, kind: str) -> None:
    now = datetime.now(UTC)
    moments = [now - timedelta(days=3), now - timedelta(hours=1), now + timedelta(days=3)]
    rows = " UNION ALL ".join(f"SELECT {n} AS id, '{at}'::TIMESTAMPTZ AS at" for n, at in enumerate(moments))
    given = f"SELECT id, CAST(\"at\" AT TIME ZONE 'UTC' AS {kind}) AS at FROM ({rows})"
    if kind == "TIMESTAMPTZ":
        given = rows
    run(warehouse, given, "1", upper_bound=timedelta(days=1))
    assert table(warehouse) == [0]
    # A day is read when it is over: the row of an hour ago lies in today, or in a yesterday that is.
    run(warehouse, given, "2", upper_bound=timedelta(0))
    whole = kind != "DATE" or moments[1].date() < now.date()
    assert table(warehouse) == ([0, 1] if whole else [0])


def test_a_file_whose_rows_wait_is_read_again(warehouse: DuckDB, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,at\n1,10\n2,20\n3,30\n")
    options = Files.StreamOptions.model_validate({"path": "*.csv"})
    stream = Stream("t", options, "at", ("id",), upper_bound=Decimal(20))
    files = {"source": Files(root=str(tmp_path)), "strategy": Append(), "strategy_name": "append"}
    run(warehouse, "", "1", stream=stream, **files)
    assert table(warehouse) == [1]
    run(warehouse, "", "2", stream=replace(stream, upper_bound=Decimal(25)), **files)
    assert table(warehouse) == [1, 2]
    run(warehouse, "", "3", stream=replace(stream, upper_bound=Decimal(100)), **files)
    assert table(warehouse) == [1, 2, 3]
    # Nothing waits any more: the file is known and is not read.
    assert run(warehouse, "", "4", stream=replace(stream, upper_bound=Decimal(100)), **files).rows_read == 0
