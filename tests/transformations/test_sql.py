"""A whole SELECT as a step: what it may say, and what it does to rows."""

import re

import duckdb
import pytest

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine import step_functions, transform
from tests.core.expressions import ATTACKS, lines
from tests.transformations.selects import ATTACKED
from tests.transformations.stepping import columns_of, over, step

ROWS = "SELECT * FROM (VALUES (1, 'a', 2.0), (2, 'b', 3.0), (3, 'a', 4.0)) AS t(id, k, v)"
AIRPORTS = {"raw.airports": "SELECT 'a' AS k, 'Ulm' AS city"}

# Those that hold no query of their own: in a SELECT a subquery is none of the attacks, what it reads may be one.
QUERY = re.compile(r"\b(SELECT|FROM|TABLE|VALUES|WITH|EXISTS)\b|\*", re.IGNORECASE)
PLAIN_ATTACKS = [text for text in lines(ATTACKS) if not QUERY.search(text) and text != "id, n"]

ALLOWED = [
    ("SELECT id, v * 2 AS w FROM input WHERE k = 'a'", "fewer", ["id", "w"], [(1, 4), (3, 8)]),
    ("SELECT * EXCLUDE (k) REPLACE (v + 1 AS v) FROM input", "same", ["id", "v"], [(1, 3), (2, 4), (3, 5)]),
    ("FROM input", "same", ["id", "k", "v"], [(1, "a", 2), (2, "b", 3), (3, "a", 4)]),
    ("SELECT input.* FROM input", "same", ["id", "k", "v"], [(1, "a", 2), (2, "b", 3), (3, "a", 4)]),
    ("SELECT sum(id) OVER () AS s FROM input", "same", ["s"], [(6,), (6,), (6,)]),
    ("SELECT id FROM input QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC) = 1", "fewer", ["id"],
     [(2,), (3,)]),
    ("SELECT k, count(*) AS n, sum(v) AS s FROM input GROUP BY k", "anew", ["k", "n", "s"], [("a", 2, 6), ("b", 1, 3)]),
    ("WITH m AS (SELECT k, max(v) AS top FROM input GROUP BY ALL) SELECT id, top FROM input JOIN m USING (k)", "anew",
     ["id", "top"], [(1, 4), (2, 3), (3, 4)]),
    ("SELECT city, input.id FROM input JOIN raw.airports AS a ON a.k = input.k", "anew", ["city", "id"],
     [("Ulm", 1), ("Ulm", 3)]),
    ("SELECT id FROM input WHERE k IN (SELECT k FROM raw.airports)", "fewer", ["id"], [(1,), (3,)]),
    ("SELECT id, (SELECT max(city) FROM raw.airports) AS city FROM input WHERE id = 2", "fewer", ["id", "city"],
     [(2, "Ulm")]),
    ("SELECT id FROM input UNION ALL SELECT id + 10 AS id FROM input WHERE id = 1", "anew", ["id"],
     [(1,), (2,), (3,), (11,)]),
    ("SELECT DISTINCT k FROM input", "anew", ["k"], [("a",), ("b",)]),
    ("SELECT id FROM input ORDER BY v DESC LIMIT 1", "anew", ["id"], [(3,)]),
    ("SELECT max(id) AS id FROM input", "anew", ["id"], [(3,)]),
    ("SELECT count(*) AS n FROM (SELECT DISTINCT k FROM input) AS kinds", "anew", ["n"], [(2,)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rows", "names", "wanted"), ALLOWED)
def test_a_select_gives_what_it_says(text: str, rows: str, names: list[str], wanted: list[tuple[object, ...]]) -> None:
    made = step("sql", text)
    assert made.rows == rows
    found, given = over(ROWS, made, tables=AIRPORTS)
    assert (found, sorted(given)) == (names, wanted)


@pytest.mark.parametrize("text", lines(ATTACKED))
def test_an_attack_passes_neither_the_list_nor_the_typing(text: str) -> None:
    """`-- ;` hides nothing: comments are dropped, and what is left is a harmless SELECT."""
    if text == "SELECT id FROM input -- ; DROP":
        assert over(ROWS, step("sql", text))[1] == [(1,), (2,), (3,)]
        return
    with pytest.raises(ConfigError) as raised:
        over(ROWS, step("sql", text), tables=AIRPORTS)
    assert raised.value.code in ("sql.refused", "sql.syntax", "transform.binding", "sql.alias", "column.unknown")


def test_the_corpora_are_as_large_as_they_claim() -> None:
    assert len(set(lines(ATTACKED))) > 90
    assert len(PLAIN_ATTACKS) > 150


@pytest.mark.parametrize("text", PLAIN_ATTACKS)
def test_what_is_no_expression_is_none_in_a_select(text: str) -> None:
    with pytest.raises(ConfigError):
        step("sql", f"SELECT ({text}\n) AS a FROM input")


def test_what_would_pass_the_list_reaches_nothing() -> None:
    """The engine that types steps knows no file, whatever SQL gets there."""

    class Reckless(type(step("sql", "FROM input"))):  # type: ignore[misc]
        def apply(self, columns: object, tables: object) -> str:
            return "SELECT content FROM input, read_text('/etc/hostname')"

    with duckdb.connect() as connection, step_functions.opened(connection) as functions:
        connection.execute("CREATE TABLE input AS SELECT 1 AS id")
        with pytest.raises(ConfigError, match="disabled"):
            transform.compose("FROM input", columns_of(connection), [Reckless("FROM input")], None, functions)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT idd FROM input", "column.unknown"),
        ("SELECT id + 1 FROM input", "sql.unnamed"),
        ("SELECT id, k AS ID FROM input", "column.duplicate"),
        ("SELECT id FROM input AS i", "sql.alias"),
        ("SELECT id FROM", "sql.syntax"),
        ("SELECT upper(id) + 1 AS a FROM input", "transform.binding"),
    ],
)
def test_a_mistake_is_told(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as raised:
        over(ROWS, step("sql", text))
    assert raised.value.code == code
