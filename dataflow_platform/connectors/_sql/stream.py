"""What a stream of a SQL database sets, and how tables are written."""

import re
from typing import ClassVar

from pydantic import Field, field_validator

from dataflow_platform.connectors._sql.kinds import parse_kind
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.table_or_query import TableOrQuery

_PART = r'"((?:[^"]|"")+)"|([^".]+)'
_NAME = re.compile(rf"(?:(?:{_PART})\.)?(?:{_PART})")


class SqlStream(TableOrQuery):
    """A table, a view, or a query."""

    shorthand: ClassVar[str | None] = "table"

    table: str | None = Field(
        default=None,
        description="Table or view as `schema.table` or `table`; a part that holds a dot in double quotes. "
        "The stream's name if absent.",
    )
    query: str | None = Field(
        default=None,
        description="A SELECT to read instead of a table. It becomes a subselect: no semicolon, and on some servers "
        "no ORDER BY.",
    )
    columns: tuple[str, ...] = Field(default=(), description="Columns to read; all if absent.")
    as_text: tuple[str, ...] = Field(default=(), description="Columns the server is asked to write as text.")
    types: dict[str, str] = Field(
        default_factory=dict,
        description="Types of columns whose own type says too little: BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, "
        "UBIGINT, FLOAT, DOUBLE, DECIMAL(p,s), VARCHAR, BLOB, DATE, TIME, TIMESTAMP, TIMESTAMP_NS, TIMESTAMPTZ, "
        "UUID or JSON. A value that does not fit is an error.",
    )

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: dict[str, str]) -> dict[str, str]:
        return {name: parse_kind(name, kind) for name, kind in types.items()}


def split_name(written: str, where: str) -> tuple[str | None, str]:
    """Schema (None: the connection's own) and table of a name a person wrote."""
    found = _NAME.fullmatch(written)
    if not found:
        raise ConfigError(
            "table.name",
            f"'{written}' is no table name",
            where=where,
            fix="write schema.table; put a part that holds a dot in double quotes",
        )
    quoted_schema, schema, quoted_table, table = found.groups()
    return (
        quoted_schema.replace('""', '"') if quoted_schema else schema,
        quoted_table.replace('""', '"') if quoted_table else table,
    )


def join_name(schema: str | None, table: str) -> str:
    """The name as ``split_name`` reads it."""
    parts = [part for part in (schema, table) if part]
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' if re.search(r'[".]', part) else part for part in parts)
