"""Which round comes as number n: drawn from the seed alone, every cell once before any comes again.

The first time round, the kills at named points come before all other faults, and the double kills next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.reliability import pipelines, small_disk
from tests.reliability.outcome import Round
from tests.reliability.rounds import Arena, Golden
from tests.reliability.workload import LOADS, PAGES, STRATEGIES

FAULTS_OF: dict[str, tuple[str, ...]] = {
    "duckdb": ("kill_after", "kill_any", "kill_twice", "disk_full", "file_limit", "memory", "clock", "page_twice"),
    "postgres": (
        "kill_after", "kill_any", "kill_twice", "terminate", "cut", "lost_commit", "disk_full", "memory", "clock",
        "page_twice",
    ),
    **dict.fromkeys(
        ("delta", "parquet_dataset"),
        ("kill_after", "kill_any", "kill_twice", "disk_full", "file_limit", "memory", "clock", "page_twice"),
    ),
}  # fmt: skip
"""The faults other than a kill at a point that each destination can suffer."""
AROUND = {"kill_after": ("record_written", "committed", "opened", "stage_cleared", "rows_written")}
"""Where a delayed kill starts from: what follows these points takes long inside the database."""
PAST = ("committed", "closed")
"""Points at which nothing is left to be broken by a lost connection."""


@dataclass(frozen=True)
class Cell:
    """What a round is counted under."""

    destination: str
    strategy: str
    fault: str
    point: str = ""


class Plan:
    """The rounds of one destination, by number."""

    def __init__(self, arena: Arena, seed: int, destination: str) -> None:
        self._arena, self.seed, self.destination = arena, seed, destination
        self.cells = list(self._cells(destination))

    def _cells(self, destination: str) -> Iterator[Cell]:
        for strategy in STRATEGIES:
            golden = self._arena.golden(destination, strategy)
            points = sorted({point for end in golden.ends for point in end.passages})
            yield from (Cell(destination, strategy, "kill", point) for point in points)
            for fault in FAULTS_OF[destination]:
                if fault != "disk_full" or small_disk.mountable():
                    yield Cell(destination, strategy, fault)
        yield from (Cell(destination, "append", "pipeline", point) for point in pipelines.POINTS)

    def cell(self, number: int) -> Cell:
        """The cell of round ``number`` (from 0)."""
        cycle, place = divmod(number, len(self.cells))
        order = list(range(len(self.cells)))
        Random(f"{self.seed}/{self.destination}/{cycle}").shuffle(order)
        if cycle == 0:
            order.sort(key=lambda each: (not self.cells[each].point, self.cells[each].fault != "kill_twice"))
        return self.cells[order[place]]

    def round(self, number: int) -> Round:
        """Round ``number`` with everything drawn."""
        cell, random = self.cell(number), Random(f"{self.seed}/{self.destination}/round {number}")
        if cell.fault == "pipeline":
            passages = self._arena.projects.before(cell.destination).passages[cell.point]
            drawn_ = {"passage": random.randint(1, passages), "how": random.choice(pipelines.HOWS)}
            return Round(cell.destination, cell.strategy, 1, {"kind": "pipeline", "point": cell.point, **drawn_})
        golden = self._arena.golden(cell.destination, cell.strategy)
        load = random.choice([load for load in range(LOADS) if cell.point in ("", *golden.ends[load].passages)])
        fault: dict[str, Any] = {"kind": cell.fault, **drawn(cell, golden, load, random)}
        # The following loads presume the rows of the true source.
        further = cell.fault != "page_twice" and random.random() < 0.25
        return Round(cell.destination, cell.strategy, load, fault, random.random() < 0.5, further)


def drawn(cell: Cell, golden: Golden, load: int, random: Random) -> dict[str, Any]:
    """The details of a fault: where, when, how much."""
    passages, share = golden.ends[load].passages, random.random()
    if cell.fault in ("kill", "kill_after", "kill_twice", "terminate", "clock", "page_twice"):
        points = (
            [cell.point] if cell.point else [point for point in AROUND.get(cell.fault, passages) if point in passages]
        )
        if cell.fault == "terminate":
            points = [point for point in points if point not in PAST]
        drawn = _passage(passages, random.choice(points), share)
        if cell.fault == "kill_twice":
            drawn["second"] = _passage(passages, random.choice(sorted(passages)), random.random())
        elif cell.fault == "kill_after":
            drawn["seconds"] = random.random() * 0.03
        elif cell.fault == "clock":
            drawn["days"] = random.choice([-3650, -1, 1, 3650])
        elif cell.fault == "page_twice":
            drawn["page"] = random.randrange(PAGES)
        return drawn
    if cell.fault == "kill_any":
        return {"seconds": share * golden.ends[load].seconds}
    if cell.fault == "cut":
        return {"cut_after": int(share * golden.bytes[load])}
    if cell.fault == "lost_commit":
        return {"lost_commit": 1 + int(share * golden.commits[load]), "heard": random.random() < 0.5}
    if cell.fault == "memory":
        return {"kilobytes": 500 + int(share * 4_000)}
    if cell.fault == "file_limit":
        return {"bytes": 20_000 + int(share * 800_000)}
    return {"bytes": int(share * 800_000)}


def _passage(passages: Mapping[str, int], point: str, share: float) -> dict[str, Any]:
    """One of the passages of ``point``: the first where ``share`` is 0."""
    # How many blocks a COPY has depends on the pace of both ends: half of them come every time.
    often = passages[point] // 2 if point == "copy_block" else passages[point]
    return {"point": point, "passage": 1 + int(share * often)}
