"""Schema contract: compare -> plan -> decide -> apply. Nothing about a table changes silently."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from dataflow_platform.core import injection
from dataflow_platform.core.base import Column, Session, Spec, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import qualified, quote


class Contract(Spec):
    """What may happen to the target's schema when the stream's schema differs from it."""

    new_columns: Literal["evolve", "freeze", "discard"] = Field(
        default="evolve", description="A column the target lacks: add it, fail the load, or leave it out."
    )
    missing_columns: Literal["evolve", "freeze"] = Field(
        default="evolve", description="A column the stream lacks: keep it and load NULL, or fail the load."
    )
    type_changes: Literal["evolve", "freeze"] = Field(
        default="evolve",
        description="A type that differs: widen where nothing is lost (INTEGER to BIGINT, DECIMAL growth), "
        "or fail. A change that could lose something always fails.",
    )


@dataclass(frozen=True)
class Change:
    """One difference between stream and target, and what is done about it."""

    kind: Literal["add", "discard", "fill_null", "widen", "cast_up"]
    column: str
    type: str
    from_type: str | None = None

    def __str__(self) -> str:
        words = {
            "add": f"add column {self.column} {self.type}",
            "discard": f"leave out column {self.column} {self.type}",
            "fill_null": f"load NULL into column {self.column} {self.type}",
            "widen": f"widen column {self.column} from {self.from_type} to {self.type}",
            "cast_up": f"load {self.from_type} of column {self.column} as {self.type}",
        }
        return words[self.kind]


@dataclass(frozen=True)
class SchemaPlan:
    """What will be done before the rows are written; printable."""

    target_is_new: bool
    columns: tuple[Column, ...]
    changes: tuple[Change, ...] = ()

    def __str__(self) -> str:
        if self.target_is_new:
            return "create the table"
        return "; ".join(str(change) for change in self.changes) or "no change"


_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
# An unsigned type needs the next wider signed one; integers up to 32 bits are exact in a DOUBLE.
_LOSSLESS = (
    {(low, high) for n, low in enumerate(_INTEGERS) for high in _INTEGERS[n + 1 :]}
    | {(low, high) for n, low in enumerate(_UNSIGNED) for high in _UNSIGNED[n + 1 :]}
    | {(low, high) for n, low in enumerate(_UNSIGNED) for high in _INTEGERS[n + 1 :]}
    | {(low, "DOUBLE") for low in ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT")}
    | {("TIMESTAMP_S", "TIMESTAMP"), ("TIMESTAMP_MS", "TIMESTAMP"), ("TIMESTAMP_S", "TIMESTAMP_MS")}
)


def is_lossless(old: str, new: str) -> bool:
    """True where every value of DuckDB type ``old`` is exactly a value of ``new``."""
    if (old, new) in _LOSSLESS:
        return True
    before, after = _decimal(old), _decimal(new)
    if after and before:
        return after[1] >= before[1] and after[0] - after[1] >= before[0] - before[1]
    digits = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
    return bool(after and old in digits and after[0] - after[1] >= digits[old])


def _decimal(kind: str) -> tuple[int, int] | None:
    if not kind.startswith("DECIMAL("):
        return None
    precision, scale = kind[8:-1].split(",")
    return int(precision), int(scale)


def decide(contract: Contract, staged: Sequence[Column], target: Sequence[Column] | None, table: Table) -> SchemaPlan:
    """What to do so that ``staged`` fits ``target``; DataError where the contract forbids it."""
    if target is None:
        return SchemaPlan(True, tuple(staged))
    known = {column.name.lower(): column for column in target}
    changes: list[Change] = []
    columns: list[Column] = []
    for column in staged:
        there = known.pop(column.name.lower(), None)
        if there is None:
            changes.append(_new(contract, column, table))
            if changes[-1].kind == "add":
                columns.append(column)
            continue
        columns.append(column)
        if there.type != column.type:
            changes.append(_retyped(contract, column, there, table))
    for column in known.values():
        if contract.missing_columns == "freeze":
            raise _refused(
                "contract.missing_column",
                f"the stream no longer has column '{column.name}'",
                table,
                "add it back in the source, or set contract.missing_columns: evolve to load NULL",
            )
        changes.append(Change("fill_null", column.name, column.type))
    return SchemaPlan(False, tuple(columns), tuple(changes))


def _new(contract: Contract, column: Column, table: Table) -> Change:
    if contract.new_columns == "freeze":
        raise _refused(
            "contract.new_column",
            f"the stream has a new column '{column.name}' ({column.type})",
            table,
            "set contract.new_columns: evolve to add it or discard to leave it out",
        )
    return Change("add" if contract.new_columns == "evolve" else "discard", column.name, column.type)


def _retyped(contract: Contract, column: Column, there: Column, table: Table) -> Change:
    # Invariant 3, no silent type change: only a change that keeps every value goes through, and it is named.
    if is_lossless(column.type, there.type):
        return Change("cast_up", column.name, there.type, column.type)
    if contract.type_changes == "evolve" and is_lossless(there.type, column.type):
        return Change("widen", column.name, column.type, there.type)
    raise _refused(
        "contract.type_change",
        f"column '{column.name}' is {there.type} in the target and {column.type} in the stream",
        table,
        f"cast it in the pipeline (transform: - cast: {{{column.name}: {there.type}}}), or rebuild the table",
    )


def _refused(code: str, what: str, table: Table, fix: str) -> DataError:
    return DataError(code, what, where=f"{table.schema}.{table.name}", fix=fix)


def apply(session: Session, plan: SchemaPlan, target: Table) -> None:
    """Change the target's schema as planned, in the session's transaction."""
    name = qualified(target.schema, target.name)
    for change in plan.changes:
        if change.kind == "add":
            session.execute(f"ALTER TABLE {name} ADD COLUMN {quote(change.column)} {change.type}")
        elif change.kind == "widen":
            session.execute(f"ALTER TABLE {name} ALTER COLUMN {quote(change.column)} SET DATA TYPE {change.type}")
        injection.reach("schema_changed")


def fit_stage(session: Session, plan: SchemaPlan, staged: Table) -> None:
    """Give a staging table that will become the target the schema the plan promises."""
    name = qualified(staged.schema, staged.name)
    for change in plan.changes:
        if change.kind == "discard":
            session.in_engine(f"ALTER TABLE {name} DROP COLUMN {quote(change.column)}")
        elif change.kind == "fill_null":
            session.in_engine(f"ALTER TABLE {name} ADD COLUMN {quote(change.column)} {change.type}")
        elif change.kind == "cast_up":
            session.in_engine(f"ALTER TABLE {name} ALTER COLUMN {quote(change.column)} SET DATA TYPE {change.type}")
