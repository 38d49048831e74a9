"""What the catalogue of a MySQL or MariaDB server tells of every table an account may read."""

from itertools import groupby

from dataflow_platform.connectors.mysql.connection import Ask
from dataflow_platform.connectors.mysql.dialect import ticked
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable, TableKind

_READABLE = """
FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  AND t.table_type <> 'SEQUENCE' AND FIND_IN_SET('select', c.privileges) > 0
"""
# The catalogue takes names that differ in case only for one.
_SCHEMA = "CONVERT(c.table_schema USING utf8mb4) COLLATE utf8mb4_bin"
_TABLE = "CONVERT(c.table_name USING utf8mb4) COLLATE utf8mb4_bin"
TABLES = f"SELECT DISTINCT {_SCHEMA} AS table_schema, {_TABLE} AS table_name {_READABLE}"
_COLUMNS = f"""
SELECT {_SCHEMA}, {_TABLE}, t.table_type, t.table_rows, c.column_name, c.column_type {_READABLE}
ORDER BY 1, 2, c.ordinal_position
"""
_KEYS = f"""
SELECT {_SCHEMA}, {_TABLE}, c.column_name FROM information_schema.key_column_usage c
WHERE c.constraint_name = 'PRIMARY' ORDER BY 1, 2, c.ordinal_position
"""


def catalogue(ask: Ask) -> list[CatalogueTable]:
    """Every readable table, sorted by name; two questions, however many tables there are."""
    keys: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in ask(_KEYS):
        keys.setdefault((schema, table), []).append(column)
    found = []
    for (schema, table, kind, rows), columns in groupby(ask(_COLUMNS), key=lambda row: row[:4]):
        view = kind == "VIEW"
        word: TableKind = "view" if view else "table"
        told = tuple(CatalogueColumn(row[4], row[5]) for row in columns)
        key = tuple(keys.get((schema, table), ()))
        found.append(
            CatalogueTable(f"{schema}.{table}", schema, table, word, told, key, None if view or rows is None else rows)
        )
    return sorted(found, key=lambda table: table.name)


def table_definition(ask: Ask, schema: str, table: str) -> str:
    """The table as the server writes it; '' of a view."""
    if not ask(
        "SELECT 1 FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema = %s "
        "AND table_name = %s",
        schema,
        table,
    ):
        return ""
    return str(ask(f"SHOW CREATE TABLE {ticked(schema)}.{ticked(table)}")[0][1])
