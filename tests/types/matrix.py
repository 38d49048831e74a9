"""Load every type of a source into a destination and say of each: exact, widened, or refused. Never silent."""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataflow_platform.core.base import Destination, Source, Stream, Table
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from tests.types.case import Case, Origin
from tests.types.destinations import Arrival
from tests.types.meaning import canonical


@dataclass(frozen=True)
class Cell:
    """What becomes of a type: ``exact`` and ``widened`` name the type at the destination, ``refused`` the words."""

    outcome: str
    words: str

    def __str__(self) -> str:
        return self.outcome if self.outcome == "exact" else f"{self.outcome}: {self.words}"


def load(origin: Origin, cases: Sequence[Case], destination: Destination, target: Table) -> None:
    """Two loads of the same rows: the first makes the table, the second adds to it."""
    for _ in (1, 2):
        load_from(*origin.offer(cases), destination, target)


def load_from(source: Source, stream: Stream, destination: Destination, target: Table) -> None:
    """One load by ``append``, which begins at the beginning."""
    load_id = uuid.uuid4().hex
    publish(
        stage(
            StreamLoad(
                pipeline=load_id, stream=stream, source=source, destination=destination, target=target,
                strategy=Append(), strategy_name="append", load_id=load_id,
            )
        )
    )  # fmt: skip


def cells(origin: Origin, arrival: Arrival) -> Iterator[tuple[Case, Cell]]:
    """The outcome of each case of ``origin`` at one destination, in order."""
    numbered = list(enumerate(origin.cases))
    # What is odd is likely refused: by itself it costs the others nothing.
    groups = [[each for each in numbered if not each[1].note], *([each] for each in numbered if each[1].note)]
    found = {number: cell for group in groups for number, cell in _outcomes(origin, group, arrival)}
    for number, case in enumerate(origin.cases):
        yield case, found[number]


def _outcomes(origin: Origin, cases: list[tuple[int, Case]], arrival: Arrival) -> Iterator[tuple[int, Cell]]:
    """All at once; where that is refused, the column the error names by itself, or halves.

    What is left alone in the end is what was refused.
    """
    target = Table("types", f"t{uuid.uuid4().hex[:12]}")
    asked = [case for _, case in cases]
    try:
        load(origin, asked, arrival.destination, target)
    except DataflowError as error:
        if len(cases) == 1:
            yield cases[0][0], Cell("refused", error.what)
            return
        named = {int(found) for found in re.findall(r"\bc(\d+)\b", error.what)} & set(range(len(cases)))
        apart = [named.pop()] if len(named) == 1 else range(len(cases) // 2)
        yield from _outcomes(origin, [cases[number] for number in apart], arrival)
        yield from _outcomes(origin, [case for number, case in enumerate(cases) if number not in apart], arrival)
        return
    columns = arrival.columns(target)
    for position, (number, case) in enumerate(cases):
        kind = columns[f"c{position}"]
        found = arrival.values(target, f"c{position}", kind, case.family)
        # jsonb keeps what a document says; its text is another one, which is a declared widening.
        family = "document" if (case.family, kind) == ("json", "jsonb") else case.family
        changed = _changed(case, family, found)
        outcome = "exact" if kind in arrival.own(case) else "widened"
        yield number, Cell("CHANGED SILENTLY", f"{kind}: {changed}") if changed else Cell(outcome, kind)


def _changed(case: Case, family: str, found: Sequence[object]) -> str:
    """What became another value though nobody was told; '' where nothing did. There were two loads."""
    wanted = [canonical(family, value) for value in case.meanings for _ in (1, 2)]
    got = [canonical(family, value) for value in found]
    wanted += [None] * (len(got) - len(wanted))
    return "; ".join(f"{there!r} for {here!r}" for here, there in zip(wanted, got, strict=True) if here != there)
