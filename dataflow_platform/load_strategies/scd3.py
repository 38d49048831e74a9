"""scd3: keep the value before the newest beside it."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field, field_validator

from dataflow_platform.core.base import AddedColumn, LoadPlan, LoadStrategy, Reach, RowShape, Statement
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import find_column, literal, quote

CHANGED_AT = "_changed_at"


class Scd3(LoadStrategy):
    """Slowly changing dimension, type 3: a column `previous_<column>` holds the value before the current one.

    `_changed_at` says when one of the columns last changed: the cursor's value, or the load's time where the
    stream has no cursor; NULL before the first change. All other columns behave as under `scd1`: a row counts
    as loaded where it changed the table, else as filtered. Of several rows of one key in a batch the one
    with the greatest cursor counts: `previous_` is then what the table held before the load. A row whose key is
    NULL, or NULL in one part, goes to quarantine. An empty batch changes nothing.
    """

    reach: ClassVar[Reach | None] = "key"
    needs_primary_key: ClassVar[bool] = True
    shorthand: ClassVar[str | None] = "columns"

    columns: tuple[str, ...] = Field(min_length=1, description="The columns whose previous value is kept.")

    @field_validator("columns", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def check(self, rows: RowShape) -> None:
        """A column that is part of the key never changes."""
        for name in self.columns:
            if find_column(name, [column.name for column in rows.columns]) in rows.primary_key:
                raise ConfigError(
                    "scd3.columns",
                    f"'{name}' is part of the primary key: it has no previous value",
                    where="load.scd3.columns",
                    fix="name columns outside of the key",
                )

    def added_columns(self, rows: RowShape) -> tuple[AddedColumn, ...]:
        """One column for each previous value, and the time of the last change."""
        known = [column.name for column in rows.columns]
        kept = [find_column(name, known) for name in self.columns]
        previous = tuple(AddedColumn(_previous(name), rows.type_of(name) or "VARCHAR", "NULL") for name in kept)
        when = rows.type_of(rows.cursor) or "TIMESTAMP WITH TIME ZONE"
        return (*previous, AddedColumn(CHANGED_AT, when, "NULL"))

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Leave out late and unchanged rows, give the others what they replace, delete that, insert them."""
        yield plan.keep_newest()
        yield from plan.drop_late()
        yield plan.drop_unchanged()
        kept = [find_column(name, plan.columns) for name in self.columns]
        moved = [
            f"{quote(_previous(name))} = CASE WHEN {plan.differs([name])} THEN old.{quote(name)} "
            f"ELSE old.{quote(_previous(name))} END"
            for name in kept
        ]
        now = f"new.{quote(plan.cursor)}" if plan.cursor else literal(plan.loaded_at)
        moved.append(
            f"{quote(CHANGED_AT)} = CASE WHEN {plan.differs(kept)} THEN {now} ELSE old.{quote(CHANGED_AT)} END"
        )
        yield Statement(
            f"UPDATE {plan.source} AS new SET {', '.join(moved)} FROM {plan.into} AS old WHERE {plan.same_key()}"
        )
        yield Statement(
            f"DELETE FROM {plan.into} AS old USING {plan.source} AS new WHERE {plan.same_key()}",
            counts_as="replaced",
        )
        columns = listed([*plan.columns, *map(_previous, kept), CHANGED_AT])
        yield Statement(
            f"INSERT INTO {plan.into} ({columns}) SELECT {columns} FROM {plan.source}", counts_as="inserted"
        )


def _previous(name: str) -> str:
    return f"previous_{name}"
