"""Primary and foreign keys a destination declares: created where they are missing, in the transaction of the load.

The server names them: within its 63 bytes, and never like another. A foreign key may be checked as late as COMMIT, so
that a load may replace the rows others refer to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field, model_validator

from dataflow_platform.core import injection
from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, unknown_name
from dataflow_platform.core.sql import qualified, quote

_NAMES = """ARRAY(SELECT a.attname::text FROM unnest(c.{0}) WITH ORDINALITY k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.{1} AND a.attnum = k.attnum ORDER BY k.place)"""
_THERE = f"""
SELECT c.contype::text, c.conname, {_NAMES.format("conkey", "conrelid")}, n.nspname, p.relname,
       {_NAMES.format("confkey", "confrelid")}
FROM pg_constraint c LEFT JOIN pg_class p ON p.oid = c.confrelid LEFT JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE c.conrelid = to_regclass(%s) AND c.contype IN ('p', 'f')
"""
_DUPLICATED, _NULL, _NOT_THERE = "23505", "23502", "23503"
_NOT_UNIQUE, _OTHER_TYPE, _DENIED = "42830", "42804", "42501"


class ForeignKey(dg.Config):
    """Columns whose values are those of another table's key."""

    columns: list[str] = Field(description="The columns that refer.")
    references: str = Field(description="The table they refer to, as `schema.table`, or `table` in the same schema.")
    on: list[str] = Field(
        default_factory=list, description="Its columns, which have to be unique; its primary key if absent."
    )

    @model_validator(mode="after")
    def _as_many(self) -> "ForeignKey":
        if not self.columns or (self.on and len(self.on) != len(self.columns)):
            raise ConfigError(
                "postgres.foreign_key",
                f"{len(self.columns)} columns refer to {len(self.on)} of {self.references}",
                fix="name as many columns under `on` as under `columns`",
            )
        return self

    def parent(self, schema: str) -> Table:
        """The table referred to by a table of ``schema``."""
        first, dot, rest = self.references.partition(".")
        return Table(first, rest) if dot else Table(schema, first)


@dataclass(frozen=True)
class PrimaryKeys:
    """What the destination's ``primary_keys`` say: table (``schema.table`` or its name) -> columns."""

    declared: Mapping[str, Sequence[str]]

    def of(self, table: Table) -> tuple[str, ...]:
        """The columns of the key declared for ``table``; () for none."""
        named = self.declared.get(f"{table.schema}.{table.name}") or self.declared.get(table.name) or ()
        return tuple(named)

    def create_missing(self, cursor: Any, table: Table, columns: Sequence[Column]) -> None:
        """Create the key ``table`` (with ``columns``) lacks.

        ConfigError ``column.unknown``, or ``postgres.primary_key`` where the table has another one; DataError
        ``postgres.primary_key`` for a row without its key or with one that is there already.
        """
        key, name = self.of(table), f"{table.schema}.{table.name}"
        if not key:
            return
        _refuse_unknown(key, columns, table, "primary_keys")
        for kind, constraint, there, *_ in _constraints(cursor, table):
            if kind == "p" and set(there) == set(key):
                return
            if kind == "p":
                raise ConfigError(
                    "postgres.primary_key",
                    f"the primary key of {name} is ({', '.join(there)}), and ({', '.join(key)}) is declared",
                    fix=f"declare what is there, or drop it by hand: ALTER TABLE {qualified(table.schema, table.name)} "
                    f"DROP CONSTRAINT {quote(constraint)}",
                )
        import psycopg2

        try:
            cursor.execute(f"ALTER TABLE {qualified(table.schema, table.name)} ADD PRIMARY KEY ({_listed(key)})")
        except psycopg2.IntegrityError as error:
            raise _no_key(error, key, name) from error
        injection.reach("declared_made")


@dataclass(frozen=True)
class ForeignKeys:
    """What the destination's ``foreign_keys`` say: table (``schema.table`` or its name) -> keys."""

    declared: Mapping[str, Sequence[ForeignKey]]

    def of(self, table: Table) -> list[ForeignKey]:
        """The keys declared for ``table``."""
        return [key for name in (f"{table.schema}.{table.name}", table.name) for key in self.declared.get(name, ())]

    def create_missing(self, cursor: Any, table: Table, columns: Sequence[Column]) -> None:
        """Create those that ``table`` (with ``columns``) lacks; one that is there already counts, whoever made it.

        ConfigError ``column.unknown``, or ``postgres.foreign_key`` where the table referred to is not there or has no
        such key; DataError ``postgres.foreign_key`` for a row that refers to none.
        """
        there = {
            (tuple(own), Table(schema, parent), tuple(others))
            for kind, _, own, schema, parent, others in _constraints(cursor, table)
            if kind == "f"
        }
        for key in self.of(table):
            _refuse_unknown(key.columns, columns, table, "foreign_keys")
            parent = key.parent(table.schema)
            own, on = tuple(key.columns), tuple(key.on)
            if any((own, parent) == one[:2] and on in ((), one[2]) for one in there):
                continue
            _create(cursor, table, key, parent)
            there.add((own, parent, on))


def _create(cursor: Any, table: Table, key: ForeignKey, parent: Table) -> None:
    import psycopg2

    own, other = f"{table.schema}.{table.name}", f"{parent.schema}.{parent.name}"
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [qualified(parent.schema, parent.name)])
    if not cursor.fetchone()[0]:
        raise ConfigError(
            "postgres.foreign_key",
            f"{own} refers to {other}, which is not there",
            fix=f"load {other} first, or correct `references`",
        )
    on = f" ({_listed(key.on)})" if key.on else ""
    try:
        cursor.execute(
            f"ALTER TABLE {qualified(table.schema, table.name)} ADD FOREIGN KEY ({_listed(key.columns)}) "
            f"REFERENCES {qualified(parent.schema, parent.name)}{on} DEFERRABLE"
        )
    except psycopg2.Error as error:
        raise _no_reference(error, key, own, other) or error from error
    injection.reach("declared_made")


def _constraints(cursor: Any, table: Table) -> list[tuple[str, str, list[str], str, str, list[str]]]:
    """Kind, name, columns, and what a foreign key refers to: schema, table, columns."""
    cursor.execute(_THERE, [qualified(table.schema, table.name)])
    return list(cursor.fetchall())


def _refuse_unknown(key: Sequence[str], columns: Sequence[Column], table: Table, setting: str) -> None:
    names = [column.name for column in columns]
    for name in key:
        if name not in names:
            fix = f"check `{setting}` of the destination"
            raise unknown_name("column", name, names, fix).at_path(f"{table.schema}.{table.name}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in names)


def _said(error: Any) -> str:
    return str(error.diag.message_detail or error.diag.message_primary).strip().rstrip(".")


def _no_key(error: Any, key: Sequence[str], name: str) -> DataError:
    if error.pgcode == _NULL:
        what, fix = f"a row of {name} has no value in it: {_said(error)}", "correct the rows, or declare other columns"
    else:
        what = f"rows of {name} share it: {_said(error)}"
        fix = "load it by `merge` with this key, correct the rows at their source, or declare other columns"
    return DataError("postgres.primary_key", f"({', '.join(key)}) is declared as primary key, and {what}", fix=fix)


def _no_reference(error: Any, key: ForeignKey, own: str, other: str) -> DataflowError | None:
    """In words; None where the error is of another kind."""
    refers = f"({', '.join(key.columns)}) of {own} refers to {other}"
    if error.pgcode == _NOT_THERE:
        fix = f"load {other} first, or correct the rows at their source"
        return DataError("postgres.foreign_key", f"{refers}, and a row refers to none: {_said(error)}", fix=fix)
    if error.pgcode == _DENIED:
        fix = f"GRANT REFERENCES ON {other}, or own the table"
        return ConfigError("postgres.permission", f"{refers}: {error.diag.message_primary}", fix=fix)
    if error.pgcode in (_NOT_UNIQUE, _OTHER_TYPE, "42703"):
        fix = f"declare the columns of a primary key or unique index of {other} under `on`, of the same types"
        return ConfigError("postgres.foreign_key", f"{refers}, which cannot be: {_said(error)}", fix=fix)
    return None
