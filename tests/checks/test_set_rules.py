"""Rules over the set of rows, by numbers that are worked out beside them or by another implementation."""

import json
import math
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.core.base import Rule
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal
from tests.checks.verdicts import check, columns_of, failing, staged

HISTORY = (
    "CREATE TABLE history (measured_at TIMESTAMPTZ, kind VARCHAR, name VARCHAR, column_name VARCHAR, value DOUBLE, "
    "rows BIGINT, detail VARCHAR)"
)
NUMBERS = {"n": "BIGINT", "f": "DOUBLE", "t": "VARCHAR", "d": "DATE"}


def judged(
    name: str, value: Any, types: dict[str, str], rows: Sequence[Sequence[object]], *loads: Any
) -> tuple[int, str]:
    """The count and sentence of the one rule of a check; ``loads`` were published before, oldest first."""
    (rule,) = check(name, value).rules(columns_of(types))
    with staged(types, rows) as connection:
        remember(connection, rule, types, loads)
        return failing(connection, rule)


def remember(connection: duckdb.DuckDBPyConnection, rule: Rule, types: dict[str, str], loads: Sequence[Any]) -> None:
    """Fill ``history`` with what the rule measures of each of the ``loads`` (rows), as the engine does."""
    connection.execute(HISTORY)
    for place, rows in enumerate(loads):
        with staged(types, rows) as earlier:
            found = [] if rule.measures is None else earlier.execute(rule.measures).fetchall()
        found.append(("row_count", None, len(rows), None))
        for name, column, value, detail in found:
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=place)
            row = (at, "metric", name, column, None if value is None else float(value), None, detail)
            connection.execute(f"INSERT INTO history VALUES ({', '.join(map(literal, row))})")


BOTH = "9 rows, before 10, allowed are 0% fewer and 50% more"
EARLY = "min of d is 2024-01-01, expected at least 2024-01-02"
VALUES = [(1, 0.5, "a", date(2024, 1, 1)), (2, 1.5, "b", date(2024, 1, 2)), (3, None, None, None), (6, 4.0, "b", None)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # n: 1, 2, 3, 6; f: 0.5, 1.5, 4.0
        ({"column": "n", "of": "sum", "min": 12, "max": 12}, (0, "sum of n is 12.0, expected between 12 and 12")),
        ({"column": "n", "of": "sum", "max": 11}, (1, "sum of n is 12.0, expected at most 11")),
        ({"column": "n", "of": "mean", "min": 3.1}, (1, "mean of n is 3.0, expected at least 3.1")),
        ({"column": "f", "of": "mean", "min": 2, "max": 2}, (0, "mean of f is 2.0, expected between 2 and 2")),
        ({"column": "n", "of": "median", "max": 2}, (1, "median of n is 2.5, expected at most 2")),
        # At 0.75 * 3 = 2.25 gaps from the first: 3 + 0.25 * (6 - 3).
        (
            {"column": "n", "of": "quantile", "quantile": 0.75, "max": 3},
            (1, "quantile 0.75 of n is 3.75, expected at most 3"),
        ),
        ({"column": "n", "of": "max", "max": 5}, (1, "max of n is 6, expected at most 5")),
        ({"column": "d", "of": "min", "min": date(2024, 1, 2)}, (1, EARLY)),
        # (0.25 + 0 + 4) / 2 around 2.0: squares 2.25, 0.25, 4 by n - 1 = 2.
        ({"column": "f", "of": "stddev", "max": 1.8}, (1, "stddev of f is 1.8027756377319946, expected at most 1.8")),
    ],
)  # fmt: skip
def test_statistics(value: dict[str, Any], expected: tuple[int, str]) -> None:
    assert judged("statistic", value, NUMBERS, VALUES) == expected


def test_a_statistic_of_nothing_is_not_judged_and_nan_is_no_number_in_bounds() -> None:
    value = {"column": "f", "of": "mean", "min": 0}
    assert judged("statistic", value, NUMBERS, []) == (0, "there is no value to take the mean of f")
    assert judged("statistic", value, NUMBERS, [(1, math.nan, "", None)])[0] == 1
    # The sum of the two greatest BIGINT is no BIGINT.
    assert judged("statistic", {"column": "n", "of": "sum", "min": 0}, NUMBERS, [(2**63 - 1, 0, "", None)] * 2)[0] == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"columns": "t", "min": 3}, (1, "2 different values of t, expected at least 3")),
        ({"columns": ["n", "t"], "max": 1}, (2, "3 different values of n, t, expected at most 1")),
        ({"columns": "n", "min": 4, "max": 4}, (0, "4 different values of n, expected between 4 and 4")),
    ],
)
def test_distinct_counts(value: dict[str, Any], expected: tuple[int, str]) -> None:
    # t: a, b, b and none; with n: three pairs.
    assert judged("distinct_count", value, NUMBERS, VALUES) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"column": "d", "max": "50%"}, (0, "2 of 4 rows without d, expected at most 50%")),
        ({"column": "d", "max": 0.49}, (1, "2 of 4 rows without d, expected at most 0.49")),
        ({"column": "d", "max": "0%"}, (2, "2 of 4 rows without d, expected at most 0%")),
        ({"column": "n", "min": "25%"}, (1, "0 of 4 rows without n, expected at least 25%")),
    ],
)
def test_null_shares(value: dict[str, Any], expected: tuple[int, str]) -> None:
    assert judged("null_share", value, NUMBERS, VALUES) == expected


@pytest.mark.parametrize(
    ("value", "rows", "before", "expected"),
    [
        ({"max_decrease": "20%"}, 80, [100], (0, "80 rows, before 100, allowed are 20% fewer")),
        ({"max_decrease": "20%"}, 79, [100], (1, "79 rows, before 100, allowed are 20% fewer")),
        ({"max_increase": "50%"}, 153, [100], (3, "153 rows, before 100, allowed are 50% more")),
        ({"max_increase": "50%", "max_decrease": "0%"}, 9, [100, 10], (1, BOTH)),
        # The median of 10, 30, 20 is 20: the fourth before is not looked at.
        ({"max_decrease": "10%", "loads": 3}, 17, [1000, 10, 30, 20], (1, "17 rows, before 20, allowed are 10% fewer")),
        ({"max_decrease": "10%"}, 1, [], (0, "1 rows, and no earlier load to compare with")),
    ],
)  # fmt: skip
def test_the_change_of_the_number_of_rows(value: Any, rows: int, before: list[int], expected: tuple[int, str]) -> None:
    loads = [[(1,)] * count for count in before]
    assert judged("row_count", value, {"x": "BIGINT"}, [(1,)] * rows, *loads) == expected


def test_bounds_and_change_of_a_row_count_are_rules_of_their_own() -> None:
    assert check("row_count", {"min": 1, "max_decrease": "5%"}).names() == ["row_count", "row_count_change"]
    assert check("row_count", {"max_decrease": "5%", "name": "rows"}).names() == ["rows"]


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "DATE"])
def test_freshness(kind: str) -> None:
    now = datetime.now(UTC)

    def made(hours: float) -> Any:
        at = now - timedelta(hours=hours)
        return at if kind == "TIMESTAMPTZ" else at.replace(tzinfo=None) if kind == "TIMESTAMP" else at.date()

    def found(hours: list[float], value: dict[str, Any], *loads: Any) -> int:
        return judged("freshness", {"column": "x", **value}, {"x": kind}, [(made(each),) for each in hours], *loads)[0]

    # A date counts from its end: 49 hours ago is a day that ended 25 to 49 hours ago.
    assert found([100, 49, 60], {"max_age": "24h"}) == 1
    assert found([100, 49, 60], {"max_age": "50h"}) == 0
    assert found([1], {"max_age": "24h"}) == 0
    # Nothing came this time: the newest of the load before is 49 hours old, that of the one before it does not count.
    assert found([], {"max_age": "24h"}, [(made(1000),)], [(made(49),)]) == 1
    assert found([], {"max_age": "3d"}, [(made(49),)]) == 0
    assert found([], {"max_age": "24h"}) == 0
    assert found([-72], {"max_age": "24h", "max_ahead": "24h"}) == 1
    assert found([-72], {"max_age": "24h"}) == 0


def test_freshness_knows_the_zone_of_a_time_that_names_none() -> None:
    # Noon in Tokyo was nine hours before noon in UTC.
    wall = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=8, minutes=30)
    rows = [(wall,)]
    assert judged("freshness", {"column": "x", "max_age": "1h", "zone": "Asia/Tokyo"}, {"x": "TIMESTAMP"}, rows)[0] == 0
    assert (
        judged("freshness", {"column": "x", "max_age": "29m", "zone": "Asia/Tokyo"}, {"x": "TIMESTAMP"}, rows)[0] == 1
    )
    value = {"column": "x", "max_age": "1h", "max_ahead": "8h"}
    assert judged("freshness", value, {"x": "TIMESTAMP"}, rows)[0] == 1


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 6), st.none() | st.integers(0, 4), st.sampled_from("pq")), max_size=15
    ),
    st.booleans(),
    st.booleans(),
)
def test_monotonic_breaks_where_a_model_says(rows: list[Any], falls: bool, strictly: bool) -> None:
    value = {"column": "v", "by": "o", "per": "g", "falls": falls, "strictly": strictly}
    (rule,) = check("monotonic", value).rules(columns_of({"o": "BIGINT", "v": "BIGINT", "g": "VARCHAR"}))
    assert rule.quarantines is False
    expected = 0
    for group in "pq":
        known = [(at, v) for at, v, g in rows if g == group and None not in (at, v)]
        known.sort(key=lambda each: (each[0], -each[1] if falls else each[1]))
        for (_, before), (_, after) in pairwise(known):
            step = before - after if falls else after - before
            expected += step < 0 or (strictly and step == 0)
    lines = ", ".join(f"({literal(at)}::BIGINT, {literal(v)}::BIGINT, {literal(g)})" for at, v, g in rows)
    source = (
        f"(VALUES {lines}) AS s(o, v, g)" if lines else "(SELECT NULL::BIGINT AS o, NULL::BIGINT AS v, '' AS g LIMIT 0)"
    )
    assert duckdb.execute(
        f"SELECT count(*) FROM (SELECT {rule.violation} AS bad FROM {source}) WHERE bad"
    ).fetchone() == (expected,)


def psi(before: list[int], now: list[int]) -> float:
    """The textbook sum over classes."""
    pairs = [(max(b / sum(before), 0.0001), max(c / sum(now), 0.0001)) for b, c in zip(before, now, strict=True)]
    return sum((p - q) * math.log(p / q) for q, p in pairs)


def told(sentence: str) -> float:
    """The number in 'psi of x is 0.1234 against ...'."""
    return float(sentence.split(" is ")[1].split(" ")[0])


def test_psi_of_texts_is_that_of_the_textbook() -> None:
    before, now = ["a"] * 50 + ["b"] * 30 + ["c"] * 20, ["a"] * 30 + ["b"] * 30 + ["d"] * 40
    value = {"column": "t", "max": 0.1}
    count, sentence = judged("drift", value, {"t": "VARCHAR"}, [(t,) for t in now], [(t,) for t in before])
    # Classes a, b, c and the rest: c is gone, d is new.
    assert told(sentence) == pytest.approx(psi([50, 30, 20, 0], [30, 30, 0, 40]), abs=1e-4)
    assert (count, sentence.partition(" against ")[2]) == (
        1,
        "that of the last load (100 values then, 100 now), allowed is 0.1",
    )


@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
def test_psi_and_ks_of_numbers_are_those_of_other_implementations(shift: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    import numpy as np

    draw = random.Random(7)
    before = [draw.gauss(0, 1) for _ in range(600)]
    now = [draw.gauss(shift, 1) for _ in range(450)]
    rows, loads = [(v,) for v in [*now, None]], [[(v,) for v in before]]
    count, sentence = judged("drift", {"column": "f"}, {"f": "DOUBLE"}, rows, *loads)
    edges = np.quantile(before, [place / 10 for place in range(1, 10)], method="inverted_cdf")
    classes = [list(map(int, np.bincount(np.searchsorted(edges, each), minlength=10))) for each in (before, now)]
    assert told(sentence) == pytest.approx(psi(*classes), abs=1e-4)
    assert count == (told(sentence) > 0.2)
    count, sentence = judged("drift", {"column": "f", "method": "ks"}, {"f": "DOUBLE"}, rows, *loads)
    exact = stats.ks_2samp(before, now).statistic
    # At the hundredths of one distribution no step of it is greater than 0.01.
    assert exact - 0.011 <= told(sentence) <= exact + 1e-4
    assert count == (told(sentence) > 0.1)


def test_what_drift_compares_with() -> None:
    first, last, now = [(v,) for v in range(100)], [(v + 500,) for v in range(100)], [(v,) for v in range(100)]
    types = {"n": "BIGINT"}
    assert judged("drift", {"column": "n", "against": "first"}, types, now, first, last)[0] == 0
    assert judged("drift", {"column": "n"}, types, now, first, last)[0] == 1
    # Nothing before, nothing now, and one value only.
    assert judged("drift", {"column": "n"}, types, now) == (0, "n: there is nothing to compare")
    assert judged("drift", {"column": "n"}, types, [], first) == (0, "n: there is nothing to compare")
    assert judged("drift", {"column": "n"}, types, [(1,), (None,)], [(1,)] * 9)[0] == 0
    made = check("drift", {"column": "n", "against": "raw.known.m"})
    assert made.upstream() == ("raw.known",)
    (rule,) = made.rules(columns_of(types))
    assert (rule.measures, rule.reads_history) == (None, False)
    with staged(types, now) as connection:
        connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.known AS SELECT range + 50 AS m FROM range(100)")
        assert failing(connection, rule)[0] == 1


@pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE", "BOOLEAN", "DECIMAL(9,2)"])
def test_drift_of_other_kinds(kind: str) -> None:
    values: dict[str, Any] = {
        "TIMESTAMP": [datetime(2024, 1, 1) + timedelta(hours=place) for place in range(50)],
        "DATE": [date(2024, 1, 1) + timedelta(days=place) for place in range(50)],
        "BOOLEAN": [place % 2 == 0 for place in range(50)],
        "DECIMAL(9,2)": [place / 4 for place in range(50)],
    }
    same = [(value,) for value in values[kind]]
    other = [(values[kind][0],)] * 50
    assert judged("drift", {"column": "x"}, {"x": kind}, same, same)[0] == 0
    assert judged("drift", {"column": "x"}, {"x": kind}, other, same)[0] == 1


def test_classes_are_kept_as_json_of_few_bytes() -> None:
    (rule,) = check("drift", {"column": "t"}).rules(columns_of({"t": "VARCHAR"}))
    with staged({"t": "VARCHAR"}, [(f"v{place % 70}",) for place in range(140)]) as connection:
        ((_, column, value, detail),) = connection.execute(str(rule.measures)).fetchall()
    kept = json.loads(detail)
    # 70 values, each twice: 50 have a class of their own, 20 share one.
    assert (column, value, len(kept["values"]), kept["rest"]) == ("t", 140.0, 50, 40)


def test_anomalies_of_the_number_of_rows() -> None:
    loads = [[(1,)] * count for count in (100, 102, 98, 101, 99, 100, 103, 97, 100)]
    types = {"n": "BIGINT"}
    # The median of nine loads is 100; from the 5th to the 95th percentile it is 97.4 to 102.6: 4 * 5.2 / 3.29 = 6.3.
    count, sentence = judged("anomaly", {}, types, [(1,)] * 60, *loads)
    assert (count, sentence[:24]) == (1, "rows 60, expected 93.70 ")
    assert judged("anomaly", {}, types, [(1,)] * 101, *loads)[0] == 0
    assert judged("anomaly", {"detector": {"robust_z": {"side": "above"}}}, types, [(1,)] * 60, *loads)[0] == 0
    # Too little is known, or nothing came.
    assert judged("anomaly", {}, types, [(1,)] * 60, *loads[:3])[1] == "rows 60, too little of the past is known"
    assert judged("anomaly", {}, types, [], *loads)[0] == 1


def test_anomalies_of_a_metric_of_a_column() -> None:
    loads = [[(value,), (value + 2,)] for value in (10, 11, 9, 10, 12, 10, 9, 11, 10)]
    types = {"n": "BIGINT"}
    value = {"metric": "mean", "column": "n", "detector": {"z_score": {"threshold": 4}}}
    assert judged("anomaly", value, types, [(11,), (12,)], *loads)[0] == 0
    count, sentence = judged("anomaly", value, types, [(50,)], *loads)
    assert (count, sentence[:13]) == (1, "mean of n 50,")
    # No rows have no mean, and the last load's is not taken for it.
    assert judged("anomaly", value, types, [], *loads) == (0, "mean of n: there is nothing to judge")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("statistic", {"column": "n", "of": "mean"}, "check.bounds"),
        ("statistic", {"column": "n", "of": "mean", "min": 2, "max": 1}, "check.bounds"),
        ("statistic", {"column": "t", "of": "mean", "min": 1}, "check.type"),
        ("statistic", {"column": "n", "of": "quantile", "min": 1}, "check.quantile"),
        ("statistic", {"column": "n", "of": "mean", "quantile": 0.5, "min": 1}, "check.quantile"),
        ("distinct_count", {"columns": "n"}, "check.bounds"),
        ("null_share", {"column": "n", "max": "150%"}, "check.share"),
        ("null_share", {"column": "n", "max": "few"}, "check.share"),
        ("row_count", {"max_decrease": "150%"}, "check.share"),
        ("freshness", {"column": "d", "max_age": "soon"}, "check.duration"),
        ("freshness", {"column": "d", "max_age": "1d", "zone": "Mars/Base"}, "check.zone"),
        ("freshness", {"column": "n", "max_age": "1d"}, "check.type"),
        ("monotonic", {"column": "n", "by": "zz"}, "column.unknown"),
        ("drift", {"column": "n", "against": "yesterday"}, "check.against"),
        ("drift", {"column": "t", "method": "ks"}, "check.type"),
        ("anomaly", {"metric": "mean"}, "check.anomaly"),
        ("anomaly", {"column": "n"}, "check.anomaly"),
        ("anomaly", {"metric": "mean", "column": "t"}, "check.type"),
        ("anomaly", {"detector": "guess"}, "detector.unknown"),
        ("anomaly", {"detector": {"z_score": {"treshold": 3}}}, "check.anomaly"),
        ("custom_sql", {}, "check.sql"),
        ("custom_sql", {"rows": "select * from staged", "verdict": "select 0, '' from staged"}, "check.sql"),
        ("custom_sql", {"rows": "select * from input"}, "sql.refused"),
        ("custom_sql", {"rows": "drop table staged"}, "sql.refused"),
        ("custom_sql", {"rows": "select * from read_csv('/etc/passwd')"}, "sql.refused"),
        ("custom_sql", {"rows": "select * from staged where zz > 1"}, "check.sql"),
        ("custom_python", {"function": "tests.checks.no_such:thing"}, "path.module"),
        ("custom_python", {"function": "tests.checks.test_set_rules:HISTORY"}, "check.function"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: Any, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(name, value).rules(columns_of(NUMBERS))
    assert caught.value.code == code
    assert caught.value.fix
