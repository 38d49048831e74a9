"""DuckDB's types in other dialects. This table is the one place; a type that is absent does not hold there."""

import re

from dataflow_platform.core.transformation import Dialect

TYPES: dict[str, dict[Dialect, str]] = {
    "BOOLEAN": {"postgres": "boolean", "spark": "BOOLEAN", "snowflake": "BOOLEAN", "bigquery": "BOOL"},
    "TINYINT": {"postgres": "smallint", "spark": "TINYINT", "snowflake": "NUMBER(38, 0)", "bigquery": "INT64"},
    "SMALLINT": {"postgres": "smallint", "spark": "SMALLINT", "snowflake": "NUMBER(38, 0)", "bigquery": "INT64"},
    "INTEGER": {"postgres": "integer", "spark": "INT", "snowflake": "NUMBER(38, 0)", "bigquery": "INT64"},
    "BIGINT": {"postgres": "bigint", "spark": "BIGINT", "snowflake": "NUMBER(38, 0)", "bigquery": "INT64"},
    "HUGEINT": {"postgres": "numeric(39, 0)", "spark": "DECIMAL(38, 0)", "snowflake": "NUMBER(38, 0)",
                "bigquery": "BIGNUMERIC"},
    "DECIMAL": {"postgres": "numeric", "spark": "DECIMAL", "snowflake": "NUMBER", "bigquery": "BIGNUMERIC"},
    "FLOAT": {"postgres": "real", "spark": "FLOAT"},
    "DOUBLE": {"postgres": "double precision", "spark": "DOUBLE", "snowflake": "DOUBLE", "bigquery": "FLOAT64"},
    "VARCHAR": {"postgres": "text", "spark": "STRING", "snowflake": "VARCHAR", "bigquery": "STRING"},
    "DATE": {"postgres": "date", "spark": "DATE", "snowflake": "DATE", "bigquery": "DATE"},
    "TIME": {"postgres": "time"},
    "TIMESTAMP": {"postgres": "timestamp", "spark": "TIMESTAMP_NTZ", "snowflake": "TIMESTAMP_NTZ",
                  "bigquery": "DATETIME"},
    "TIMESTAMP WITH TIME ZONE": {"postgres": "timestamptz", "spark": "TIMESTAMP", "snowflake": "TIMESTAMP_TZ",
                                 "bigquery": "TIMESTAMP"},
    "INTERVAL": {"postgres": "interval"},
    "UUID": {"postgres": "uuid"},
    "BLOB": {"postgres": "bytea", "spark": "BINARY", "snowflake": "BINARY", "bigquery": "BYTES"},
    "VARCHAR[]": {"postgres": "text[]"},
}  # fmt: skip
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
RANGES = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
}
NUMBERS = (*WHOLE, "DECIMAL", "FLOAT", "DOUBLE")


def kind(type_name: str) -> str:
    """The type without its width: ``DECIMAL(18,2)`` is a ``DECIMAL``."""
    return "DECIMAL" if type_name.startswith("DECIMAL") else type_name


def width(decimal: str) -> tuple[int, int]:
    """Precision and scale of a DECIMAL."""
    found = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", decimal)
    assert found, decimal
    return int(found[1]), int(found[2])


def type_in(dialect: Dialect, type_name: str) -> str | None:
    """The dialect's type; None where it does not hold."""
    name = TYPES.get(kind(type_name), {}).get(dialect)
    if name is None or kind(type_name) != "DECIMAL":
        return name
    precision, scale = width(type_name)
    return f"{name}({precision}, {scale})"
