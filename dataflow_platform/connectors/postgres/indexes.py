"""Indexes a destination declares: created where they are missing, in the transaction of the load."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataflow_platform.core import injection
from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.errors import unknown_name
from dataflow_platform.core.sql import qualified, quote

# Valid ones over plain columns and all rows. What INCLUDE adds is no part of the key.
_THERE = """
SELECT i.indisunique, ARRAY(
    SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE k.place <= i.indnkeyatts ORDER BY k.place)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
"""
Declared = Mapping[str, Sequence[Sequence[str]]]
"""Table (``schema.table`` or its name) -> indexes, each the columns of its key."""


@dataclass(frozen=True)
class DeclaredIndexes:
    """What the destination's ``indexes`` and ``unique`` say."""

    plain: Declared
    unique: Declared

    def of(self, table: Table) -> Iterator[tuple[tuple[str, ...], bool]]:
        """The key and whether it is unique, of every index declared for ``table``."""
        for declared, unique in ((self.unique, True), (self.plain, False)):
            for name in (f"{table.schema}.{table.name}", table.name):
                yield from ((tuple(columns), unique) for columns in declared.get(name, ()))

    def create_missing(self, cursor: Any, table: Table, columns: Sequence[Column]) -> None:
        """Create those that ``table`` (with ``columns``) lacks; ConfigError ``column.unknown`` for other columns.

        An index that is there already counts, whoever made it. Raises the driver's errors.
        """
        cursor.execute(_THERE, [table.schema, table.name])
        there = {(tuple(key), unique) for unique, key in cursor.fetchall()}
        names = [column.name for column in columns]
        for key, unique in self.of(table):
            for name in key:
                if name not in names:
                    fix = "check `indexes` and `unique` of the destination"
                    raise unknown_name("column", name, names, fix).at_path(f"{table.schema}.{table.name}")
            if (key, True) in there or (key, unique) in there:
                continue
            word = "UNIQUE INDEX" if unique else "INDEX"
            listed = ", ".join(quote(name) for name in key)
            cursor.execute(f"CREATE {word} ON {qualified(table.schema, table.name)} ({listed})")
            there.add((key, unique))
            injection.reach("declared_made")
