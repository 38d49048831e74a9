"""The SELECT of a step that takes columns from what a function knows of a key."""

from collections.abc import Mapping, Sequence
from typing import Literal

from dataflow_platform.core.load_plan import Column
from dataflow_platform.core.projection import refuse_known
from dataflow_platform.core.sql import quote
from dataflow_platform.core.transformation import failing, flag

_ANSWER = "_dataflow_answer"
Misfit = Literal["fail", "quarantine", "null"]


def enriched(
    columns: Sequence[Column], call: str, asked: str, taken: Mapping[str, str], misfit: Misfit, rule: str, said: str
) -> str:
    """A SELECT of all ``columns`` and of fields of what ``call`` gives, a structure, or NULL where it knows nothing.

    ``taken`` maps fields to names. Where ``asked`` (SQL over ``input``) is TRUE and nothing is known, ``misfit`` says
    what becomes of the row: ``rule`` sets it aside, ``said`` is what the run fails with.
    """
    refuse_known(taken.values(), columns, "the step")
    answer = f"input.{_ANSWER}"
    unknown = f"{asked} AND {answer} IS NULL"
    kept = [f"input.{quote(column.name)} AS {quote(column.name)}" for column in columns]
    for field, name in taken.items():
        value = f"{answer}.{quote(field)}"
        if misfit == "fail":
            value = f"CASE WHEN {unknown} THEN {failing(said)} ELSE {value} END"
        kept.append(f"{value} AS {quote(name)}")
    if misfit == "quarantine":
        kept.append(f"{unknown} AS {quote(flag(rule))}")
    return f"SELECT {', '.join(kept)} FROM (SELECT input.*, {call} AS {_ANSWER} FROM input) AS input"


def structure(fields: Mapping[str, str]) -> str:
    """The DuckDB type of a structure with these ``fields``."""
    return f"STRUCT({', '.join(f'{quote(name)} {kind}' for name, kind in fields.items())})"
