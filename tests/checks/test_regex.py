"""What DuckDB and Python read differently in a pattern is named; what is not named they read alike."""

import re
import warnings
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.checks._regex import differences
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal
from tests.checks.verdicts import check

# Pattern, the construct that is named, and a text over which the two differ where both read it at all.
NAMED: list[tuple[str, str, str | None]] = [
    (r"a\d", r"\d", "a٣"),
    (r"\D", r"\D", "٣"),
    (r"\w+", r"\w", "é"),
    (r"\W", r"\W", "é"),
    (r"a\sb", r"\s", "a\u00a0b"),
    (r"\S", r"\S", "\u2003"),
    (r"a\b.", r"\b", "aé"),
    (r"a\B.", r"\B", "aé"),
    (r"[\d]", r"\d", "٣"),
    ("a{,3}", "{,3}", "aa"),
    ("a$\n", "$", "a\n"),
    (r"(a$)b?\n", "$", "a\n"),
    ("(?=a)a", "(?=", None),
    ("a(?!b)", "(?!", None),
    ("(?<=a)b", "(?<=", None),
    ("(?<!a)b", "(?<!", None),
    ("(?>a)", "(?>", None),
    (r"(a)\1", r"\1", None),
    ("(?P<x>a)(?P=x)", "(?P=", None),
    ("(a)?(?(1)b|c)", "(?(", None),
    ("(?#why)a", "(?#", None),
    ("a++", "a possessive quantifier", None),
    ("a*+", "a possessive quantifier", None),
    ("a{2}+", "a possessive quantifier", None),
    ("(?x)a b", "(?x)", None),
    ("(?a:a)", "(?a:", None),
    ("(?U)a", "(?U)", None),
    (r"a\Z", r"\Z", None),
    (r"\u00e9", r"\u", None),
    (r"\N{BULLET}", r"\N", None),
    (r"[\b]", r"\b", None),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def by_duckdb(engine: duckdb.DuckDBPyConnection, pattern: str, texts: list[str]) -> list[bool] | None:
    listed = ", ".join(map(literal, texts))
    try:
        ((found,),) = engine.execute(
            f"SELECT list_transform([{listed}], lambda x: regexp_full_match(x, {literal(pattern)}))"
        ).fetchall()
    except duckdb.Error:
        return None
    return list(found)


def by_python(pattern: str, texts: list[str]) -> list[bool] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return [re.fullmatch(pattern, text) is not None for text in texts]
    except (re.error, Warning):
        return None


@pytest.mark.parametrize(("pattern", "construct", "text"), NAMED)
def test_a_construct_is_named_with_what_to_write(
    engine: duckdb.DuckDBPyConnection, pattern: str, construct: str, text: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        check("matches", {"column": "x", "pattern": pattern})
    assert caught.value.code == "check.pattern"
    assert f"{construct} at position" in caught.value.what
    assert caught.value.fix
    texts = ["a"] if text is None else [text]
    found = by_duckdb(engine, pattern, texts), by_python(pattern, texts)
    # They do differ: over that text, or because one of them cannot read the pattern.
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "pattern",
    [
        "N[0-9A-Z]{1,5}", "(a|b)+?c*", r"\.\$\(\{", "^a$", "^(a|b)$", "(?:a$|b$)", "[$^]", r"[\-\]]", "[]a]", "[^]a]",
        "a{2}", "a{2,}", "a{2,3}?", "(?i)abc", "(?i:a)b", "(?s).", "(?P<name>a)", "a+b+", "{", "é+", r"\x41", "a|$",
        "[a+]+", "[(?=]", r"\\d",
    ],
)  # fmt: skip
def test_what_both_read_alike_is_taken(pattern: str) -> None:
    assert differences(pattern) == []
    check("matches", {"column": "x", "pattern": pattern})


pieces = st.sampled_from(
    ["a", "b", "é", "1", ".", "^", "$", "\n", "[ab]", "[^a]", "[0-9]", "[]a]", "(a|b)", "(?:ab)", "(a)", "|", "*", "+",
     "?", "*?", "{2}", "{1,2}", "{0,1}", "{,2}", r"\.", r"\n", r"\t", "(?i)", "(?s)", "(?i:A)", "A", " ", "-", r"\d",
     r"\w", r"\s", r"\b", "(", ")", "[", "]", "{", "}", r"\x61", "(?=a)", "++", r"\1", ",", "(b$)"]
)  # fmt: skip
TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "aa",
    "A",
    "é",
    "1",
    "٣",
    "a\n",
    "\n",
    "ba",
    "aab",
    "a b",
    " ",
    "-",
    ".",
    "b\n",
    "a1",
    "{",
    "É",
]


@settings(max_examples=400)
@given(st.lists(pieces, min_size=1, max_size=6))
def test_a_pattern_in_which_nothing_is_named_matches_the_same_texts(
    engine: duckdb.DuckDBPyConnection, parts: list[str]
) -> None:
    pattern = "".join(parts)
    duck, python = by_duckdb(engine, pattern, TEXTS), by_python(pattern, TEXTS)
    if not differences(pattern) and duck is not None and python is not None:
        assert dict(zip(TEXTS, duck, strict=True)) == dict(zip(TEXTS, python, strict=True))
