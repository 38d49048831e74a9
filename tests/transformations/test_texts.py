"""Steps over texts: clean, split_column, merge_columns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.core.base import Column
from tests.transformations.stepping import over, refusal, step

TEXTS = [Column("a", "VARCHAR"), Column("n", "INTEGER")]


def cleaned(text: str | None, **settings: Any) -> Any:
    written = "NULL::VARCHAR" if text is None else "'" + text.replace("'", "''") + "'"
    return over(f"SELECT {written} AS a, 1 AS n", step("clean", {"columns": ["a"], **settings}))[1][0][0]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  a  b \t\n", "a  b"),
        ("\u00a0\u200b\ufeffJFK\u3000", "JFK"),  # non-breaking, zero-width, byte order mark, ideographic space
        ("e\u0301", "\u00e9"),  # e and an accent become one sign
        ("", None),
        (" \u00a0", None),
        (None, None),
        ("Ab", "Ab"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        # A zero-width non-joiner is part of a Persian word, not a blank.
    ],
)
def test_clean_by_default(text: str | None, wanted: str | None) -> None:
    assert cleaned(text) == wanted


def test_clean_does_no_more_than_is_asked() -> None:
    off = {"trim": False, "nfc": False, "empty_as_null": False}
    assert cleaned(" e\u0301 ", **off) == " e\u0301 "
    assert cleaned("", **off) == ""
    assert cleaned(" a \u00a0\t b ", collapse=True, case="upper") == "A B"


def test_clean_takes_every_text_and_nothing_else() -> None:
    names, rows = over("SELECT ' a ' AS a, 1 AS n, ' b ' AS b, [' c '] AS c", step("clean", {}))
    assert (names, rows) == (["a", "n", "b", "c"], [("a", 1, "b", [" c "])])
    error = refusal("clean", ["n"], TEXTS)
    assert (error.code, "'n' is INTEGER" in error.what) == ("column.type", True)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = cleaned(text, collapse=True, case="lower")
    assert cleaned(once, collapse=True, case="lower") == once


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a|b|c", ("a", "b", "c")),
        ("a|b", ("a", "b", None)),
        ("a|b|c|d|", ("a", "b", "c|d|")),  # the last holds the whole rest
        ("", ("", None, None)),
        ("||", ("", "", "")),
        (None, (None, None, None)),
    ],
)
def test_split_column(text: str | None, wanted: tuple[str | None, ...]) -> None:
    written = "NULL::VARCHAR" if text is None else f"'{text}'"
    made = step("split_column", {"column": "a", "separator": "|", "into": ["x", "y", "z"]})
    assert over(f"SELECT {written} AS a, 1 AS n", made) == (["n", "x", "y", "z"], [(1, *wanted)])


def test_split_column_may_keep_the_column_and_takes_no_name_twice() -> None:
    made = step("split_column", {"column": "a", "separator": ".", "into": ["x", "y"], "keep": True})
    assert over("SELECT '1.2' AS a", made) == (["a", "x", "y"], [("1.2", "1", "2")])
    for into in (["x", "N"], ["x", "X"]):
        error = refusal("split_column", {"column": "a", "separator": "-", "into": into}, TEXTS)
        assert error.code == "column.duplicate"


def test_merge_columns_leaves_nulls_out() -> None:
    made = step("merge_columns", {"columns": ["a", "n"], "separator": "-", "into": "a"})
    rows = "SELECT * FROM (VALUES ('x', 1), (NULL, 2), ('', 3), ('z', NULL), (NULL, NULL)) AS t(a, n)"
    # An empty text is a value, and stays; where all are NULL nothing was said, so it is NULL.
    assert over(rows, made) == (["a"], [("x-1",), ("2",), ("-3",), ("z",), (None,)])
    assert refusal("merge_columns", {"columns": ["a", "A"], "into": "b"}, TEXTS).code == "column.duplicate"
    assert (
        refusal("merge_columns", {"columns": ["a", "n"], "into": "a", "keep": True}, TEXTS).code == "column.duplicate"
    )


@given(st.lists(st.text("ab|", max_size=4), min_size=2, max_size=5))
def test_splitting_undoes_merging(parts: list[str]) -> None:
    """As long as no part has the separator in it, but for the last."""
    parts = [part.replace("|", "") for part in parts[:-1]] + parts[-1:]
    names = [f"c{place}" for place in range(len(parts))]
    rows = "SELECT " + ", ".join(f"'{part}' AS {name}" for part, name in zip(parts, names, strict=True))
    merge = step("merge_columns", {"columns": names, "separator": "|", "into": "all"})
    split = step("split_column", {"column": "all", "separator": "|", "into": names})
    assert over(rows, merge, split) == (names, [tuple(parts)])
