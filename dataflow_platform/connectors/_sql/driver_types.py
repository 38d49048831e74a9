"""What drivers tell of a query's columns, and values they must not turn into Python's own."""

from collections.abc import Sequence
from typing import Any

_POSTGRES = {
    16: "boolean", 17: "bytea", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 19: "name", 114: "json",
    700: "real", 701: "double precision", 1042: "char", 1043: "varchar", 1082: "date", 1083: "time",
    1114: "timestamp", 1184: "timestamp with time zone", 1700: "numeric", 2950: "uuid", 3802: "jsonb",
}  # fmt: skip
"""Object identifiers of PostgreSQL's own types, which everything that speaks its protocol shares."""
_ORACLE = {
    "DB_TYPE_VARCHAR": "varchar2", "DB_TYPE_NVARCHAR": "nvarchar2", "DB_TYPE_CHAR": "char", "DB_TYPE_NCHAR": "nchar",
    "DB_TYPE_NUMBER": "number", "DB_TYPE_BINARY_FLOAT": "binary_float", "DB_TYPE_BINARY_DOUBLE": "binary_double",
    "DB_TYPE_DATE": "date", "DB_TYPE_RAW": "raw", "DB_TYPE_CLOB": "clob", "DB_TYPE_BLOB": "blob",
}  # fmt: skip
"""oracledb's types that keep their values on the way; its timestamps may have digits Python's lack."""

_SNOWFLAKE = (
    "number", "double", "varchar", "date", "timestamp_ntz", "variant", "timestamp_ltz", "timestamp_tz",
    "timestamp_ntz", "object", "array", "binary", "time", "boolean",
)  # fmt: skip
"""Its connector numbers its types."""


_FIREBIRD_INTEGERS = {2: "smallint", 4: "integer", 8: "bigint"}
_FIREBIRD_DIGITS = {2: 5, 4: 10, 8: 19, 16: 38}
_FIREBIRD = {
    "bool": "boolean", "str": "varchar", "bytes": "blob", "date": "date", "time": "time", "datetime": "timestamp",
}  # fmt: skip
"""Python's types, by which its driver tells the others; a number's by its bytes."""


def told_by_cursor(driver: str, description: Sequence[Any]) -> list[str]:
    """Type words of a cursor's columns, in order; '' where the driver does not tell."""
    told = []
    for _, code, _, size, precision, scale, *_ in description:
        if driver.startswith("firebird"):
            word = _told_by_firebird(code.__name__, size, scale)
        elif isinstance(code, str):
            word = code.lower().removesuffix("_type")  # which HiveServer2 adds
        elif driver in ("psycopg2", "psycopg"):
            word = _POSTGRES.get(code, "")
        elif driver == "snowflake":
            word = _SNOWFLAKE[code] if code < len(_SNOWFLAKE) else ""
        else:
            word = _ORACLE.get(getattr(code, "name", ""), "")
        if word in ("numeric", "number", "decimal") and precision and precision < 1000:
            word = f"{word}({precision},{scale or 0})"
        told.append(word)
    return told


def _told_by_firebird(code: str, size: int, scale: int) -> str:
    if code == "int":
        return _FIREBIRD_INTEGERS.get(size, "")
    if code == "float":
        return "double precision" if size == 8 else "real"
    if code == "Decimal":
        return f"decimal({_FIREBIRD_DIGITS[size]},{-scale})" if size in _FIREBIRD_DIGITS else ""
    return _FIREBIRD.get(code, "")


def keep_texts(connection: Any, record: object) -> None:
    """Let psycopg2 hand over times as text: it would make 9999-12-31 of infinity; Arrow reads or refuses them."""
    from psycopg2 import extensions

    as_text = extensions.new_type((1082, 1083, 1114, 1184), "TIMES_AS_TEXT", lambda value, cursor: value)
    extensions.register_type(as_text, connection)


def begin_session(statement: str, connection: Any, record: object) -> None:
    """Run ``statement`` on a connection that was just opened."""
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()
