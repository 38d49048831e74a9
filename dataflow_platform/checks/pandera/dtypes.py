"""Pandera's data types in the engine's words."""

from typing import Any

from dataflow_platform.checks.pandera.declared import unsupported
from dataflow_platform.checks.pandera.flavour import Flavour


def wanted_family(dtype: Any, column: str) -> str:
    """The family of DuckDB types a pandera dtype stands for; ConfigError for one that stands for none."""
    from pandera import dtypes

    if isinstance(dtype, dtypes.Timestamp):
        return "timestamp with time zone" if _zone(dtype) else "timestamp"
    known: tuple[tuple[type, str], ...] = (
        (dtypes.Decimal, "decimal"),
        (dtypes.Bool, "boolean"),
        (dtypes.Int, "integer"),
        (dtypes.Float, "float"),
        (dtypes.Date, "date"),
        (dtypes.Timedelta, "interval"),
        (dtypes.Time, "time"),
        (dtypes.Binary, "binary"),
    )
    for kind, name in known:
        if isinstance(dtype, kind):
            return name
    if isinstance(dtype, dtypes.String) and not isinstance(dtype, dtypes.Category) and str(dtype) != "object":
        return "text"
    if type(dtype).__name__ in ("List", "Array", "Struct"):  # polars' own, which pandera gives no base of
        return "nested"
    fix = "use a number, text, boolean, date, time, binary or nested type, or leave the dtype out (isin for categories)"
    raise unsupported(f"dtype {dtype} of column '{column}'", column, fix)


def _zone(dtype: Any) -> Any:
    zone = getattr(dtype, "tz", None) or getattr(dtype, "time_zone", None)
    return zone or getattr(getattr(dtype, "type", None), "time_zone", None)


def accepted(wanted: str, nullable: bool, flavour: Flavour) -> frozenset[str]:
    """The families that satisfy ``wanted``."""
    families = {wanted}
    if flavour == "pandas" and wanted == "float" and nullable:
        # pandas itself makes float64 of integers with gaps, so such schemas say float.
        families.add("integer")
    if flavour == "pandas" and wanted == "timestamp":
        families.add("date")
    return frozenset(families)


_INTEGERS = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}
_TYPES = {
    "float": "DOUBLE",
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
    "time": "TIME",
    "interval": "INTERVAL",
}


def engine_type(dtype: Any, family: str) -> str | None:
    """The DuckDB type that values are coerced to; None where nothing is coerced to it."""
    if family == "integer":
        named = _INTEGERS.get(getattr(dtype, "bit_width", None) or 64, "BIGINT")
        return named if getattr(dtype, "signed", True) else f"U{named}"
    if family == "decimal":
        precision = min(getattr(dtype, "precision", None) or 38, 38)
        return f"DECIMAL({precision}, {getattr(dtype, 'scale', None) or 0})"
    return _TYPES.get(family)
