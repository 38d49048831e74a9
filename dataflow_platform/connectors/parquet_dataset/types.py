"""Which of DuckDB's types a Parquet file gives back as they were, and what the others become."""

from typing import Any

import duckdb

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import quote

_EXACT = frozenset(
    {
        "boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "float",
        "double", "decimal", "varchar", "blob", "date", "time", "timestamp", "timestamp_ns",
        "timestamp with time zone", "uuid",
    }
)  # fmt: skip
WIDENED = {
    "hugeint": "DECIMAL(38,0)", "uhugeint": "DECIMAL(38,0)", "timestamp_s": "TIMESTAMP", "timestamp_ms": "TIMESTAMP",
    "enum": "VARCHAR", "bit": "VARCHAR", "time with time zone": "VARCHAR", "interval": "VARCHAR", "bignum": "VARCHAR",
    "null": "INTEGER",
}  # fmt: skip
"""What Parquet keeps otherwise or not at all, and the type whose values say the same."""
PARTITIONS = frozenset(
    {"VARCHAR", "BOOLEAN", "DATE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
)


def stored(name: str, kind: Any) -> str:
    """The type a column of that DuckDB type has in a dataset; ConfigError where there is none."""
    family = str(kind.id)
    children = dict(kind.children) if family in ("list", "array", "struct", "map") else {}
    if family in ("list", "array"):
        return f"{stored(name, children['child'])}[]"
    if family == "map":
        return f"MAP({stored(name, children['key'])}, {stored(name, children['value'])})"
    if family == "struct":
        return f"STRUCT({', '.join(f'{quote(field)} {stored(name, inner)}' for field, inner in children.items())})"
    if family in _EXACT:
        return str(kind)
    if family not in WIDENED:
        raise ConfigError(
            "parquet_dataset.type",
            f"column '{name}' is {kind}: Parquet does not give it back exactly",
            where=f"columns.{name}",
            fix=f"cast it in the pipeline (transform: - cast: {{{name}: ...}}), to VARCHAR for example",
        )
    return str(duckdb.sqltype(WIDENED[family]))
