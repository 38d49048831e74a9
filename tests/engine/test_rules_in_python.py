"""Checks that Pandera runs: row by row while rows are staged, or on all of them; what breaks them is set aside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, Destination
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine import replay
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StagedLoad
from tests.engine.test_line import make, table
from tests.fixtures.rows import Rows


@pytest.fixture(params=["duckdb", "postgres", "delta", "parquet_dataset"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    """Each kind of destination: the stage is in its file, in an engine beside it, or there is none."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        name = f"rules_{tmp_path.name[-8:].lower().replace('-', '_')}"
        server.execute(f'CREATE DATABASE "{name}"')
        yield PostgresDestination(
            host="127.0.0.1", port=server.port, database=name, user="postgres", password=server.password
        )
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    elif request.param == "duckdb":
        yield DuckDB(path=str(tmp_path / "w.duckdb"))
    else:
        made: Any = registry.destination(request.param)
        yield made(path=str(tmp_path / "lake"))


@pytest.fixture
def file(tmp_path: Path) -> DuckDB:
    return DuckDB(path=str(tmp_path / "w.duckdb"))


def pandera(name: str, **more: Any) -> Check:
    made: Check = registry.check("pandera").model_validate({"schema": f"tests.checks.schemas:{name}", **more})
    return made


ROWS = [
    {"id": 1, "at": 4, "v": "ab"},
    {"id": 2, "at": 5, "v": "ab"},  # odd
    {"id": 3, "at": 4, "v": "abc"},  # long
    {"id": 9, "at": 8, "v": None},  # at is not after id
    {"id": 5, "at": None, "v": "abcd"},  # long; of what is missing no function of a column is asked
]


@pytest.mark.parametrize(("how", "flavour"), [("append", "own"), ("replace", "own_polars")])
def test_rows_that_break_a_function_are_set_aside(warehouse: Destination, how: str, flavour: str) -> None:
    rows = ROWS if flavour == "own_polars" else ROWS[:4]  # to pandas a comparison with a gap is False, no gap
    record = publish(stage(make(warehouse, how, rows, checks=[pandera(flavour)])))  # type: ignore[arg-type]
    assert table(warehouse, "SELECT id FROM raw.t") == [(1,)]  # type: ignore[arg-type]
    assert (record.rows_loaded, record.rows_quarantined) == (1, len(rows) - 1)
    reasons = 'SELECT unnest(from_json(reasons, \'[{"rule": "VARCHAR"}]\')).rule AS rule FROM raw._dataflow_quarantine'
    found = dict(table(warehouse, f"SELECT rule, count(*) FROM ({reasons}) GROUP BY rule"))  # type: ignore[arg-type]
    counted = {"at_even": 1, "v_short": len(rows) - 3, "at_after_id": 1}
    assert found == {f"{flavour}_{name}": count for name, count in counted.items()}


def staged_of(file: DuckDB, name: str, rows: list[dict[str, Any]], **more: Any) -> StagedLoad:
    return stage(make(file, "append", rows, checks=[pandera(name, **more)]))


def test_a_function_that_crashes_is_broken_and_never_passes(file: DuckDB) -> None:
    staged = staged_of(file, "crashing", [{"id": 1, "at": 1}, {"id": 2, "at": 3}])
    (broken,) = [verdict for verdict in staged.verdicts if verdict.broken]
    assert (broken.rule.name, broken.broken, broken.passed) == ("crashing_at_crashes", "ValueError: above two", False)
    # The other rule was judged all the same.
    assert [verdict.passed for verdict in staged.verdicts if "equal" in verdict.rule.name] == [True]
    with pytest.raises(DataError, match=r"the check is broken, nothing was judged: ValueError: above two"):
        publish(staged)


def test_a_broken_check_that_only_warns_publishes(file: DuckDB) -> None:
    staged = staged_of(file, "crashing", [{"id": 2, "at": 3}], severity="warn")
    assert publish(staged).rows_loaded == 1
    assert [verdict.rule.name for verdict in staged.verdicts if not verdict.passed] == ["crashing_at_crashes"]


@pytest.mark.parametrize("name", ["rising", "rising_polars"])
def test_one_answer_is_asked_of_all_rows_at_once(file: DuckDB, name: str) -> None:
    # 5,000 rows are three of the engine's batches; the greatest value is in the last one.
    rows = [{"id": n, "at": 100 if n == 4999 else 1} for n in range(5000)]
    failing = [verdict for verdict in staged_of(file, name, rows).verdicts if not verdict.passed]
    assert [(verdict.failing, verdict.sentence) for verdict in failing] == [(1, "'below_100' does not hold")]
    assert staged_of(file, name, rows[:-1]).verdicts[-1].passed


def test_a_function_that_compares_rows_is_found_out_and_given_all(file: DuckDB) -> None:
    # The first and the last of 5,000 rows are alike, in different batches: each batch alone would pass.
    rows = [{"id": n, "at": n % 4999} for n in range(5000)]
    verdict = staged_of(file, "once", rows).verdicts[-1]
    assert (verdict.failing, verdict.passed, verdict.sentence) == (2, False, "2 of 5,000 rows break 'once'")
    assert staged_of(file, "once", rows, whole=["once"]).verdicts[-1].failing == 2


@pytest.mark.parametrize(("values", "passes"), [((1, 2), True), ((2, 1), False)])
def test_a_check_on_groups_gets_all_of_each(file: DuckDB, values: tuple[int, int], passes: bool) -> None:
    rows = [{"id": 1, "at": values[0], "v": "a"}, {"id": 2, "at": values[1], "v": "b"}]
    named = {verdict.rule.name: verdict.passed for verdict in staged_of(file, "grouped", rows).verdicts}
    assert named["grouped_at_a_before_b"] is passes


def test_two_hundred_rules_of_one_schema(file: DuckDB) -> None:
    rows = [{"id": n, "at": value} for n, value in enumerate([801, 802, 1000, 1001])]
    staged = staged_of(file, "two_hundred", rows, severity="warn")
    columns = [name for name, *_ in staged.session.in_engine(f"DESCRIBE {staged.staged.sql}")]  # type: ignore[union-attr]
    # 200 rules and one on missing values need four masks of 62 bits.
    assert [name for name in columns if "mask" in name] == [f"_dataflow_mask_{n}" for n in range(4)]
    assert publish(staged).rows_loaded == 1
    counts = table(file, "SELECT json_array_length(reasons) FROM raw._dataflow_quarantine ORDER BY 1")
    # Limits run from 1000 down to 801: 802 breaks the last one, 1000 all but the first, 1001 all.
    assert counts == [(1,), (199,), (200,)]


def test_a_replay_asks_the_functions_again(file: DuckDB) -> None:
    publish(stage(make(file, "append", ROWS[:3], checks=[pandera("own")])))
    mended = make(file, "append", [], "2", checks=[pandera("own")], steps=[_step({"at": "id * 2", "v": "'a'"})])
    found = replay.replay(mended, replay.Selection(), "somebody")
    assert (found.loaded, found.still_bad) == (2, 0)
    assert table(file, 'SELECT id, "at" FROM raw.t ORDER BY 1') == [(1, 4), (2, 4), (3, 6)]


def test_a_replay_does_not_let_rows_pass_a_function_that_crashes(file: DuckDB) -> None:
    publish(stage(make(file, "append", ROWS[:3], checks=[pandera("own")])))
    with pytest.raises(DataError, match=r"check 'crashing_at_crashes' is broken, nothing was replayed: ValueError"):
        replay.replay(make(file, "append", [], "2", checks=[pandera("crashing")]), replay.Selection(), "somebody")
    assert table(file, "SELECT id FROM raw.t") == [(1,)]


def _step(derived: dict[str, str]) -> Any:
    return registry.transformation("derive").model_validate(derived)


def test_a_function_sees_batches_never_the_table(file: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.checks import schemas

    sizes: list[int] = []

    def short(texts: Any) -> Any:
        sizes.append(len(texts))
        return texts.str.len() < 6

    monkeypatch.setattr(schemas.own.columns["v"].checks[0], "_check_fn", short)
    numbers = pa.array(range(100_000))
    rows = pa.table({"id": numbers, "at": pa.array(range(2, 200_002, 2)), "v": numbers.cast(pa.string())})
    load = make(file, "append", [], checks=[pandera("own")], source=Rows().with_rows(rows))
    record = publish(stage(load))
    # Numbers up to 99,999 have fewer than six digits.
    assert (record.rows_loaded, record.rows_quarantined) == (100_000, 0)
    # A vector of the engine has 2,048 rows; the watch over the first one asks twice of 200.
    assert max(sizes) <= 2048
    assert sum(sizes) == 100_000 + 2 * 200 + 8
