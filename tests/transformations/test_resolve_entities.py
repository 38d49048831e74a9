"""Rows that mean one person, found by Splink in the engine's own flow."""

from typing import Any

import pytest

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.engine import transform
from tests.transformations.stepping import over, step

VALUE: dict[str, Any] = {
    "key": "id",
    "blocking": [["surname"], ["given", "born"]],
    "comparisons": {"given": "jaro_winkler", "surname": "jaro_winkler", "born": "exact", "town": "exact"},
    "certain": [["given", "surname", "born"]],
    "match": 0.9,
}
# 300 persons. Every third stands there twice as it is, and every third with a letter of the surname left out. Names are
# digests, so that no two are alike by chance.
PEOPLE = """
    WITH persons AS (
        SELECT n AS person, left(md5('given' || n % 60), 8) AS given, left(md5('surname' || n % 70), 9) AS surname,
            DATE '1950-01-01' + (n * 7919 % 20000)::INTEGER AS born, 'town' || n * 31 % 29 AS town
        FROM range(300) AS t(n)
    )
    SELECT person AS id, * FROM persons
    UNION ALL SELECT 1000 + person, * FROM persons WHERE person % 3 = 0
    UNION ALL SELECT 1000 + person, * REPLACE (left(surname, -1) AS surname) FROM persons WHERE person % 3 = 1"""
TWICE = [person for person in range(300) if person % 3 < 2]


def test_rows_of_one_person_are_one_cluster() -> None:
    names, rows = over(PEOPLE, step("resolve_entities", VALUE))
    assert names == ["id", "person", "given", "surname", "born", "town", "cluster_id", "match_weight", "review_with"]
    assert len(rows) == 500  # 300 and two thirds of them again: all rows stay
    found = {row[0]: row for row in rows}
    assert all(found[1000 + person][6] == person for person in TWICE)
    assert all(found[person][6] == person for person in range(300))  # no two persons are one
    # The odds of a pair that is one are above 9 to 1, log2(9) = 3.17.
    assert all(found[person][7] > 3.16 for person in TWICE)


def test_the_same_rows_in_another_order_give_the_same() -> None:
    resolved = step("resolve_entities", VALUE)
    assert sorted(over(f"FROM ({PEOPLE}) ORDER BY hash(id)", resolved)[1], key=str) == sorted(
        over(PEOPLE, resolved)[1], key=str
    )


def test_what_is_less_sure_is_for_review() -> None:
    sure = step("resolve_entities", {**VALUE, "match": 1 - 1e-12, "review": 0.5})
    found = {row[0]: row for row in over(PEOPLE, sure)[1]}
    # Nothing is sure enough any more: each pair names the other one to look at.
    assert all(found[1000 + person][6] == 1000 + person for person in TWICE)
    assert all(found[1000 + person][8] == person for person in TWICE)
    assert all(found[person][8] is None for person in range(2, 300, 3))


@pytest.mark.parametrize("number", [0, 1])
def test_few_rows_are_each_their_own(number: int) -> None:
    rows = f"FROM ({PEOPLE}) ORDER BY id LIMIT {number}"
    assert [row[6:] for row in over(rows, step("resolve_entities", VALUE))[1]] == [(0, None, None)] * number


def test_rows_that_teach_nothing_are_told_without_their_values() -> None:
    rows = "SELECT n AS id, 'g' || n AS given, 's' || n AS surname, n AS born, 'x' AS town FROM range(9) AS t(n)"
    with pytest.raises(DataError) as raised:
        over(rows, step("resolve_entities", VALUE))
    assert raised.value.code == "resolve_entities.failed"


@pytest.mark.parametrize("other", ["1", "NULL"])
def test_a_key_has_to_be_one(other: str) -> None:
    rest = f"* EXCLUDE (id) FROM ({PEOPLE}) WHERE id"
    rows = f"SELECT {other} AS id, {rest} = 2 UNION ALL SELECT 1, {rest} = 9"
    with pytest.raises(DataError) as raised:
        over(rows, step("resolve_entities", VALUE))
    assert raised.value.code == "resolve_entities.key"


def test_a_cursor_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        transform.refuse_unfit([step("resolve_entities", VALUE)], "id")
    assert raised.value.code == "transform.needs_all"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"review": 0.95}, "resolve_entities.review"),
        ({"blocking": [[]]}, "resolve_entities.rule"),
        ({"comparisons": {"given": {"by": "exact", "at": [1]}, "born": "exact"}}, "resolve_entities.at"),
        ({"key": "idd"}, "column.unknown"),
        ({"blocking": [["surnam"]]}, "column.unknown"),
        ({"blocking": [["getenv('HOME')"]]}, "expression.refused"),
    ],
)
def test_a_mistake_is_found_before_a_row_is_read(change: dict[str, Any], code: str) -> None:
    columns = [Column("id", "BIGINT"), *(Column(name, "VARCHAR") for name in ("given", "surname", "born", "town"))]
    with pytest.raises(ConfigError) as raised:
        step("resolve_entities", {**VALUE, **change}).rows_function(columns)
    assert raised.value.code == code
