"""Columns as the schema sees them: a missing value counts as the default, another type as what it would be read as.

Nothing of that is published: a check changes no data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataflow_platform.checks import family, value_for
from dataflow_platform.checks.pandera import dtypes
from dataflow_platform.checks.pandera.declared import Declared
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError


@dataclass(frozen=True)
class Seen:
    """A column with the SQL of its value as the schema sees it. ``unread``: TRUE where it cannot be coerced."""

    column: Column
    value: str
    unread: str | None = None
    dtype: Any = None

    @property
    def name(self) -> str:
        """The column's name in the stage."""
        return self.column.name

    @property
    def missing(self) -> str:
        """SQL, TRUE where there is no value; NaN is none, one that cannot be coerced is one."""
        absent = f"{self.value} IS NULL OR isnan({self.value})" if self.is_float else f"{self.value} IS NULL"
        return f"({absent}) AND NOT ({self.unread})" if self.unread else absent

    @property
    def key(self) -> str:
        """SQL of what tells values apart; a value that cannot be coerced is told apart as it came."""
        if self.unread is None:
            return self.value
        return f"coalesce(CAST({self.value} AS VARCHAR), CAST({sql.quote(self.name)} AS VARCHAR))"

    @property
    def is_float(self) -> bool:
        """True where a value may be NaN."""
        return family(self.column.type) == "float"


def seen(declared: Declared, column: Column, asked: Any = None) -> Seen:
    """``column`` as ``asked`` of it by the schema of one column; None: the schema does not name it."""
    dtype = declared.schema.dtype or (asked.dtype if asked is not None else None)
    coerced = _coerced(declared, column, asked, dtype)
    default = getattr(asked, "default", None)
    if type(default).__module__.startswith("polars"):
        raise ConfigError(
            "pandera.unsupported", f"the default of column '{column.name}' is an expression", where=column.name,
            fix="give it as a value",
        )  # fmt: skip
    if default is None or default != default:
        return coerced
    filled = f"nullif({coerced.value}, CAST('NaN' AS {coerced.column.type}))" if coerced.is_float else coerced.value
    value = f"coalesce({filled}, {value_for(plain(default), coerced.column)})"
    return Seen(coerced.column, value, coerced.unread, dtype)


def every(declared: Declared, columns: Sequence[Column]) -> list[Seen]:
    """All columns that checks of the whole frame see."""
    found = []
    for column in columns:
        asked = next((each for each in declared.asked() if column in each.matching(columns)), None)
        if asked is not None or declared.schema.strict != "filter":
            found.append(seen(declared, column, asked and asked.schema))
    return found


def plain(value: Any) -> Any:
    """numpy scalars as Python's own; sets and arrays as sorted or listed values."""
    if isinstance(value, set | frozenset):
        value = sorted(value, key=lambda item: (str(type(item)), str(item)))
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if type(value).__module__ == "numpy" else value


def _coerced(declared: Declared, column: Column, asked: Any, dtype: Any) -> Seen:
    name = sql.quote(column.name)
    asks = declared.schema.coerce or getattr(asked, "coerce", False)
    if dtype is None or not asks:
        return Seen(column, name, dtype=dtype)
    wanted, given = dtypes.wanted_family(dtype, column.name), family(column.type)
    kind = dtypes.engine_type(dtype, wanted)
    if given == wanted and wanted not in ("integer", "decimal"):
        return Seen(column, name, dtype=dtype)
    value = _lossless(name, given, wanted, kind)
    if kind is None or value is None:
        raise ConfigError(
            "check.type", f"column '{column.name}' is {column.type}, of which nothing is read as {dtype}",
            where=column.name, fix="make the value with a step (derive, cast), or take coerce out",
        )  # fmt: skip
    there = f"{name} IS NOT NULL" + (f" AND NOT isnan({name})" if given == "float" else "")
    return Seen(Column(column.name, kind), f"({value})", f"{there} AND ({value}) IS NULL", dtype)


_MOMENTS = frozenset({"date", "timestamp", "timestamp with time zone"})
_NUMBERS = frozenset({"integer", "float", "decimal"})


def _lossless(name: str, given: str, wanted: str, kind: str | None) -> str | None:
    """SQL of the value as ``kind``, NULL where something would be lost; None where there is no such reading."""
    read = f"TRY_CAST({name} AS {kind})"
    if given == wanted or wanted == "text":
        return read
    if given == "text":
        return (
            f"CASE WHEN regexp_full_match(trim({name}), '[+-]?[0-9]+') THEN {read} END" if wanted == "integer" else read
        )
    if given in _NUMBERS and wanted in _NUMBERS:
        return f"CASE WHEN {name} = trunc({name}) THEN {read} END" if wanted == "integer" else read
    if given in _NUMBERS and wanted == "boolean":
        return f"CASE WHEN {name} IN (0, 1) THEN {read} END"
    if given == "boolean" and wanted in _NUMBERS:
        return read
    if given in _MOMENTS and wanted in _MOMENTS:
        return f"CASE WHEN {name} = CAST({name} AS DATE) THEN {read} END" if wanted == "date" else read
    return None
