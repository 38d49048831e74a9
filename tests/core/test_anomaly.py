"""Detectors: what each expects, computed anew in Python; that none looks ahead; what they say."""

import itertools
import math
import statistics
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dataflow_platform.core import anomaly
from dataflow_platform.core.anomaly.series import bucketed
from dataflow_platform.core.anomaly.words import explained
from dataflow_platform.core.errors import ConfigError

MONDAY = datetime(2026, 1, 5)  # the 5th of January 2026 is a Monday
NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=3, max_size=40)
ENGINE = duckdb.connect(config={"threads": "1"})
Point = dict[str, Any]


def judged(values: list[float], detector: anomaly.Detector, step: timedelta = timedelta(hours=6)) -> list[Point]:
    rows = ", ".join(f"(TIMESTAMP '{MONDAY + step * n}', {value!r}::DOUBLE)" for n, value in enumerate(values))
    series = f"(SELECT * FROM (VALUES {rows}) AS v(moment, value))"
    answer = ENGINE.execute(f"SELECT * FROM ({explained(detector, series, 'rows')}) ORDER BY moment")
    names = [column[0] for column in answer.description or ()]
    assert names == [*anomaly.JUDGED, "sentence"]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def weighted(past: list[float], alpha: float) -> float:
    weights = [(1 - alpha) ** age for age in range(len(past))][::-1]
    return sum(w * value for w, value in zip(weights, past, strict=True)) / sum(weights)


def by_hand(name: str, values: list[float], place: int) -> tuple[float, float]:
    """Expected value and spread for the point at ``place``, from the definitions; window 5, alpha 0.3, hours."""
    past = values[:place]
    if name == "ewma":
        errors = [(values[n] - weighted(values[:n], 0.3)) ** 2 for n in range(1, place)]
        return weighted(past, 0.3), math.sqrt(weighted(errors, 0.3))
    if name == "seasonal":
        past = values[place % 4 : place : 4]  # four points a day: the same hour is every fourth
    if name == "change_point":
        past = values[max(place - 7 + 1, 0) : place - 2 + 1]  # five points before the two newest
    if name in ("sliding_window", "robust_z"):
        past = past[-5:]
    if name != "robust_z":
        return statistics.fmean(past), statistics.stdev(past) if len(past) > 1 else 0.0
    middle = statistics.median(past)
    ranked = sorted(past)

    def quantile(share: float) -> float:
        at = share * (len(ranked) - 1)
        low = math.floor(at)
        return ranked[low] + (ranked[min(low + 1, len(ranked) - 1)] - ranked[low]) * (at - low)

    mad = statistics.median(abs(value - middle) for value in past)
    return middle, max(1.4826 * mad, (quantile(0.95) - quantile(0.05)) / 3.29)


SMALL: dict[str, dict[str, Any]] = {
    "z_score": {}, "sliding_window": {"window": 5}, "robust_z": {"window": 5}, "ewma": {"alpha": 0.3},
    "seasonal": {"season": "hour"}, "change_point": {"window": 5, "recent": 2},
}  # fmt: skip


def test_every_detector_is_tried() -> None:
    assert sorted(SMALL) == anomaly.names()


@pytest.mark.parametrize("name", anomaly.names())
@settings(max_examples=15, deadline=None)
@given(values=NUMBERS)
def test_the_sql_says_what_the_definition_says(name: str, values: list[float]) -> None:
    detector = anomaly.detector(name, least=2, threshold=2, tolerance=0, **SMALL[name])
    compared = 0
    for place, point in enumerate(judged(values, detector)):
        if point["expected"] is None:
            assert point["is_anomaly"] is None
            continue
        expected, spread = by_hand(name, values, place)
        near = max(map(abs, values)) * 1e-6 + 1e-9
        assert point["expected"] == pytest.approx(expected, abs=near)
        assert point["high"] - point["low"] == pytest.approx(4 * spread, abs=max(near, 1e-2 * spread))
        off = abs(point["observed"] - point["expected"])
        assert point["is_anomaly"] == (off > (point["high"] - point["low"]) / 2 + near) or off == pytest.approx(
            (point["high"] - point["low"]) / 2, abs=2 * near
        )
        compared += 1
    # Ten points of the past are more than any of the small windows asks for.
    assert compared > 0 or len(values) < 10


@pytest.mark.parametrize("name", anomaly.names())
@settings(max_examples=10, deadline=None)
@given(values=NUMBERS, later=NUMBERS)
def test_what_comes_later_changes_no_judgement(name: str, values: list[float], later: list[float]) -> None:
    detector = anomaly.detector(name, least=2, in_a_row=2, **SMALL[name])
    before, after = judged(values, detector), judged(values + later, detector)[: len(values)]
    for known, again in zip(before, after, strict=True):
        assert known["is_anomaly"] == again["is_anomaly"]
        assert (known["expected"] is None) == (again["expected"] is None)
        assert known["expected"] is None or known["expected"] == pytest.approx(again["expected"], rel=1e-9, abs=1e-6)


def test_a_weighted_average_survives_more_points_than_a_power_can_be_raised_to() -> None:
    # 1.0 / 0.5 to the power of 1,100 is beyond the greatest double; the level moves once, the average follows.
    points = judged([1.0] * 1100 + [2.0] * 1100, anomaly.detector("ewma", alpha=0.5))
    assert points[1099]["expected"] == pytest.approx(1)
    assert [point["is_anomaly"] for point in points[1099:1101]] == [False, True]
    assert points[-1]["expected"] == pytest.approx(2)


def test_a_weighted_average_is_the_same_over_many_blocks() -> None:
    # Weights of alpha 0.3 begin anew every 78 points; the level of each block is another.
    values = [math.sin(n) + 10 * (n // 78) for n in range(300)]
    points = judged(values, anomaly.detector("ewma", alpha=0.3, tolerance=0, threshold=2))
    for place in (70, 77, 78, 79, 90, 155, 156, 157, 233, 234, 235, 299):
        expected, spread = by_hand("ewma", values, place)
        assert points[place]["expected"] == pytest.approx(expected, rel=1e-9)
        assert points[place]["high"] - points[place]["low"] == pytest.approx(4 * spread, rel=1e-6)


def test_an_anomaly_is_told_in_words_a_person_reads() -> None:
    # Six Mondays with 9,500 to 10,500 rows, the other days 3,000; the seventh Monday has 2,113: few for a Monday only.
    weeks = [[float(monday), *[3000.0] * 6] for monday in (9500, 10500, 10000, 9800, 10200, 10000)]
    detector = anomaly.detector("seasonal", season="day_of_week", least=5, threshold=3)
    points = judged([*itertools.chain(*weeks), 2113.0], detector, timedelta(days=1))
    assert [point["is_anomaly"] for point in points].count(True) == 1
    # Mean 10,000 and standard deviation 340.6: three of them make 1,022.
    assert points[-1]["sentence"] == "rows 2,113, expected 8,980 to 11,020 for a Monday"
    assert points[3]["sentence"] == "rows 3,000, too little of the past is known"
    assert points[-2]["is_anomaly"] is False


def test_a_level_that_moved_is_told_as_one() -> None:
    values = [10.0, 11.0] * 20 + [20.0] * 5
    points = judged(values, anomaly.detector("change_point"))
    assert points[40]["is_anomaly"] is False  # one point is a spike
    assert points[-1]["is_anomaly"] is True
    assert points[-1]["sentence"].startswith("rows median of the last 5 points 20, expected ")


def test_side_tolerance_and_points_in_a_row() -> None:
    steady = [100.0] * 10
    assert judged([*steady, 101.0], anomaly.detector("z_score"))[-1]["is_anomaly"] is False  # 1 % is tolerated
    assert judged([*steady, 102.0], anomaly.detector("z_score"))[-1]["is_anomaly"] is True
    assert judged([*steady, 102.0], anomaly.detector("z_score", side="below"))[-1]["is_anomaly"] is False
    assert judged([*steady, 90.0], anomaly.detector("z_score", side="below"))[-1]["is_anomaly"] is True
    twice = [point["is_anomaly"] for point in judged([*steady, 500.0, 500.0], anomaly.detector("robust_z", in_a_row=2))]
    assert twice[-2:] == [False, True]
    assert judged([0.0] * 10 + [0.001], anomaly.detector("z_score"))[-1]["score"] == 1e6  # nothing ever varied


def test_values_that_are_no_numbers_are_left_out() -> None:
    with duckdb.connect() as connection:
        series = "(SELECT TIMESTAMP '2026-01-01' + to_hours(n) AS moment, CASE n WHEN 3 THEN NULL WHEN 4 THEN 'nan' "
        series += "WHEN 5 THEN 'inf' ELSE '7' END::DOUBLE AS value FROM range(20) AS r(n))"
        for name in anomaly.names():
            rows = connection.execute(anomaly.detector(name).judged(series)).fetchall()
            assert len(rows) == 17  # 20 without NULL, NaN and infinity
            assert not any(row[-1] for row in rows)


def test_a_span_without_rows_has_none() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT TIMESTAMPTZ '2026-01-01 00:10:00+00' AS at_time, 4 AS x")
        connection.execute("INSERT INTO t VALUES ('2026-01-01 03:59:00+00', 6), ('2026-01-01 03:10:00+00', NULL)")
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"FROM {bucketed('t', None, 'at_time', 'hour', 'rows')} ORDER BY 1").fetchall()
        assert [value for _, value in rows] == [1, 0, 0, 2]
        means = connection.execute(f"FROM {bucketed('t', 'x', 'at_time', 'hour', 'mean')} ORDER BY 1").fetchall()
        assert [(moment.hour, value) for moment, value in means] == [(0, 4), (3, 6)]
        nulls = connection.execute(f"FROM {bucketed('t', 'x', 'at_time', 'day', 'null_share')}").fetchall()
        assert nulls == [(datetime(2026, 1, 1), pytest.approx(1 / 3))]


def test_wrong_names_and_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown detector 'z_scor'"):
        anomaly.detector("z_scor")
    with pytest.raises(ValidationError):
        anomaly.detector("ewma", alpha=2)
    with pytest.raises(ValidationError):
        anomaly.detector("z_score", window=5)
