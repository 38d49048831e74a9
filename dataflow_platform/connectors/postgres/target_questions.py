"""What a session asks the server's catalogue about the tables it writes."""

COLUMNS = """
SELECT a.attname, format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END,
           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END), a.attndims::int,
       NOT a.attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# A table that nothing hangs on: no index, view, grant, comment, constraint, default, trigger or owner of its own.
BARE = """
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
HOLDER = """
SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s AND a.pid <> pg_backend_pid()
"""
