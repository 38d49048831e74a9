"""Values as drivers hand them out -> Arrow: exact, or refused."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dataflow_platform.connectors._sql.kinds import arrow_type
from dataflow_platform.connectors._sql.values import Column, array
from dataflow_platform.core.errors import DataError

NOON = dt.datetime(2020, 1, 1, 12)
EAST = dt.timezone(dt.timedelta(hours=5))


def made(kind: str, *values: Any) -> list[Any]:
    return list(array(values, Column("c", kind), arrow_type(kind), "here").to_pylist())


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("BIGINT", (Decimal(2), None, 3), [2, None, 3]),
        ("DECIMAL(5,2)", (Decimal("1E+2"), "1.5", None), None),  # text and number together
        ("DECIMAL(5,2)", ("1.5", None), [Decimal("1.50"), None]),
        ("BOOLEAN", (1, 0, None), [True, False, None]),
        ("BLOB", (memoryview(b"a"), bytearray(b"b")), [b"a", b"b"]),
        ("DATE", (dt.datetime(2020, 1, 1), dt.date(2020, 1, 2)), [dt.date(2020, 1, 1), dt.date(2020, 1, 2)]),
        ("TIMESTAMPTZ", (NOON.replace(tzinfo=EAST),), [dt.datetime(2020, 1, 1, 7, tzinfo=dt.UTC)]),
        ("NUMBER", (Decimal("1E+3"), 10**40, "0.10", Decimal("NaN")), ["1000", str(10**40), "0.10", "NaN"]),
        ("UUID", (UUID(int=1), "0" * 31 + "2"), [str(UUID(int=1)), str(UUID(int=2))]),
        ("JSON", ({"a": [1, Decimal("1.10")]}, "[ 1]"), ['{"a":[1,"1.10"]}', "[ 1]"]),
        ("TIME", ("01:02:03.1234560",), [dt.time(1, 2, 3, 123456)]),
    ],
)
def test_what_is_kept(kind: str, given: tuple[Any, ...], kept: list[Any] | None) -> None:
    if kept is None:
        kept = [Decimal("100.00"), Decimal("1.50"), None]
    assert made(kind, *given) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("BIGINT", True),
        ("BIGINT", 1.0),
        ("BIGINT", Decimal("1.5")),
        ("BIGINT", 2**63),
        ("UTINYINT", 256),
        ("DECIMAL(5,2)", 1.5),
        ("DECIMAL(5,2)", Decimal("1.234")),
        ("DECIMAL(5,2)", Decimal(12345)),
        ("DECIMAL(5,2)", Decimal("NaN")),
        ("DOUBLE", Decimal("0.1")),
        ("DOUBLE", 2**53 + 1),
        ("VARCHAR", b"a"),
        ("VARCHAR", 1),
        ("DATE", NOON),
        ("TIMESTAMP", NOON.replace(tzinfo=EAST)),
        ("TIMESTAMP", dt.date(2020, 1, 1)),
        ("TIMESTAMPTZ", NOON),
        ("TIME", dt.time(1, tzinfo=EAST)),
        ("TIME", dt.timedelta(hours=25)),
        ("UUID", "no uuid"),
        ("NUMBER", 0.5),
        ("JSON", {"a": dt.date.max}),  # what drivers make of infinity
        ("JSON", [float("nan")]),
    ],
)
def test_what_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(DataError) as caught:
        made(kind, None, value)
    assert caught.value.code == "sql.value"
    assert "column 'c'" in caught.value.what
