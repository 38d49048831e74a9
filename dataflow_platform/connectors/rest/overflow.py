"""Fields and values that do not fit the settled columns, kept as JSON beside them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from dataflow_platform.connectors.rest import batches
from dataflow_platform.connectors.rest.batches import Field, Row

_FITTING: dict[str, tuple[type, ...]] = {
    "VARCHAR": (str,),
    "BOOLEAN": (bool,),
    "BIGINT": (int,),
    "DOUBLE": (int, float, Decimal),
}


def fitted(rows: Sequence[Row], fields: Sequence[Field], column: str) -> list[Row]:
    """``rows`` with everything that no column takes as one object in ``column``; null where all fits.

    Of inferred columns values of another type go there as well; a declared type is kept to.
    """
    known = {field.name for field in fields}
    inferred = [(field.name, _FITTING[field.kind]) for field in fields if not field.declared and field.kind in _FITTING]
    return [_fitted(row, known, inferred, column) for row in rows]


def _fitted(row: Row, known: set[str], inferred: list[tuple[str, tuple[type, ...]]], column: str) -> Row:
    left: dict[str, Any] = {}
    if not row.keys() <= known:
        left = {name: value for name, value in row.items() if name not in known}
    for name, kinds in inferred:
        value = row.get(name)
        if value is not None and (type(value) not in kinds or (type(value) is int and not _fits(value, kinds))):
            left[name] = value
    if not left:
        return row
    kept: dict[str, Any] = {name: value for name, value in row.items() if name not in left}
    kept[column] = left
    return kept


def _fits(value: int, kinds: tuple[type, ...]) -> bool:
    return abs(value) <= 2**53 if float in kinds else -(2**63) <= value < 2**63


def tolerant(rows: Sequence[Row], declared: Mapping[str, str], remembered: Mapping[str, str]) -> list[Row]:
    """Sample rows without the values on whose type they disagree: the first type seen of a column is its type."""
    first = dict(remembered)
    kept: list[Row] = []
    for row in rows:
        agreed = {}
        for name, value in row.items():
            kind = batches.kind_of(value)
            if kind is None or name in declared or _agree(first.setdefault(name, kind), kind, first, name):
                agreed[name] = value
        kept.append(agreed)
    return kept


def _agree(known: str, kind: str, first: dict[str, str], name: str) -> bool:
    if {known, kind} == {"BIGINT", "DOUBLE"}:
        first[name] = "DOUBLE"
        return True
    return known == kind
