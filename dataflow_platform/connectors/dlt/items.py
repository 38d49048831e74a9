"""What dlt's resources yield, as records of plain values, and what columns they make."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from dataflow_platform.core.errors import DataError

Row = dict[str, Any]
_PLAIN = frozenset({type(None), bool, int, float, Decimal, str, bytes, date, datetime, dict, list})
_KINDS: dict[type, str] = {
    bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", date: "DATE", bytes: "BLOB", dict: "JSON",
    list: "JSON",
}  # fmt: skip
_HINTS = {
    "text": "VARCHAR", "double": "DOUBLE", "bool": "BOOLEAN", "bigint": "BIGINT", "binary": "BLOB", "json": "JSON",
    "date": "DATE", "time": "VARCHAR", "wei": "DECIMAL(38,0)",
}  # fmt: skip


def records(item: Any, stream: str) -> Iterator[Row]:
    """The records of one item: a mapping, a pydantic model, an Arrow table or a data frame."""
    if isinstance(item, Mapping):
        yield {str(name): value if type(value) in _PLAIN else plain(value) for name, value in item.items()}
        return
    if hasattr(item, "model_dump"):
        yield from records(item.model_dump(), stream)
    elif hasattr(item, "to_pylist"):
        for row in item.to_pylist():
            yield from records(row, stream)
    elif hasattr(item, "to_dict") and hasattr(item, "columns"):
        import pyarrow as pa

        yield from records(pa.Table.from_pandas(item, preserve_index=False), stream)
    else:
        raise DataError(
            "dlt.item", f"'{stream}' yielded a {type(item).__name__}, which is no record", where=f"resource {stream}",
            fix="let the resource yield dicts, lists of them, Arrow tables or data frames",
        )  # fmt: skip


def plain(value: Any) -> Any:
    """A value of a type of its own as one that columns know; TypeError by the column where there is none."""
    if isinstance(value, datetime):
        if getattr(value, "nanosecond", 0):
            return str(value)  # no column of times keeps it: it is refused there, and exact in a text
        parts = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
        return datetime(*parts, tzinfo=value.tzinfo, fold=value.fold)
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def hinted(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The kinds of the columns that dlt's hints give a type."""
    found = {}
    for name, hint in columns.items():
        kind = hint.get("data_type")
        if kind == "decimal":
            found[name] = f"DECIMAL({hint.get('precision') or 38},{hint.get('scale') or 9})"
        elif kind == "timestamp":
            found[name] = "TIMESTAMP" if hint.get("timezone") is False else "TIMESTAMPTZ"
        elif kind in _HINTS:
            found[name] = _HINTS[kind]
    return found


def inferred(rows: Sequence[Row], known: Mapping[str, str], stream: str) -> dict[str, str]:
    """The kinds of all columns: ``known`` ones, and those that ``rows`` show; DataError where values disagree."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in known:
                seen.setdefault(name, set()).update(() if value is None else (_kind(value),))
    return {**known, **{name: _one(name, kinds, stream) for name, kinds in seen.items()}}


def _kind(value: Any) -> str:
    if isinstance(value, datetime):
        return "TIMESTAMP" if value.tzinfo is None else "TIMESTAMPTZ"
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return f"DECIMAL(38,{max(0, -exponent)})" if isinstance(exponent, int) else "VARCHAR"
    return _KINDS.get(type(value), "VARCHAR")


def _one(name: str, kinds: Iterable[str], stream: str) -> str:
    found = set(kinds)
    if found == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    decimals = sorted((kind for kind in found if kind.startswith("DECIMAL")), key=lambda kind: (len(kind), kind))
    if decimals and found <= {*decimals, "BIGINT"}:
        return decimals[-1]
    if len(found) > 1:
        raise DataError(
            "dlt.type", f"column '{name}' of '{stream}' has values of several types: {', '.join(sorted(found))}",
            where=f"resource {stream}", fix=f"declare what fits: columns: {{{name}: JSON}} takes any value",
        )  # fmt: skip
    return found.pop() if found else "VARCHAR"
