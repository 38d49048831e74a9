"""Every transformation, run by DuckDB over a small table."""

import itertools
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.core import registry
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import step_functions, transform
from tests.transformations import stepping
from tests.transformations.stepping import run, step

COLUMNS = ("id", "Dest", "distance", "air_time")
TYPES = ("INTEGER", "VARCHAR", "INTEGER", "DOUBLE")
ROWS = [
    (1, "JFK", 100, 2.0),
    (2, None, 200, 4.0),
    (3, "LAX", None, 5.0),
    (3, "LAX", 300, None),
    (None, "SFO", 50, 1.0),
    (None, "BOS", 60, 1.0),
]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as found:
        found.execute('CREATE TABLE input (id INTEGER, "Dest" VARCHAR, distance INTEGER, air_time DOUBLE)')
        found.executemany("INSERT INTO input VALUES (?, ?, ?, ?)", ROWS)
        yield found


def refusal(name: str, value: Any) -> ConfigError:
    return stepping.refusal(name, value, list(map(Column, COLUMNS, TYPES)))


def test_every_step_is_known_by_its_name_and_says_what_it_is() -> None:
    names = registry.names("transformations")
    assert {"cast", "clean", "deduplicate", "derive", "drop", "filter", "flatten", "rename", "select"} <= set(names)
    for name in names:
        assert registry.transformation(name).__doc__


def test_filter_lets_only_true_pass(connection: duckdb.DuckDBPyConnection) -> None:
    # distance > 60: 100, 200 and 300 pass; 50 and 60 are false and NULL is unknown, which is no pass.
    names, rows = run(connection, step("filter", "DISTANCE > 60"))
    assert names == list(COLUMNS)
    assert sorted(row[2] for row in rows) == [100, 200, 300]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("distance >", "expression.syntax"),
        ("id in (select 1)", "expression.refused"),
        ("count(*) > 1", "expression.refused"),
        ("row_number() over () = 1", "expression.refused"),
        ("read_text('x') = ''", "expression.refused"),
    ],
)
def test_filter_refuses_at_load_time(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        step("filter", text)
    assert caught.value.code == code


def test_derive_replaces_in_place_and_adds_at_the_end(connection: duckdb.DuckDBPyConnection) -> None:
    made = step("derive", {"speed": "distance / air_time", "DISTANCE": "distance * 2", "twice": "distance + 1"})
    names, rows = run(connection, made)
    assert names == ["id", "Dest", "distance", "air_time", "speed", "twice"]
    # Row 1: 100 / 2.0 = 50; distance becomes 200; twice reads the input's 100, not the new 200.
    assert rows[0] == (1, "JFK", 200, 2.0, 50.0, 101)


def test_derive_reads_the_input_even_where_it_swaps_two_columns(connection: duckdb.DuckDBPyConnection) -> None:
    _, rows = run(connection, step("derive", {"id": "distance", "distance": "id"}))
    assert rows[0] == (100, "JFK", 1, 2.0)


def test_derive_may_look_along_the_rows(connection: duckdb.DuckDBPyConnection) -> None:
    _, rows = run(connection, step("derive", {"total": "sum(distance) over ()"}))
    # 100 + 200 + 300 + 50 + 60, NULL left out.
    assert {row[4] for row in rows} == {710}


def test_derive_refuses_what_has_no_single_meaning() -> None:
    assert refusal("derive", {"a": "id", "A": "id"}).code == "column.duplicate"
    assert refusal("derive", {"a": "sum(id)"}).code == "expression.refused"
    # `b` reads `a`, which this step only makes: expressions do not see each other.
    assert refusal("derive", {"a": "id + 1", "b": "a + 1"}).code == "column.unknown"
    assert "'distance'" in refusal("derive", {"a": "distnce"}).fix


def test_rename_keeps_place_and_values(connection: duckdb.DuckDBPyConnection) -> None:
    names, rows = run(connection, step("rename", {"dest": "destination", "id": "distance", "distance": "id"}))
    assert names == ["distance", "destination", "id", "air_time"]
    assert rows[0] == ROWS[0]


def test_rename_may_change_only_the_case(connection: duckdb.DuckDBPyConnection) -> None:
    names, _ = run(connection, step("rename", {"dest": "dest"}))
    assert names == ["id", "dest", "distance", "air_time"]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"dist": "x"}, "column.unknown"),
        ({"id": "DEST"}, "column.duplicate"),
        ({"id": "x", "dest": "X"}, "column.duplicate"),
        ({"id": "x", "ID": "y"}, "column.duplicate"),
        ({"id": ""}, "identifier.invalid"),
    ],
)
def test_rename_refuses_collisions(names: dict[str, str], code: str) -> None:
    assert refusal("rename", names).code == code


@given(st.permutations(["a", "b", "c", "d"]))
def test_any_permutation_of_names_is_a_rename(order: list[str]) -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE input AS SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d")
        made = step("rename", dict(zip("abcd", order, strict=True)))
        assert run(connection, made) == (list(order), [(1, 2, 3, 4)])


def test_select_orders_and_keeps_the_tables_spelling(connection: duckdb.DuckDBPyConnection) -> None:
    names, rows = run(connection, step("select", ["DISTANCE", "dest"]))
    assert names == ["distance", "Dest"]
    assert rows[0] == (100, "JFK")
    assert refusal("select", ["id", "ID"]).code == "column.duplicate"
    assert refusal("select", ["dst"]).code == "column.unknown"


def test_cast_changes_types_in_place(connection: duckdb.DuckDBPyConnection) -> None:
    made = step("cast", {"ID": "varchar", "distance": "decimal(10,2)", "dest": "varchar[]"})
    with pytest.raises(duckdb.ConversionException):
        # Strict: 'JFK' is no list, so the run fails instead of filling in NULL.
        run(connection, made)
    names, rows = run(connection, step("cast", {"ID": "varchar", "distance": "decimal(10,2)"}))
    assert names == list(COLUMNS)
    assert (rows[0][0], str(rows[0][2])) == ("1", "100.00")


def test_cast_refuses_unknown_types_and_columns() -> None:
    assert refusal("cast", {"id": "intger"}).code == "type.unknown"
    assert "did you mean 'integer'" in refusal("cast", {"id": "intger"}).fix
    assert refusal("cast", {"id": "integer); drop table input --"}).code == "type.unknown"
    assert refusal("cast", {"idd": "integer"}).code == "column.unknown"
    assert refusal("cast", {"id": {"type": "integer", "format": "%d"}}).code == "cast.format"
    assert str(refusal("cast", {"id": {"type": "intger", "misfit": "null"}}).where) == "id"
    assert refusal("cast", {"id": "integer", "ID": "integer"}).code == "column.duplicate"


@pytest.mark.parametrize(
    ("to", "text", "wanted"),
    [
        ({"type": "integer", "misfit": "null"}, "x", None),
        ({"type": "integer", "misfit": "null"}, "7", "7"),
        ({"type": "date", "format": "%d.%m.%Y"}, "31.12.2024", "2024-12-31"),
        ({"type": "date", "format": "%d.%m.%Y", "misfit": "null"}, "2024-12-31", None),
        ({"type": "timestamp", "format": "%Y%m%d %H%M"}, "20241231 2359", "2024-12-31 23:59:00"),
        ({"type": "time", "format": "%H.%M"}, "23.59", "23:59:00"),
        ({"type": "decimal(4,2)", "misfit": "null"}, "123.4", None),
    ],
)
def test_cast_by_a_format_and_with_misfits(to: dict[str, str], text: str, wanted: str | None) -> None:
    (value,) = stepping.over(f"SELECT '{text}' AS v", step("cast", {"v": to}))[1][0]
    assert (None if value is None else str(value)) == wanted


def test_cast_flags_the_rows_that_go_to_quarantine() -> None:
    made = step("cast", {"Dest": {"type": "integer", "misfit": "quarantine"}})
    assert made.rules() == {"cast_dest": "Dest is no integer"}
    with duckdb.connect() as connection, step_functions.opened(connection) as functions:
        connection.execute("""CREATE TABLE input AS SELECT unnest(['1', 'x', NULL]) AS "Dest" """)
        query = transform.compose("FROM input", [Column("Dest", "VARCHAR")], [made], None, functions)
        assert query.columns == ("Dest",)
        # NULL is a value of every type.
        wanted = [(1, False), (None, True), (None, False)]
        assert connection.execute(query.sql).fetchall() == wanted


def test_deduplicate_keeps_the_first_by_the_order(connection: duckdb.DuckDBPyConnection) -> None:
    _, rows = run(connection, step("deduplicate", {"by": "ID", "order": "distance desc"}))
    # id 3: 300 comes before NULL, which is last; the two rows without id are one key: 60 comes before 50.
    assert sorted(rows, key=str) == sorted(
        [(1, "JFK", 100, 2.0), (2, None, 200, 4.0), (3, "LAX", 300, None), (None, "BOS", 60, 1.0)], key=str
    )


def test_deduplicate_does_not_hang_on_the_order_rows_come_in() -> None:
    # Every row ties on `seen`; six arrival orders must give one result: the smallest remaining column, 'a'.
    for rows in itertools.permutations([("k", 1, "a"), ("k", 1, "b"), ("k", 1, "c")]):
        with duckdb.connect(":memory:") as connection:
            connection.execute("CREATE TABLE input (key VARCHAR, seen INTEGER, what VARCHAR)")
            connection.executemany("INSERT INTO input VALUES (?, ?, ?)", rows)
            made = step("deduplicate", {"by": ["key"], "order": "seen desc"})
            assert run(connection, made)[1] == [("k", 1, "a")]


def test_deduplicate_works_where_every_column_is_the_key(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("INSERT INTO input SELECT * FROM input")
    names, rows = run(connection, step("deduplicate", list(COLUMNS)))
    assert names == list(COLUMNS)
    assert sorted(rows, key=str) == sorted(ROWS, key=str)


def test_deduplicate_refuses_unknown_columns_and_other_statements() -> None:
    assert refusal("deduplicate", {"by": "idd"}).code == "column.unknown"
    assert refusal("deduplicate", {"by": "id", "order": "distanc desc"}).code == "column.unknown"
    assert refusal("deduplicate", {"by": "id", "order": "id) , (select 1"}).code.startswith("expression.")


def test_hostile_names_stay_names() -> None:
    names = ['a"b', "select", "x; DROP TABLE input", "größe", "with space"]
    with duckdb.connect(":memory:") as connection:
        quoted = ", ".join('{} AS "{}"'.format(number, name.replace('"', '""')) for number, name in enumerate(names))
        connection.execute(f"CREATE TABLE input AS SELECT {quoted}")
        for made in (
            step("filter", '"select" = 1'),
            step("rename", {"größe": "size"}),
            step("cast", {"größe": "bigint"}),
            step("select", names),
            step("deduplicate", 'a"b'),
            step("derive", {'n"ew': '"a""b" + 1'}),
        ):
            assert run(connection, made)[1][0][:5] == (0, 1, 2, 3, 4)
