"""The step flatten."""

from dataflow_platform.core.base import Column
from tests.transformations.stepping import over, refusal, step

NESTED = (
    "SELECT 1 AS id, {'city': 'Ulm', 'geo': {'lat': 48.4, 'at': [1, 2]}} AS address, [{'x': 1}] AS items, 'z' AS last"
)


def test_fields_stand_where_the_structure_stood() -> None:
    names, rows = over(NESTED, step("flatten", {}))
    assert names == ["id", "address_city", "address_geo_lat", "address_geo_at", "items", "last"]
    assert [float(value) if name.endswith("lat") else value for name, value in zip(names, rows[0], strict=True)] == [
        1, "Ulm", 48.4, [1, 2], [{"x": 1}], "z",
    ]  # fmt: skip


def test_depth_and_separator() -> None:
    names, rows = over(NESTED, step("flatten", {"columns": ["address"], "depth": 1, "separator": "."}))
    assert names == ["id", "address.city", "address.geo", "items", "last"]
    assert rows[0][2]["at"] == [1, 2]


def test_a_structure_that_is_null_gives_nulls() -> None:
    assert over("SELECT NULL::STRUCT(a INTEGER, b VARCHAR) AS s", step("flatten", ["s"]))[1] == [(None, None)]


def test_names_of_fields_are_only_names() -> None:
    names, rows = over("""SELECT {'a"b': 1, 'it''s': 2, 'x; y': 3} AS s""", step("flatten", {}))
    assert (names, rows) == (['s_a"b', "s_it's", "s_x; y"], [(1, 2, 3)])


def test_what_flatten_refuses() -> None:
    columns = [Column("s", "STRUCT(a INTEGER, A_ INTEGER)"), Column("s_A", "INTEGER"), Column("l", "INTEGER[]")]
    assert refusal("flatten", {}, columns).code == "column.duplicate"  # s_a and s_A
    assert refusal("flatten", ["l"], columns).code == "column.type"
    assert refusal("flatten", ["t"], columns).code == "column.unknown"
