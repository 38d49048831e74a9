"""What is known of a pipeline's steps before a row is read."""

import duckdb

from dataflow_platform.core.base import Column
from dataflow_platform.engine import step_functions, transform
from dataflow_platform.engine.lineage import Origin
from tests.transformations.stepping import step

COLUMNS = [Column("id", "INTEGER"), Column("city", "VARCHAR"), Column("addr", "STRUCT(city VARCHAR)")]
ROWS = "SELECT 1 AS id, 'Ulm' AS city, {'city': 'Bonn'} AS addr"


def composed(*steps: tuple[str, object], cursor: str | None = None, keep: tuple[str, ...] = ()) -> transform.Query:
    with duckdb.connect() as connection, step_functions.opened(connection) as functions:
        made = [step(name, value) for name, value in steps]
        return transform.compose(ROWS, COLUMNS, made, cursor, functions, keep)


def test_a_field_of_a_structure_is_not_the_column_of_its_name() -> None:
    query = composed(("derive", {"c": "addr.city"}))
    assert query.plain == {"id": "id", "city": "city", "addr": "addr"}
    assert query.lineage.values()["c"] == (Origin("addr"),)


def test_a_copy_does_not_take_the_place_of_its_column() -> None:
    """The key of a stream stays its key where a step copies it under another name."""
    assert composed(("derive", {"copy": "id"})).plain["id"] == "id"
    assert composed(("derive", {"copy": "id"}), ("drop", ["id"])).plain == {"city": "city", "addr": "addr"}


def test_what_a_step_replaces_travels_along_where_it_is_wanted() -> None:
    query = composed(("derive", {"city": "upper(city)"}), ("rename", {"id": "key"}), keep=("id", "city"))
    assert query.origins == {"id": "key", "city": query.hidden[0]}
    assert duckdb.sql(query.sql).fetchall() == [(1, "ULM", {"city": "Bonn"}, "Ulm")]


def test_the_cursor_travels_along_where_a_step_replaces_it() -> None:
    query = composed(("derive", {"id": "id * 10"}), ("filter", "id > 5"), cursor="id")
    assert query.cursor == transform.CARRIED_CURSOR
    assert duckdb.sql(query.sql).fetchall() == [(10, "Ulm", {"city": "Bonn"}, 1)]
