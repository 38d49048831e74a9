"""What will be done to a table's schema before rows are written, printable before anything is."""

from dataclasses import dataclass
from typing import Literal

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataError
from dataflow_platform.engine.contract.policy import Dimension

Action = Literal[
    "add",
    "rename",
    "widen",
    "drop_not_null",
    "discard",
    "fill_null",
    "leave_out",
    "cast_up",
    "spell",
    "set_aside",
    "key",
]
Cast = Literal["no", "staging", "afterwards"]

_WORDS: dict[Action, str] = {
    "add": "add {kind} {path} {type}",
    "rename": "rename column {before} to {path}",
    "widen": "widen {kind} {path} from {before} to {type}",
    "drop_not_null": "drop NOT NULL of column {path}",
    "discard": "leave out {kind} {path} {type}",
    "fill_null": "load NULL into {kind} {path} {type}",
    "leave_out": "load NULL into column {path} {type} in place of {before}",
    "cast_up": "load {before} of {kind} {path} as {type}",
    "spell": "load column {before} as {path}",
    "key": "tell rows apart by {type} instead of {before}",
}
_SET_ASIDE: dict[Dimension, str] = {
    "new_columns": "keep rows with a value in {kind} {path} {type} out",
    "missing_columns": "keep all rows out: {kind} {path} {type} is missing",
    "type_changes": "load {before} of {kind} {path} as {type}, keep rows out whose value does not fit",
    "nullability": "keep rows without a value in column {path} out",
    "key_changes": "keep all rows out: the key is {type} instead of {before}",
}


@dataclass(frozen=True)
class Change:
    """One difference between stream and target, and what is done about it.

    ``path`` is the column, or the way to what differs inside it (``address.zip``, ``items[].price``). ``if_needed``:
    only where the rows ask for it, in the words given; settled once the rows are staged.
    """

    dimension: Dimension
    action: Action
    path: str
    type: str = ""
    before: str = ""
    nested: bool = False
    if_needed: str = ""

    def __str__(self) -> str:
        template = _SET_ASIDE[self.dimension] if self.action == "set_aside" else _WORDS[self.action]
        kind = "field" if self.nested else "column"
        text = template.format(kind=kind, path=self.path, type=self.type, before=self.before)
        return f"{text} {self.if_needed}".rstrip()


@dataclass(frozen=True)
class Alteration:
    """One change of the target by DDL. ``needs`` is the word a destination's facts know it by."""

    needs: Literal["add_column", "rename_column", "widen_type", "grow_nested", "drop_not_null"]
    column: str
    argument: str = ""
    """The new name, or the new type."""


@dataclass(frozen=True)
class Fitted:
    """How a column of the stream is brought to the target.

    ``given`` is the engine's type as it comes, ``type`` the engine's type as it is loaded. ``cast``: not at all,
    while the rows are staged (every value fits), or later, once the rows that do not fit are set aside.
    """

    source: str
    name: str
    given: str
    type: str
    cast: Cast = "no"
    loaded: bool = True
    loses: str = ""
    """SQL over a staged row: TRUE where it has a value that is left out by choice; counted and shown."""


@dataclass(frozen=True)
class RowCondition:
    """Rows that are kept out: SQL of the engine over a staged row, TRUE where it is one, and why in words."""

    dimension: Dimension
    violation: str
    message: str
    column: str | None = None


@dataclass(frozen=True)
class Guard:
    """Something only the rows can tell, asked once they are staged: ``condition`` is SQL over a staged row.

    Where any row that would be published fulfils it, ``alteration`` is done; None: the load is refused by ``refusal``.
    """

    dimension: Dimension
    condition: str
    path: str
    alteration: Alteration | None
    refusal: DataError


@dataclass(frozen=True)
class SchemaPlan:
    """What will be done before the rows are written; ``str`` of it is for people.

    ``columns`` are those that are loaded, with the types they have in the target then. ``refusals`` is what
    forbids the load: nothing is done where there is one.
    """

    target_is_new: bool
    columns: tuple[Column, ...]
    changes: tuple[Change, ...] = ()
    alterations: tuple[Alteration, ...] = ()
    fitted: tuple[Fitted, ...] = ()
    conditions: tuple[RowCondition, ...] = ()
    guards: tuple[Guard, ...] = ()
    refusals: tuple[DataError, ...] = ()
    absent: tuple[Column, ...] = ()
    """The target's columns that are not loaded: they hold NULL in new rows."""
    required: frozenset[str] = frozenset()
    """Columns that are NOT NULL in the target, as it names them; a table that takes its place keeps that."""

    def lines(self) -> list[str]:
        """What will be done, a line a change."""
        said = [str(change) for change in self.changes]
        if self.target_is_new:
            listed = ", ".join(f"{column.name} {column.type}" for column in self.columns)
            said.insert(0, f"create the table ({listed})")
        return said if said or self.refusals else ["no change"]

    def __str__(self) -> str:
        return "; ".join([*self.lines(), *(f"refused: {refusal.what}" for refusal in self.refusals)])
