"""Drift between two profiles: PSI by its definition, missing and new values, types, what is left alone."""

import math

import duckdb
import pytest

from dataflow_platform.engine import profile
from dataflow_platform.engine.profile import TableProfile
from dataflow_platform.engine.profile_columns import QUANTILES, ColumnProfile, Share
from dataflow_platform.engine.profile_drift import ColumnDrift, drift, psi


def profiled(select: str) -> TableProfile:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS {select}")
        return profile.taken(connection, "t")


def moved(before: str, now: str) -> dict[str, ColumnDrift]:
    return {each.name: each for each in drift(profiled(before), profiled(now), "then").columns}


def test_the_index_of_few_values_is_that_of_its_definition() -> None:
    def column(**shares: float) -> ColumnProfile:
        return ColumnProfile("x", "VARCHAR", "text", 0, len(shares), top=tuple(Share(*each) for each in shares.items()))

    # (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5) = 0.1695
    assert psi(column(a=0.5, b=0.5), column(a=0.7, b=0.3), 100) == pytest.approx(0.1695, abs=1e-4)
    assert psi(column(a=0.5, b=0.5), column(a=0.5, b=0.5), 100) == 0
    # A value that is new counts as one part in ten thousand before.
    gone = 0.2 * math.log(0.2 / 1e-4) - 1e-4 * math.log(0.2 / 1e-4) + 2 * (0.4 - 0.5) * math.log(0.4 / 0.5)
    assert psi(column(a=0.5, b=0.5), column(a=0.4, b=0.4, c=0.2), 100) == pytest.approx(gone)


def test_the_index_of_numbers_is_over_the_old_quantiles() -> None:
    def column(low: float, high: float) -> ColumnProfile:
        ranks = tuple(low + (high - low) * share for share in QUANTILES)
        return ColumnProfile("x", "DOUBLE", "number", 0, 500, quantiles=ranks, top=(Share("1", 0.01),))

    assert psi(column(0, 100), column(0, 100), 1000) == pytest.approx(0)
    # Half as wide: each of the lower ten parts of 5 % now holds 10 %, the upper ten nothing (one part in ten thousand).
    halved = 10 * 0.05 * math.log(2) + 10 * (1e-4 - 0.05) * math.log(1e-4 / 0.05)
    assert psi(column(0, 100), column(0, 50), 1000) == pytest.approx(halved)


def test_two_draws_of_the_same_rows_do_not_drift() -> None:
    rows = (
        "SELECT i AS id, (hash(i + {seed}) % 1000)::INTEGER AS n, sqrt(hash(i * 7 + {seed}) % 100000) AS skewed, "
        "'s' || (hash(i * 3 + {seed}) % 8) AS state, "
        "CASE WHEN hash(i * 5 + {seed}) % 10 > 3 THEN 0 ELSE i END AS zeros, "
        "'name ' || hash(i + {seed}) AS name, TIMESTAMP '2026-01-01' + to_seconds(i + {seed}) AS happened "
        "FROM range(60000) AS r(i)"
    )
    found = moved(rows.format(seed=0), rows.format(seed=1_000_003))
    assert {name: each.words() for name, each in found.items() if each.moved} == {}
    assert {name for name, each in found.items() if each.psi is None} == {"id", "name", "happened"}


def test_what_moved_is_told() -> None:
    found = moved(
        "SELECT i % 4 AS n, CASE WHEN i % 100 = 0 THEN NULL ELSE i % 50 END AS holes, "
        "['new', 'paid'][1 + i % 2] AS state, i % 900 AS value FROM range(2000) AS r(i)",
        "SELECT CAST(i % 4 AS VARCHAR) AS n, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 50 END AS holes, "
        "['new', 'lost'][1 + i % 2] AS state, i % 900 + 450 AS value FROM range(2000) AS r(i)",
    )
    assert found["n"].words() == ["type BIGINT is now VARCHAR"]
    assert found["holes"].nulls == (0.01, 0.2)
    assert "missing values 1.0% are now 20.0%" in found["holes"].words()
    assert (found["state"].new_values, found["state"].lost_values) == (("lost",), ("paid",))
    assert found["value"].words()[0].startswith("its distribution moved a lot (PSI ")


def test_columns_that_come_and_go_and_rows() -> None:
    before, now = profiled("SELECT 1 AS a, 2 AS b"), profiled("SELECT 1 AS a, 3 AS c FROM range(2)")
    found = drift(before, now, "then")
    assert found.words() == ["rows 1 are now 2 (+100.0%)", "new column c", "column b is gone"]
    assert drift(now, now, "then").words() == []
    nothing = profiled("SELECT 1 AS a WHERE false")
    assert drift(nothing, now, "then").words() == ["rows 0 are now 2", "new column c"]
    assert drift(now, nothing, "then").words() == ["rows 2 are now 0 (-100.0%)", "column c is gone"]
