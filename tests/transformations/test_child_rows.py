"""One row for each element of a list."""

import duckdb
import pytest

from dataflow_platform.core.errors import ConfigError
from tests.transformations.stepping import over, step

ROWS = """SELECT 1 AS id, {'items': [{'sku': 'a', 'n': 2}, {'sku': 'b', 'n': NULL}]} AS basket, [7, NULL] AS marks,
'[{"sku": "z", "n": 4}]'::JSON AS said"""


def test_fields_of_structures_become_columns() -> None:
    assert over(ROWS, step("child_rows", {"of": "basket.Items", "keys": {"ID": "order_id"}})) == (
        ["order_id", "position", "sku", "n"],
        [(1, 1, "a", 2), (1, 2, "b", None)],
    )


def test_plain_elements_become_one_column_and_null_is_one() -> None:
    assert over(ROWS, step("child_rows", {"of": "marks", "keys": ["id"], "position": None, "value": "mark"})) == (
        ["id", "mark"],
        [(1, 7), (1, None)],
    )


def test_json_is_a_list_once_its_type_is_said() -> None:
    said = {"of": "said", "keys": ["id"], "type": "struct(sku varchar, n integer)[]"}
    assert over(ROWS, step("child_rows", said))[1] == [(1, 1, "z", 4)]
    assert over(ROWS, step("child_rows", {"of": "said", "keys": ["id"]}))[1] == [(1, 1, '{"sku":"z","n":4}')]


def test_the_way_leads_into_json() -> None:
    rows = """SELECT 1 AS id, '{"a": {"b.c": [1, 2]}, "d": null}'::JSON AS j"""
    with pytest.raises(ConfigError, match="quotation"):
        step("child_rows", {"of": 'j."a', "keys": ["id"]})
    way = {"of": "j.a", "keys": ["id"], "type": 'struct("b.c" integer[])[]'}
    with pytest.raises(duckdb.Error):  # an object is no list: the run fails
        over(rows, step("child_rows", way))
    assert over(rows, step("child_rows", {"of": "j.d", "keys": ["id"], "type": "integer[]"}))[1] == []
    assert over(rows, step("child_rows", {"of": "j.e.f", "keys": ["id"], "type": "integer[]"}))[1] == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"of": "basket.item", "keys": ["id"]}, "did you mean 'items'"),
        ({"of": "id", "keys": ["id"]}, "takes a list"),
        ({"of": "marks", "keys": ["id"], "position": "id"}, "give the parent's column another name"),
        ({"of": "marks", "keys": ["idd"]}, "unknown column 'idd'"),
        ({"of": "marks", "keys": ["id"], "type": "integer"}, "is no list"),
    ],
)
def test_what_does_not_fit_is_told(value: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        over(ROWS, step("child_rows", value))
