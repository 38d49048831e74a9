"""Differences between a stream and its table, judged by the contract: what will be done, or why it is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import quote
from dataflow_platform.engine.contract.compare import Comparison, Difference
from dataflow_platform.engine.contract.plan import (
    Action,
    Alteration,
    Cast,
    Change,
    Fitted,
    Guard,
    RowCondition,
    SchemaPlan,
)
from dataflow_platform.engine.contract.policy import Contract, Policy
from dataflow_platform.engine.contract.rules import misfit
from dataflow_platform.engine.contract.types import parse

Verdict = Policy | Literal["trim"]
"""``trim``: the field is left out of its column."""


@dataclass(frozen=True)
class Incoming:
    """A column of the stream: the engine's type, and the type the destination would keep it as."""

    name: str
    type: str
    stored: str


@dataclass
class Decision:
    """One comparison of a stream with its target. ``keep`` are columns no load can do without (key, cursor)."""

    contract: Contract
    table: Table
    keep: frozenset[str] = frozenset()
    changes: list[Change] = field(default_factory=list)
    alterations: list[Alteration] = field(default_factory=list)
    fitted: list[Fitted] = field(default_factory=list)
    conditions: list[RowCondition] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    refusals: list[DataError] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    absent: list[Column] = field(default_factory=list)

    def plan(self, stream: Sequence[Incoming], target: Sequence[Column] | None) -> SchemaPlan:
        """What to do so that ``stream`` fits ``target`` (None: there is no table yet)."""
        if target is None:
            for column in stream:
                self.fitted.append(Fitted(column.name, column.name, column.type, column.type))
                self.columns.append(Column(column.name, column.stored))
        else:
            self._compare(stream, target)
        self._require(target or ())
        required = frozenset(column.name for column in target or () if not column.nullable)
        return SchemaPlan(
            target is None, tuple(self.columns), tuple(self.changes), tuple(self.alterations), tuple(self.fitted),
            tuple(self.conditions), tuple(self.guards), tuple(self.refusals), tuple(self.absent), required,
        )  # fmt: skip

    def _compare(self, stream: Sequence[Incoming], target: Sequence[Column]) -> None:
        left = {column.name: column for column in target}
        for column in stream:
            folded = (name for name in left if name.lower() == column.name.lower())
            found = column.name if column.name in left else next(folded, None)
            if found is None:
                self._new(column)
            else:
                self._known(column, left.pop(found))
        for there in left.values():
            self.absent.append(there)
            self._missing(Change("missing_columns", "fill_null", there.name, there.type))

    def refuse(self, code: str, what: str, fix: str) -> DataError:
        """Remember why this load cannot be."""
        error = DataError(f"contract.{code}", what, where=f"{self.table.schema}.{self.table.name}", fix=fix)
        self.refusals.append(error)
        return error

    # New and missing columns

    def _new(self, column: Incoming) -> None:
        policy = self._judge_new(column.name, column.stored)
        if policy == "evolve":
            self.alterations.append(Alteration("add_column", column.name, column.stored))
            self.columns.append(Column(column.name, column.stored))
        elif policy != "freeze":
            self._keeps(column.name, f"contract.new_columns: {policy} leaves it out")
            if policy == "quarantine":
                message = f"column {column.name} is new and has a value"
                self.conditions.append(
                    RowCondition("new_columns", f"{quote(column.name)} IS NOT NULL", message, column.name)
                )
        loses = "" if policy == "evolve" else f"{quote(column.name)} IS NOT NULL"
        self.fitted.append(
            Fitted(column.name, column.name, column.type, column.type, loaded=policy == "evolve", loses=loses)
        )

    def _judge_new(self, path: str, kind: str, nested: bool = False) -> Policy:
        policy = self.contract.new_columns
        word = "field" if nested else "column"
        if policy == "freeze":
            self.refuse(
                "new_column",
                f"the stream has a new {word} '{path}' ({kind})",
                "set contract.new_columns: evolve to add it, discard to leave it out, or quarantine",
            )
        elif policy == "evolve":
            self.changes.append(Change("new_columns", "add", path, kind, nested=nested))
        else:
            self.changes.append(
                Change("new_columns", "discard" if policy == "discard" else "set_aside", path, kind, nested=nested)
            )
        return policy

    def _missing(self, change: Change) -> None:
        policy = self.contract.missing_columns
        word = "field" if change.nested else "column"
        if policy == "freeze":
            self.refuse(
                "missing_column",
                f"the stream no longer has {word} '{change.path}'",
                "add it back in the source, declare its new name (contract.renames: {new: old}), or set "
                "contract.missing_columns: evolve to load NULL",
            )
        elif policy == "quarantine":
            self.changes.append(replace(change, action="set_aside"))
            self.conditions.append(RowCondition("missing_columns", "TRUE", f"{word} {change.path} is missing"))
        else:
            self.changes.append(change)

    def _keeps(self, name: str, reason: str) -> None:
        if name.lower() in {each.lower() for each in self.keep}:
            self.refuse(
                "column_needed",
                f"column '{name}' is part of the primary key or the cursor, and {reason}",
                "set the policy to evolve or freeze, or cast the column in the pipeline (transform: - cast)",
            )

    # Columns on both sides

    def _known(self, column: Incoming, there: Column) -> None:
        if column.name != there.name:
            self.changes.append(Change("new_columns", "spell", there.name, before=column.name))
        limit = parse(there.type)
        if limit.name == "VARCHAR" and limit.numbers and column.stored == "VARCHAR":
            self._limited(column, there, limit.numbers[0])
            return
        found: list[Difference] = []

        def follows(difference: Difference) -> bool:
            found.append(difference)
            return bool(getattr(self.contract, difference.dimension) == "evolve")

        target = parse(there.type)
        merged = Comparison(follows, self.contract.allow).merged(target, parse(column.stored), there.name)
        judged = [(difference, self._judge(difference, there.name)) for difference in found]
        verdicts = {verdict for _, verdict in judged}
        if "discard" in verdicts:
            self._leave_out(column, there)
            return
        kept = str(merged)
        if merged != target and "freeze" not in verdicts:
            grows = any(word in kept for word in ("STRUCT(", "MAP("))
            self.alterations.append(Alteration("grow_nested" if grows else "widen_type", there.name, kept))
        self.columns.append(Column(there.name, kept))
        if kept == column.stored:
            self.fitted.append(Fitted(column.name, there.name, column.type, column.type))
            return
        clear = all(each.comparable for each in found if each.dimension == "type_changes")
        misfits = misfit(there.name, column.type, kept) if clear else f"{quote(there.name)} IS NOT NULL"
        later = bool(verdicts & {"quarantine", "trim"})
        loses = misfits if "trim" in verdicts else ""
        cast: Cast = "afterwards" if later else "staging"
        self.fitted.append(Fitted(column.name, there.name, column.type, kept, cast, loses=loses))
        for dimension in dict.fromkeys(each.dimension for each, verdict in judged if verdict == "quarantine"):
            message = f"column {there.name}: the value is not exactly one of {kept}"
            self.conditions.append(RowCondition(dimension, misfits, message, there.name))

    def _limited(self, column: Incoming, there: Column, most: int) -> None:
        """Text of any length for a column of so many characters: only the rows can tell whether it fits."""
        name, policy = there.name, self.contract.type_changes
        self.fitted.append(Fitted(column.name, name, column.type, column.type))
        self.columns.append(there)
        condition = f"length({quote(name)}) > {most}"
        if policy == "quarantine":
            self.changes.append(Change("type_changes", "set_aside", name, there.type, column.stored))
            message = f"column {name}: the text is longer than {most} characters"
            self.conditions.append(RowCondition("type_changes", condition, message, name))
            return
        refusal = DataError(
            "contract.type_change",
            f"column '{name}' is {there.type} in the target, and {{rows}} have a longer text",
            where=f"{self.table.schema}.{self.table.name}",
            fix="shorten it in the pipeline, or set contract.type_changes: evolve or quarantine",
        )
        alteration = Alteration("widen_type", name, column.stored) if policy == "evolve" else None
        if alteration:
            longer = "if a longer text comes"
            self.changes.append(Change("type_changes", "widen", name, column.stored, there.type, if_needed=longer))
        self.guards.append(Guard("type_changes", condition, name, alteration, refusal))

    def _judge(self, difference: Difference, column: str) -> Verdict:
        nested = difference.path != column
        if difference.dimension == "new_columns":
            policy = self._judge_new(difference.path, str(difference.stream), nested)
            return "trim" if policy == "discard" else policy
        if difference.dimension == "missing_columns":
            self._missing(
                Change("missing_columns", "fill_null", difference.path, str(difference.target), nested=nested)
            )
            return "evolve"
        return self._judge_type(difference, nested)

    def _judge_type(self, difference: Difference, nested: bool) -> Verdict:
        old, new = str(difference.target), str(difference.stream)

        def say(action: Action, kind: str, before: str) -> None:
            self.changes.append(Change("type_changes", action, difference.path, kind, before, nested))

        # Invariant 3, no silent type change: only a change that keeps every value goes through, and it is named.
        if difference.fits:
            say("cast_up", old, new)
            return "evolve"
        policy = self.contract.type_changes
        if policy == "evolve" and difference.joined is not None:
            wide = str(difference.joined)
            say("widen", wide, old)
            if wide != new:
                say("cast_up", wide, new)
        elif policy == "quarantine":
            say("set_aside", old, new)
        elif policy != "discard":
            self._refuse_type(difference, old, new, nested)
            return "freeze"
        return policy

    def _refuse_type(self, difference: Difference, old: str, new: str, nested: bool) -> None:
        by_choice = {difference.target and difference.target.name, difference.stream and difference.stream.name}
        choice = "allow it (contract: {allow: [date_to_timestamp]}), " if by_choice == {"DATE", "TIMESTAMP"} else ""
        lossless = "; it can be widened (contract.type_changes: evolve)" if difference.joined else ""
        column = difference.path
        cast = "" if nested else f"cast it in the pipeline (transform: - cast: {{{column}: {old}}}), "
        self.refuse(
            "type_change",
            f"{'field' if nested else 'column'} '{column}' is {old} in the target and {new} in the stream{lossless}",
            f"{choice}{cast}keep rows out that do not fit (contract.type_changes: quarantine), or rebuild the table",
        )

    def _leave_out(self, column: Incoming, there: Column) -> None:
        self._keeps(there.name, "contract.type_changes: discard leaves its values out")
        self.changes.append(Change("type_changes", "leave_out", there.name, there.type, column.stored))
        loses = f"{quote(there.name)} IS NOT NULL"
        self.fitted.append(Fitted(column.name, there.name, column.type, column.type, loaded=False, loses=loses))
        self.absent.append(there)

    # Missing values

    def _require(self, target: Sequence[Column]) -> None:
        declared = {name.lower(): name for name in self.contract.not_null}
        loaded = {column.name.lower(): column.name for column in self.columns}
        fixed = {column.name.lower(): column.name for column in target if not column.nullable}
        for folded in [*fixed, *(name for name in declared if name not in fixed)]:
            name = loaded.get(folded) or fixed.get(folded)
            if name is None:
                self.refuse(
                    "not_null_unknown",
                    f"not_null names column '{declared[folded]}', and neither stream nor target has it",
                    f"correct the name; the stream has: {', '.join(loaded.values())}",
                )
            else:
                self._require_values(name, f"{quote(name)} IS NULL" if folded in loaded else "TRUE", folded in fixed)

    def _require_values(self, name: str, condition: str, fixed: bool) -> None:
        policy = self.contract.nullability
        if policy == "quarantine":
            self.changes.append(Change("nullability", "set_aside", name))
            shown = None if condition == "TRUE" else name
            self.conditions.append(RowCondition("nullability", condition, f"column {name} has no value", shown))
            return
        why = "NOT NULL in the target" if fixed else "declared not_null"
        refusal = DataError(
            "contract.null",
            f"column '{name}' is {why}, and {{rows}} have no value in it",
            where=f"{self.table.schema}.{self.table.name}",
            fix="correct the data at its source, or set contract.nullability: quarantine"
            + (" or evolve" if fixed else ""),
        )
        alteration = Alteration("drop_not_null", name) if policy == "evolve" else None
        if alteration:
            self.changes.append(Change("nullability", "drop_not_null", name, if_needed="if a row has no value in it"))
        self.guards.append(Guard("nullability", condition, name, alteration, refusal))
