"""Conditions simple enough that a source may be asked for the rows that fulfil them."""

from dataclasses import dataclass
from typing import Literal

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null"]


@dataclass(frozen=True)
class Predicate:
    """``column operator values``, in DuckDB's meaning: a row it is not TRUE for is dropped by the pipeline's steps.

    ``values`` are whole numbers or texts as written; one, several for ``in``, none for the last two operators.
    """

    column: str
    operator: Operator
    values: tuple[int | str, ...] = ()
