"""What a load strategy works with: the plan of one load, its statements, and the SQL they share.

Everything on the target is written so that it means the same in DuckDB's and in PostgreSQL's dialect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from dataflow_platform.core.sql import qualified, quote


@dataclass(frozen=True)
class Table:
    """A table of a destination."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """``"schema"."name"``."""
        return qualified(self.schema, self.name)

    def hidden_by(self, other: "Table") -> bool:
        """True where case alone tells the schemas apart, or the tables of one schema: DuckDB takes both for one."""
        if self.schema != other.schema:
            return _folded(self.schema) == _folded(other.schema)
        return self.name != other.name and _folded(self.name) == _folded(other.name)


def _folded(name: str) -> bytes:
    return name.encode().lower()  # the letters of ASCII, as DuckDB folds them


@dataclass(frozen=True)
class Window:
    """Half-open range ``[start, end)`` of ``column``: one partition, or a range of them.

    The edges carry the partition's time zone; a column without a zone holds wall time of that zone.
    """

    column: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Column:
    """A column with its type in DuckDB's words. ``nullable`` is False where the table refuses NULL in it."""

    name: str
    type: str
    nullable: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class AddedColumn(Column):
    """A column a load strategy adds to the target.

    ``value`` is what a staged row holds in it: SQL of the engine over the row. ``required``: a table that
    exists without the column cannot be loaded by the strategy.
    """

    value: str
    required: bool = False


@dataclass(frozen=True)
class RowShape:
    """What is known of a load's rows before any is read: ``cursor`` and ``window_column`` as the target names them.

    ``partitioned``: this is a run of one partition; ``window_column`` is None where the steps changed its values.
    """

    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    cursor: str | None
    partitioned: bool
    window_column: str | None
    loaded_at: datetime

    def type_of(self, name: str | None) -> str | None:
        """The type of the column called ``name``; None where there is none."""
        return next((column.type for column in self.columns if name and column.name.lower() == name.lower()), None)


@dataclass(frozen=True)
class Statement:
    """One SQL statement of a load (DuckDB dialect) and what the rows it touches are counted as.

    ``on`` says where it runs: on the engine's staging table, before the rows travel, or on the target.
    ``asks``: a SELECT whose one number is the count, instead of the rows touched. ``distinct``: where these columns
    already tell all staged rows apart, the statement has nothing to do and need not run.

    ========  ======================================================================================
    inserted  rows added to the target: staged rows that are loaded
    updated   target rows overwritten in place, each by a staged row of its own, which is loaded
    replaced  target rows removed because an inserted row takes their place: an update in two steps
    ended     target rows changed without a staged row of their own (a version that was closed)
    deleted   target rows that are gone, or marked as gone
    filtered  staged rows that are not loaded: superseded, unchanged, or the marker of a deletion
    ========  ======================================================================================
    """

    sql: str
    on: Literal["stage", "target"] = "target"
    counts_as: Literal["inserted", "updated", "replaced", "ended", "deleted", "filtered", "none"] = "none"
    asks: bool = False
    distinct: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadPlan:
    """All a load strategy needs to say when; the destination's session says how.

    ``staged`` is the engine's table with exactly the rows to load, ``incoming`` the same rows where
    the destination's SQL can see and change them (one table where the destination is the engine). The
    target has at least ``columns`` and the strategy's own by the time the statements run;
    ``target_is_new``: it was just created. ``window`` is SQL over the target, TRUE within the partition
    run's range; None outside of one. ``loaded_at`` is the load's time.
    """

    target: Table
    staged: Table
    incoming: Table
    columns: tuple[str, ...]
    primary_key: tuple[str, ...]
    cursor: str | None
    target_is_new: bool
    loaded_at: datetime
    types: tuple[str, ...] = ()
    window: str | None = None

    @property
    def into(self) -> str:
        """The target, quoted."""
        return qualified(self.target.schema, self.target.name)

    @property
    def stage(self) -> str:
        """The staging table in the engine, quoted."""
        return qualified(self.staged.schema, self.staged.name)

    @property
    def source(self) -> str:
        """The incoming rows in the destination, quoted."""
        return qualified(self.incoming.schema, self.incoming.name)

    def same_key(self, left: str = "old", right: str = "new") -> str:
        """SQL: the rows called ``left`` and ``right`` have one primary key (which is never NULL)."""
        return " AND ".join(f"{left}.{quote(name)} = {right}.{quote(name)}" for name in self.primary_key)

    def insert(self, given: str = "", condition: str = "") -> Statement:
        """Add the rows of ``given`` (the incoming ones by default) that fulfil ``condition``."""
        columns = listed(self.columns)
        where = f" WHERE {condition}" if condition else ""
        return Statement(
            f"INSERT INTO {self.into} ({columns}) SELECT {columns} FROM {given or self.source}{where}",
            counts_as="inserted",
        )

    def keep_newest(self, per: Sequence[str] = (), first: Sequence[str] = ()) -> Statement:
        """Of several staged rows with one key (or with equal ``per``), keep the one with the greatest cursor.

        Equal cursors are settled by ``first`` and then by the greatest remaining values, as text: the
        order in which the rows came never matters.
        """
        same = per or self.primary_key
        keys = listed(same)
        tie = [name for name in self.columns if name not in (*same, self.cursor, *first)]
        order = [f"{quote(name)} DESC NULLS LAST" for name in (self.cursor, *first) if name and name not in same]
        order += [f"{quote(name)}::VARCHAR DESC NULLS LAST" for name in tie]
        return Statement(
            f"DELETE FROM {self.stage} WHERE rowid IN (SELECT loser FROM (SELECT rowid AS loser, row_number() OVER "
            f"(PARTITION BY {keys} ORDER BY {', '.join(order) or keys}) AS place FROM {self.stage} WHERE ({keys}) IN "
            f"(SELECT ({keys}) FROM {self.stage} GROUP BY {keys} HAVING count(*) > 1)) WHERE place > 1)",
            on="stage",
            counts_as="filtered",
            distinct=tuple(same),
        )

    def drop_late(self) -> list[Statement]:
        """Leave out incoming rows whose key has a greater cursor in the target already."""
        if self.cursor is None:
            return []
        old, new = f"old.{quote(self.cursor)}", f"new.{quote(self.cursor)}"
        late = f"({old} > {new} OR ({new} IS NULL AND {old} IS NOT NULL))"
        return [
            Statement(
                f"DELETE FROM {self.source} AS new USING {self.into} AS old WHERE {self.same_key()} AND {late}",
                counts_as="filtered",
            )
        ]

    def drop_unchanged(self) -> Statement:
        """Leave out incoming rows that say what the target says already."""
        return Statement(
            f"DELETE FROM {self.source} AS new USING {self.into} AS old "
            f"WHERE {self.same_key()} AND NOT ({self.differs()})",
            counts_as="filtered",
        )

    def key_came(self, condition: str = "TRUE") -> str:
        """SQL of the engine over a row ``late``: the stage has a row ``new`` of its key that fulfils ``condition``."""
        return f"EXISTS (SELECT 1 FROM {self.stage} AS new WHERE {self.same_key('late')} AND {condition})"

    def newer_came(self) -> str:
        """SQL of the engine over a row ``late``: the stage has a row of its key with a cursor at least as great."""
        if self.cursor is None:
            return self.key_came()
        late, new = f"late.{quote(self.cursor)}", f"new.{quote(self.cursor)}"
        return self.key_came(f"({late} IS NULL OR {new} >= {late})")

    def differs(self, columns: Sequence[str] | None = None) -> str:
        """SQL: the rows ``old`` and ``new`` differ in a column that is no key; NULL equals NULL."""
        compared = [name for name in self.columns if name not in self.primary_key] if columns is None else columns
        return " OR ".join(f"old.{quote(name)} IS DISTINCT FROM new.{quote(name)}" for name in compared) or "FALSE"


def listed(names: Sequence[str], of: str = "") -> str:
    """``"a", "b"``: quoted names, each of the row called ``of``."""
    return ", ".join(f"{of}.{quote(name)}" if of else quote(name) for name in names)
