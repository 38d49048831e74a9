"""The profile of a table: exact figures, estimates within their error, every type, the way into history."""

import json
import math
import statistics
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Table
from dataflow_platform.engine import profile, profile_history
from dataflow_platform.engine.profile import TableProfile
from dataflow_platform.engine.profile_columns import ColumnProfile, Share
from tests.engine.test_line import run, table, warehouse  # noqa: F401  # the fixture of the destinations' line

ROWS: list[dict[str, Any]] = [{"id": 1, "v": 5}, {"id": 2, "v": None}, {"id": 3, "v": 7}]


def profiled(select: str) -> TableProfile:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f'CREATE TABLE "a table" AS {select}')
        taken = profile.taken(connection, '"a table"')
        left = connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name <> 'a table'").fetchall()
        assert left == []
        return taken


def columns(select: str) -> dict[str, ColumnProfile]:
    return {column.name: column for column in profiled(select).columns}


def test_a_small_table_is_told_exactly() -> None:
    found = columns(
        "SELECT * FROM (VALUES (1, 'Anna', DATE '2026-01-01', true), (2, 'Bo', NULL, true), (2, 'Bo', '2026-01-03', "
        "false), (7, NULL, '2026-01-03', NULL)) AS v(n, name, day, ok)"
    )
    number, name, day, ok = (found[each] for each in ("n", "name", "day", "ok"))
    assert (number.nulls, number.distinct, number.least, number.greatest, number.mean) == (0, 3, "1", "7", 3.0)
    assert (number.quantiles[0], number.quantiles[10], number.quantiles[20]) == (1, 2, 7)
    assert number.top[0] == Share("2", 0.5)
    assert [bar.share for bar in number.histogram] == [0.25, 0.5, 0, 0, 0, 0, 0.25]  # a bar for each of 1 to 7
    assert (name.nulls, name.distinct, name.shortest, name.longest, name.least) == (1, 2, 2, 4, "Anna")
    assert name.patterns == (Share("Aa", 2 / 3), Share("Aaaa", 1 / 3))
    assert name.top_is_all
    assert (day.least, day.greatest, day.kind) == ("2026-01-01", "2026-01-03", "time")
    assert day.quantiles[0] == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert (ok.nulls, ok.distinct, ok.top) == (1, 2, (Share("true", 2 / 3), Share("false", 1 / 3)))


def test_nothing_of_a_table_that_the_sample_holds_is_an_estimate() -> None:
    taken = profiled("SELECT i AS id, i % 7 AS few FROM range(20000) AS r(i)")
    assert (taken.rows, taken.sample_rows, taken.estimated) == (20000, 20000, ())
    assert [column.distinct for column in taken.columns] == [20000, 7]


def test_estimates_of_a_large_table_stay_within_their_error() -> None:
    # Distinct values known by construction: sorted, clustered, skewed and rare ones among them.
    taken = profiled(
        "SELECT i AS id, i // 3 AS thirds, hash(i) % 40000 AS spread, i // 100 AS sorted, i % 3000 AS some, "
        "CASE WHEN i % 1000 = 0 THEN i ELSE 0 END AS skewed, CAST(i % 9 AS VARCHAR) AS few, "
        "CASE WHEN i % 4 = 0 THEN NULL ELSE CAST(i AS DOUBLE) END AS holes FROM range(700000) AS r(i)"
    )
    assert taken.estimated == ("distinct", "quantiles", "histogram", "top", "patterns")
    assert 25_000 < taken.sample_rows < 35_000  # 30,000 wanted, drawn row by row
    known = {"id": 700000, "thirds": 233334, "spread": 40000, "sorted": 7000, "some": 3000, "few": 9}
    found = {column.name: column for column in taken.columns}
    for name, count in known.items():
        assert found[name].distinct == pytest.approx(count, rel=0.1), name
    assert 100 < found["skewed"].distinct <= 1400  # 700 in a thousandth of the rows: the order is right
    assert found["skewed"].top[0].share == pytest.approx(0.999, abs=0.002)
    holes = found["holes"]
    assert (holes.nulls, holes.least, holes.greatest) == (175000, "1.0", "699999.0")  # exact all the same
    assert holes.mean == pytest.approx(statistics.fmean(i for i in range(700000) if i % 4))
    assert holes.quantiles[10] == pytest.approx(350000, rel=0.03)
    assert sum(bar.share for bar in holes.histogram) == pytest.approx(1)


def test_distinct_values_of_a_middling_table_are_counted() -> None:
    taken = profiled("SELECT i % 123456 AS x FROM range(200000) AS r(i)")
    assert "distinct" not in taken.estimated
    assert "top" in taken.estimated
    assert taken.columns[0].distinct == 123456


@pytest.mark.parametrize("copies", [1, 10_500])
def test_every_type_of_the_engine_has_a_profile(copies: int) -> None:
    taken = profiled(f"SELECT t.* FROM test_all_types() AS t, range({copies})")
    assert taken.rows == 3 * copies
    found = {column.name: column for column in taken.columns}
    assert len(found) > 50
    # Each column of that function has two values and a NULL. Of those that sort there is a least one.
    assert {column.nulls for column in taken.columns} == {copies}
    assert {name for name, column in found.items() if column.distinct not in (1, 2)} == set()
    assert (found["int"].least, found["int"].greatest) == ("-2147483648", "2147483647")
    assert found["blob"].top == ()
    assert found["int_array"].kind == "other"
    json.dumps([profile_history.as_data(column) for column in taken.columns], allow_nan=False)


def test_values_without_a_place_on_the_line_and_long_texts() -> None:
    found = columns(
        "SELECT unnest(['NaN'::DOUBLE, 'inf'::DOUBLE, 1, 3]) AS f, unnest(['', repeat('é', 5000), 'É1', NULL]) AS t"
    )
    assert (found["f"].mean, found["f"].quantiles[0], found["f"].quantiles[20]) == (2.0, 1, 3)
    assert (found["t"].longest, len(found["t"].greatest or ""), found["t"].distinct) == (5000, 100, 3)
    assert {share.text for share in found["t"].patterns} == {"", "A9", "a+"}


def test_no_rows_and_nothing_but_nulls() -> None:
    empty = columns("SELECT 1 AS a, 'x' AS b WHERE false")
    assert [(each.nulls, each.distinct, each.top, each.histogram) for each in empty.values()] == [(0, 0, (), ())] * 2
    none = columns("SELECT CAST(NULL AS INTEGER) AS a FROM range(3)")["a"]
    assert (none.nulls, none.distinct, none.least, none.mean) == (3, 0, None, None)


def test_long_rows_make_a_smaller_sample() -> None:
    # 64 MB of rows of 20,000 bytes are 3,200 rows.
    taken = profiled("SELECT repeat('x', 20000) AS t FROM range(5000)")
    assert 2_800 < taken.sample_rows < 3_600


def test_a_profile_is_kept_and_found_again(warehouse: Any) -> None:  # noqa: F811
    run(warehouse, "append", ROWS)
    place = (warehouse, "p", "t", Table("raw", "t"))
    assert profile_history.last(*place) is None
    with warehouse.reader() as connection:
        taken = profile.taken(connection, "raw.t")
    assert taken.rows == len(ROWS)
    first = profile_history.kept(*place, taken)
    second = profile_history.kept(*place, taken)
    found = profile_history.last(*place)
    assert found is not None
    assert found[0] == taken
    assert found[1] == second > first
    kept = table(warehouse, "SELECT DISTINCT kind, name FROM raw._dataflow_quality ORDER BY name")
    assert kept == [("profile", "column"), ("profile", "table")]
    assert profile_history.last(warehouse, "another", "t", Table("raw", "t")) is None


def test_a_profile_keeps_within_the_engines_memory(tmp_path: Any) -> None:
    # A million rows of 100 bytes under a limit of 96 MB: what is counted and drawn is bounded.
    into = DuckDB(path=str(tmp_path / "w.duckdb"), memory_limit="96MB", threads=2)
    with into.reader() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i, repeat(CAST(i AS VARCHAR), 12) AS s FROM range(1000000) AS r(i)"
        )
        taken = profile.taken(connection, "t")
    assert [math.isclose(column.distinct, 1_000_000, rel_tol=0.05) for column in taken.columns] == [True, True]


def test_a_wide_table_keeps_within_the_engines_memory(tmp_path: Any) -> None:
    # 70 columns of 100,000 values each, under a limit of 192 MB: counted all at once they need more.
    into = DuckDB(path=str(tmp_path / "w.duckdb"), memory_limit="192MB", threads=2)
    with into.reader() as connection:
        made = ", ".join(f"i * {number} AS c{number}" for number in range(1, 71))
        connection.execute(f"CREATE TABLE t AS SELECT {made} FROM range(100000) AS r(i)")
        taken = profile.taken(connection, "t")
    assert [column.name for column in taken.columns] == [f"c{number}" for number in range(1, 71)]
    assert [column.distinct for column in taken.columns] == [100_000] * 70
