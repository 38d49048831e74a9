"""What a schema asks, part by part: each is known without data and becomes one rule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Severity
from dataflow_platform.core.rule import Dimension, RuleCode


@dataclass(frozen=True)
class Test:
    """How a part is tested: ``violation`` of a row, or ``verdict`` on all rows and SQL, TRUE for what ``breaks`` it.

    ``code``: checks that Pandera itself runs, one for each column the part is about.
    """

    message: str
    violation: str | None = None
    verdict: str | None = None
    breaks: str | None = None
    code: tuple[RuleCode, ...] = ()
    tolerated: bool = True
    column: str | None = None
    dimension: Dimension = "validity"


@dataclass(frozen=True)
class Part:
    """One thing the schema asks. ``make`` turns it into a test, once the columns are known."""

    label: str
    column: str | None
    severity: Severity | None
    make: Callable[[Sequence[Column]], Test] = field(repr=False)


def fact(message: str, holds: bool, sentence: str) -> Test:
    """A verdict on the table's shape, known without its rows; no share of bad rows makes up for it."""
    verdict = f"SELECT {0 if holds else 1} AS failing, {sql.literal(sentence)} AS sentence FROM (SELECT 1) AS shape"
    return Test(message, verdict=verdict, tolerated=False)


def together(tests: Sequence[Test]) -> Test:
    """One test for what holds where all of ``tests`` do: those of the columns that a pattern matched."""
    if len(tests) == 1:
        return tests[0]
    code = tuple(each for test in tests for each in test.code)
    message = "; ".join(dict.fromkeys(test.message for test in tests))
    dimension = tests[0].dimension
    rowwise = [test.violation for test in tests if test.violation is not None]
    if rowwise:
        # A column of a wrong type has no violation: the part on its type says that it was not looked at.
        return Test(message, violation=" OR ".join(f"({each})" for each in rowwise), code=code, dimension=dimension)
    if any(test.verdict is None for test in tests):
        return Test(message, code=code, dimension=dimension)
    verdicts = " UNION ALL ".join(
        f"SELECT {n} AS place, * FROM ({test.verdict}) AS one" for n, test in enumerate(tests)
    )
    verdict = (
        "SELECT CAST(sum(failing) AS BIGINT) AS failing, string_agg(sentence, '; ' ORDER BY place) AS sentence "
        f"FROM ({verdicts}) AS every"
    )
    breaks = " OR ".join(f"({test.breaks})" for test in tests if test.breaks) or None
    return replace(tests[0], message=message, verdict=verdict, breaks=breaks, code=code, column=None)


def rows_that_break(test: Test) -> str | None:
    """A SELECT over ``staged`` of the rows that make the verdict fail; None where single rows do not."""
    if test.breaks is None:
        return None
    judged = f"SELECT *, ({test.breaks}) AS _dataflow_breaks FROM staged"
    return f"SELECT * EXCLUDE (_dataflow_breaks) FROM ({judged}) AS judged WHERE _dataflow_breaks"
