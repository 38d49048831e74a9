"""Whether a new table may take the place of one, or has to leave it there with all that hangs on it."""

from typing import Any

from dataflow_platform.core.base import Table

# A table that nothing hangs on: no index, view, grant, comment, constraint, default, trigger or owner of its own.
_BARE = """
SELECT c.relkind = 'r' AND c.relacl IS NULL AND c.reloptions IS NULL AND c.relpersistence = 'p'
   AND c.reltablespace = 0 AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND NOT (c.relhasindex OR c.relhastriggers OR c.relrowsecurity OR c.relispartition OR c.relhassubclass)
   AND NOT EXISTS (SELECT FROM pg_description d WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass)
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refobjid = c.oid AND d.refclassid = 'pg_class'::regclass
                   AND d.deptype <> 'i')
   AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                   AND (a.attnotnull OR a.atthasdef OR a.attacl IS NOT NULL
                        OR (a.atttypid = 'varchar'::regtype AND a.atttypmod > 0)))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""


def is_bare(cursor: Any, table: Table) -> bool:
    """Whether nothing hangs on ``table`` that a new one of the same columns would lack. Raises the driver's errors."""
    cursor.execute(_BARE, [table.schema, table.name])
    return bool(cursor.fetchone()[0])
