"""Keys proved distinct by a bitmap: never where one comes twice, and never where a value is missing."""

import dataclasses
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.connectors.duckdb.destination import DuckDBSession
from dataflow_platform.core.base import LoadPlan, Table
from dataflow_platform.engine import distinct_keys

STAGED = Table("main", "b")
PLAN = LoadPlan(STAGED, STAGED, STAGED, ("k", "n"), ("k", "n"), None, False, datetime(2026, 1, 1, tzinfo=UTC))


def proved(kind: str, rows: list[tuple[int | None, int]], columns: tuple[str, ...] = ("k",)) -> bool:
    """The answer for a stage with the columns ``k`` (of type ``kind``) and ``n``."""
    session = DuckDBSession(duckdb.connect())
    try:
        session.execute(f"CREATE TABLE b (k {kind}, n INTEGER)")
        for k, n in rows:
            session.execute(f"INSERT INTO b VALUES ({'NULL' if k is None else k}, {n})")
        return distinct_keys.proved(session, dataclasses.replace(PLAN, types=(kind, "INTEGER")), columns)
    finally:
        session.close()


@pytest.mark.parametrize("kind", ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "UINTEGER", "UBIGINT"])
def test_numbers_one_after_another_are_proved_distinct(kind: str) -> None:
    assert proved(kind, [(3, 0), (1, 0), (2, 0)])
    assert not proved(kind, [(3, 0), (1, 0), (3, 0)])


def test_ends_of_the_range() -> None:
    """The least and greatest BIGINT lie too far apart for a bitmap; near each end one works."""
    least, most = -(2**63), 2**63 - 1
    assert not proved("BIGINT", [(least, 0), (most, 0)])
    assert proved("BIGINT", [(least, 0), (least + 2, 0)])
    assert proved("BIGINT", [(most, 0), (most - 1, 0)])
    assert proved("UBIGINT", [(2**64 - 1, 0), (2**64 - 2, 0)])


def test_one_column_of_several_is_enough() -> None:
    assert proved("INTEGER", [(1, 1), (1, 2)], ("k", "n"))


def test_a_missing_value_proves_nothing() -> None:
    assert not proved("INTEGER", [(1, 0), (None, 0)])
    assert not proved("INTEGER", [(None, 0)])


def test_texts_are_left_to_the_statement() -> None:
    assert not proved("VARCHAR", [(1, 0), (2, 0)])


def test_no_rows() -> None:
    assert proved("INTEGER", [])


@given(st.lists(st.one_of(st.none(), st.integers(-40, 40)), max_size=12))
def test_never_wrong(keys: list[int | None]) -> None:
    """64 numbers a row are within reach of the bitmap: it answers for each of these lists of two rows and more."""
    distinct = None not in keys and len(set(keys)) == len(keys)
    answer = proved("INTEGER", [(key, 0) for key in keys])
    assert answer == distinct or (distinct and len(keys) < 2)
