"""A new table takes the place of an old one, with the indexes and constraints the old one has.

They are made on the new rows before the old table goes: readers wait for the renaming alone. Of 6 million rows with
a primary key and an index that takes half as long as emptying the table and filling it again.
"""

from dataclasses import dataclass
from typing import Any

from dataflow_platform.core import injection
from dataflow_platform.core.base import Table
from dataflow_platform.core.sql import qualified, quote

# Nothing hangs on it but indexes and constraints of its own: no view, grant, comment, default, trigger, owner of its
# own, no foreign key of another table.
_REPLACEABLE = """
WITH own AS (
    SELECT 'pg_class'::regclass AS class, indexrelid AS oid FROM pg_index WHERE indrelid = to_regclass(%(table)s)
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = to_regclass(%(table)s))
SELECT c.relkind = 'r' AND c.relacl IS NULL AND c.reloptions IS NULL AND c.relpersistence = 'p'
   AND c.reltablespace = 0 AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND c.relreplident = 'd' AND NOT (c.relrowsecurity OR c.relispartition OR c.relhassubclass)
   AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.confrelid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype NOT IN ('p', 'u', 'f', 'c', 'n'))
   AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid
                   AND (i.indisclustered OR i.indisreplident OR NOT i.indisvalid OR x.reltablespace <> 0))
   AND NOT EXISTS (SELECT FROM pg_description d WHERE (d.objoid = c.oid AND d.classoid = 'pg_class'::regclass)
                   OR (d.classoid, d.objoid) IN (SELECT class, oid FROM own))
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refobjid = c.oid AND d.refclassid = 'pg_class'::regclass
                   AND d.deptype <> 'i' AND (d.classid, d.objid) NOT IN (SELECT class, oid FROM own))
   AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                   AND (a.atthasdef OR a.attidentity <> '' OR a.attacl IS NOT NULL
                        OR (a.atttypid = 'varchar'::regtype AND a.atttypmod > 0)
                        OR (a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid
                                                         AND k.contype = 'p' AND a.attnum = ANY (k.conkey)))))
FROM pg_class c WHERE c.oid = to_regclass(%(table)s)
"""
# Foreign keys last; of an index what follows its name and table. NOT NULL comes with the primary key.
_OWN = """
SELECT conname, TRUE, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = to_regclass(%(table)s) AND contype <> 'n'
UNION ALL
SELECT x.relname, FALSE, pg_get_indexdef(x.oid) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = to_regclass(%(table)s) AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid
                                                          AND k.conrelid = i.indrelid)
ORDER BY 2, 3 DESC
"""


@dataclass(frozen=True)
class Carried:
    """An index or constraint in the server's own words."""

    name: str
    constraint: bool
    definition: str


def carried(cursor: Any, table: Table) -> list[Carried] | None:
    """What a new table has to be given to take the place of ``table``; None where more hangs on that than can be.

    Raises the driver's errors.
    """
    named = {"table": qualified(table.schema, table.name)}
    cursor.execute(_REPLACEABLE, named)
    if not cursor.fetchone()[0]:
        return None
    # A name the search path knows is written without its schema.
    cursor.execute("SET LOCAL search_path = ''")
    cursor.execute(_OWN, named)
    found = [Carried(*row) for row in cursor.fetchall()]
    cursor.execute("SET LOCAL search_path TO DEFAULT")
    # It ends the part of an index's definition that names it.
    return (
        None if any(" USING " in name for name in (table.schema, table.name, *(each.name for each in found))) else found
    )


def take_over(cursor: Any, new: Table, table: Table, own: list[Carried]) -> None:
    """Put ``new`` in the place of ``table``, with all that table's ``own``. Raises the driver's errors."""
    place, passing = qualified(new.schema, new.name), [f"{new.name}_{number}" for number in range(len(own))]
    for each, name in zip(own, passing, strict=True):
        if each.constraint:
            cursor.execute(f"ALTER TABLE {place} ADD CONSTRAINT {quote(name)} {each.definition}")
        else:
            begin, _, rest = each.definition.partition(" USING ")
            unique = "UNIQUE " if begin.startswith("CREATE UNIQUE") else ""
            cursor.execute(f"CREATE {unique}INDEX {quote(name)} ON {place} USING {rest}")
        injection.reach("declared_made")
    cursor.execute(f"DROP TABLE {qualified(table.schema, table.name)}")
    injection.reach("swapping")
    cursor.execute(f"ALTER TABLE {place} RENAME TO {quote(table.name)}")
    for each, name in zip(own, passing, strict=True):
        if each.constraint:
            there = qualified(table.schema, table.name)
            cursor.execute(f"ALTER TABLE {there} RENAME CONSTRAINT {quote(name)} TO {quote(each.name)}")
        else:
            cursor.execute(f"ALTER INDEX {qualified(table.schema, name)} RENAME TO {quote(each.name)}")
