"""Arrow's types -> the DuckDB types that keep every value."""

from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql.kinds import NUMBER
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa

_KINDS = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT",
    "halffloat": "FLOAT", "float": "FLOAT", "double": "DOUBLE",
    "string": "VARCHAR", "large_string": "VARCHAR", "string_view": "VARCHAR",
    "binary": "BLOB", "large_binary": "BLOB", "binary_view": "BLOB",
    "date32[day]": "DATE", "date64[ms]": "DATE",
    # Of nanoseconds in a time of day, or in a moment with a zone, DuckDB keeps none: a value that has them is refused.
    "time32[s]": "TIME", "time32[ms]": "TIME", "time64[us]": "TIME", "time64[ns]": "TIME",
    "timestamp[s]": "TIMESTAMP", "timestamp[ms]": "TIMESTAMP", "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
}  # fmt: skip
_MOST_DIGITS = 38


def told(schema: "pa.Schema") -> list[tuple[str, str | None, str]]:
    """Name, kind (None: nothing keeps it exactly) and Arrow's own words of every column."""
    return [(field.name, kind(field.type), str(field.type)) for field in schema]


def kind(given: Any) -> str | None:
    """The DuckDB type for one of Arrow's; nested ones in DuckDB's words."""
    import pyarrow.types as pat

    if pat.is_dictionary(given):
        return kind(given.value_type)
    if pat.is_decimal(given):
        digits, places = given.precision, given.scale
        return f"DECIMAL({digits},{places})" if digits <= _MOST_DIGITS and 0 <= places <= digits else NUMBER
    if pat.is_timestamp(given) and given.tz:
        return "TIMESTAMPTZ"
    if pat.is_fixed_size_binary(given):
        return "BLOB"
    if pat.is_nested(given):
        return _nested(given)
    return _KINDS.get(str(given))


def _nested(given: Any) -> str | None:
    import pyarrow.types as pat

    if pat.is_map(given):
        parts = [kind(given.key_type), kind(given.item_type)]
        return f"MAP({parts[0]}, {parts[1]})" if _kept(parts) else None
    if pat.is_list(given) or pat.is_large_list(given) or pat.is_fixed_size_list(given):
        inner = kind(given.value_type)
        return f"{inner}[]" if _kept([inner]) else None
    if pat.is_struct(given) and given.num_fields:
        fields = [(field.name, kind(field.type)) for field in given]
        if _kept([inner for _, inner in fields]):
            return f"STRUCT({', '.join(f'{quote(name)} {inner}' for name, inner in fields)})"
    return None


def _kept(kinds: list[str | None]) -> bool:
    # The digits of a long number would become a text inside of a list.
    return all(inner is not None and NUMBER not in inner for inner in kinds)
