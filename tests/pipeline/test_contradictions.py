"""Rules that no data can satisfy together are named, with the place of the second, when the pipeline is read."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dataflow_platform.pipeline.loader import load_folder
from tests.pipeline.test_typed_rules import YAML

HEAD = YAML[: YAML.index("        - {type: null")]


def problem_of(tmp_path: Path, *checks: dict[str, Any]) -> str | None:
    """What is said of a stream with these checks; None where nothing is."""
    folder = tmp_path / "defs" / "shop"
    folder.mkdir(parents=True)
    listed = yaml.safe_dump(list(checks), default_flow_style=None, width=200)
    (folder / "defs.yaml").write_text(HEAD + "".join(f"        {line}\n" for line in listed.splitlines()))
    problems = load_folder(tmp_path / "defs").built.problems
    assert len(problems) <= 1
    return str(problems[0]) if problems else None


def low(least: Any, column: str = "a", **more: Any) -> dict[str, Any]:
    return {"in_range": {"column": column, "min": least, "name": f"low_{least}".replace("-", "_"), **more}}


def high(most: Any, column: str = "a", **more: Any) -> dict[str, Any]:
    return {"in_range": {"column": column, "max": most, "name": f"high_{most}".replace("-", "_"), **more}}


def one_of(*values: Any, name: str = "set") -> dict[str, Any]:
    return {"isin": {"column": "A", "values": list(values), "name": name}}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (low(10), high(5), "'low_10' says that a is at least 10, 'high_5' that it is at most 5: nothing is both"),
        (low(5, exclusive=True), high(5), "a is at least 5 (excluded)"),
        (low("2024-01-02"), high("2024-01-01"), "nothing is both"),
        (one_of("x", "y"), one_of("z", name="other"), "A is one of x, y, 'other' that it is one of z"),
        (one_of(1, 2), low(3), "A is one of 1, 2"),
        (one_of("x"), {"notin": {"column": "a", "values": ["x", "y"]}}, "that it is none of x, y"),
        ({"row_count": {"min": 10, "name": "least"}}, {"row_count": {"max": 9}}, "the number of rows is at least 10"),
        ({"length": {"column": "a", "exact": 2}}, {"length": {"column": "a", "min": 3, "name": "b"}}, "length of a"),
        ({"not_null": "a"}, {"null_share": {"column": "a", "min": "1%"}}, "the share of rows without a"),
        ({"type": {"column": "a", "is": "integer"}}, {"type": {"column": "a", "is": "date", "name": "b"}}, "type of a"),
        (
            {"statistic": {"column": "a", "of": "mean", "max": 1}},
            {"statistic": {"column": "a", "of": "mean", "min": 2, "name": "b"}},
            "the mean of a is at most 1",
        ),
        (
            {"monotonic": {"column": "a", "by": "b", "strictly": True}},
            {"monotonic": {"column": "a", "by": "b", "strictly": True, "falls": True, "name": "b"}},
            "the direction of a by b",
        ),
        (low(10), {"type": "range", "field": "a", "condition": "..5"}, "that it is at most 5"),
    ],
)  # fmt: skip
def test_two_rules_that_no_value_satisfies(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    problem = problem_of(tmp_path, first, second)
    assert problem is not None
    assert "[check.contradiction]" in problem
    assert said in problem
    assert "checks[1]" in problem
    assert "fix: correct one of the two" in problem


@pytest.mark.parametrize(
    "checks",
    [
        [low(5), high(5)],
        [low(5), high(1, column="b")],
        [low(10, severity="warn"), low(5), high(20)],
        [one_of("x", "y"), one_of("y", "z", name="other")],
        [one_of(1, 20), low(10)],
        [one_of("x", "y"), {"notin": {"column": "a", "values": ["x"]}}],
        # Some rows may break each of these: all rows can break one of the two.
        [low(10, at_most="60%"), high(5, at_most="60%")],
        [{"type": {"column": "a", "is": "number"}}, {"type": {"column": "a", "is": "bigint", "name": "b"}}],
        [{"row_count": {"min": 1}}, {"row_count": {"max_decrease": "5%"}}],
        [
            {"conditional": {"when": "b = 1", "then": {"in_range": {"column": "a", "min": 9}}}},
            {"conditional": {"when": "b = 2", "then": {"in_range": {"column": "a", "max": 1}}}},
        ],
    ],
)
def test_rules_that_some_value_satisfies(tmp_path: Path, checks: list[dict[str, Any]]) -> None:
    assert problem_of(tmp_path, *checks) is None


def test_a_name_that_two_checks_have(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"not_null": "a"}, {"not_null": "a"})
    assert problem is not None
    assert "two checks are named 'not_null_a'" in problem


def test_a_set_of_null_is_none(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"not_null": "a"}, {"isin": {"column": "a", "values": [None]}})
    assert problem is not None
    assert "values[0]" in problem
