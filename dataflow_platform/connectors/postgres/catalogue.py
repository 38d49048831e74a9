"""What PostgreSQL's catalogue tells of every relation a role may read."""

from typing import Any

from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable

READABLE = "('r', 'p', 'v', 'm', 'f')"
"""The kinds of relations that have rows to read: tables, partitioned ones, views, materialized and foreign ones."""

_USERS = f"""
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN {READABLE} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
TABLES = f"""
SELECT n.nspname, c.relname,
       CASE WHEN c.relispartition THEN 'partition' WHEN c.relkind = 'v' THEN 'view'
            WHEN c.relkind = 'm' THEN 'materialized_view' WHEN c.relkind = 'f' THEN 'foreign_table' ELSE 'table' END,
       -- Below 0: never analyzed. Of a view nobody keeps a number.
       CASE WHEN c.relkind <> 'v' AND c.reltuples >= 0 THEN c.reltuples::bigint END,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
             AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
             AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(attnum, place), pg_attribute a
             WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
               AND a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.place)
{_USERS}
  AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
"""
THERE = f"SELECT count(*) {_USERS}"
"""How many there are, readable or not."""


def catalogue_table(row: tuple[Any, ...]) -> CatalogueTable:
    """One row of ``TABLES``."""
    schema, table, kind, rows, names, types, key = row
    columns = tuple(CatalogueColumn(*each) for each in zip(names, types, strict=True))
    return CatalogueTable(f"{schema}.{table}", schema, table, kind, columns, tuple(key), rows)
