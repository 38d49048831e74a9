"""Declared renames: a column of the target takes its new name once, with its values."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from dataflow_platform.core.base import Column
from dataflow_platform.engine.contract.decide import Decision
from dataflow_platform.engine.contract.plan import Alteration, Change


def rename(decision: Decision, arriving: Collection[str], target: Sequence[Column]) -> list[Column]:
    """The target's columns after the renames that are due; ``arriving`` are the names that will be loaded.

    A rename is due where the new name arrives and the target still has an old one. Where it was done before, or the
    source has not begun to use the new name, nothing happens.
    """
    columns = list(target)
    declared = {new.lower() for new in decision.contract.renames}
    for name in arriving:
        if name.lower() not in declared:
            continue
        here = [column.name for column in columns]
        old = next((found for former in decision.contract.former_names(name) if (found := _find(former, here))), None)
        if old is None or old == name:
            continue
        other = old.lower() != name.lower()
        known, also_arrives = _find(name, here), other and _find(old, arriving) is not None
        if name in here or (known is not None and known != old):
            if other and not also_arrives:
                _refuse(decision, name, old, "the target has both columns, and only the new one arrives")
        elif also_arrives:
            _refuse(decision, name, old, "the stream has both columns")
        else:
            place = here.index(old)
            columns[place] = replace(columns[place], name=name)
            decision.alterations.append(Alteration("rename_column", old, name))
            decision.changes.append(Change("new_columns", "rename", name, before=old))
    return columns


def _find(name: str, among: Iterable[str]) -> str | None:
    known = list(among)
    return name if name in known else next((each for each in known if each.lower() == name.lower()), None)


def _refuse(decision: Decision, new: str, old: str, why: str) -> None:
    decision.refuse(
        "rename",
        f"renames say that '{old}' became '{new}', and {why}",
        f"take it out of contract.renames, leave one out (transform: - select), or drop '{old}' in the target",
    )
