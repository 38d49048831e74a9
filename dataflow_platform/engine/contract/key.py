"""The primary key of this load against that of the last one: what the table's rows are told apart by."""

from collections.abc import Sequence

from dataflow_platform.core.base import Column, Session
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine.contract.decide import Decision
from dataflow_platform.engine.contract.plan import Change, RowCondition


def compare_key(decision: Decision, last: Sequence[str] | None, now: Sequence[str], names: Sequence[str]) -> bool:
    """Judge a key other than that of the last load (None: not known); True where the table has to be asked.

    ``names`` are the columns that arrive; the last key is followed through the declared renames.
    """
    if last is None:
        return False
    before = [decision.contract.named_now(name, names) for name in last]
    if {name.lower() for name in before} == {name.lower() for name in now}:
        return False
    old, new = (f"({', '.join(key)})" for key in (before, now))
    policy = decision.contract.key_changes
    if policy == "freeze":
        decision.refuse(
            "key_change",
            f"the primary key is {new}, that of the last load was {old}",
            "declare the old key, set contract.key_changes: evolve, or load into another table",
        )
    elif policy == "quarantine":
        decision.changes.append(Change("key_changes", "set_aside", "", new, old))
        decision.conditions.append(RowCondition("key_changes", "TRUE", f"the primary key is {new} instead of {old}"))
    else:
        decision.changes.append(Change("key_changes", "key", "", new, old))
    return policy == "evolve"


def refuse_ambiguous(
    decision: Decision, session: Session, key: Sequence[str], target: Sequence[Column], history: bool
) -> None:
    """Refuse a new key that does not tell the table's rows apart. ``history``: a key has several rows there.

    ``target`` has the columns as they stand, under the names of ``key`` where they are due to be renamed.
    """
    new = f"({', '.join(key)})"
    fix = "load into another table, or rebuild this one (dataflow state reset, then load from the beginning)"
    if history:
        decision.refuse("key_change", f"a history keeps its key: the table's versions are not those of {new}", fix)
        return
    renamed = {each.argument: each.column for each in decision.alterations if each.needs == "rename_column"}
    there = {column.name.lower(): renamed.get(column.name, column.name) for column in target}
    table = qualified(decision.table.schema, decision.table.name)
    known = [quote(there[name.lower()]) for name in key if name.lower() in there]
    if len(known) < len(key):
        bad = session.query(f"SELECT count(*) FROM {table}")[0][0]
    else:
        listed, missing = ", ".join(known), " OR ".join(f"{name} IS NULL" for name in known)
        bad = session.query(
            f"SELECT count(*) FROM (SELECT {listed} FROM {table} GROUP BY {listed} HAVING count(*) > 1 OR {missing}) "
            "AS unclear"
        )[0][0]
    if bad:
        decision.refuse("key_change", f"the new primary key {new} does not tell the table's rows apart", fix)
