"""One measurement in a process of its own: wall seconds, CPU seconds and peak memory."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Measured:
    """What one run took: seconds, CPU seconds of the process, peak resident memory in MB (imports included)."""

    wall: float
    cpu: float
    peak: float


def _run(work: Callable[..., None], arguments: tuple[object, ...], answer: "multiprocessing.Queue[Measured]") -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    work(*arguments)
    took = time.perf_counter() - wall, time.process_time() - cpu
    answer.put(Measured(*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measure(work: Callable[..., None], *arguments: object) -> Measured:
    """Run ``work`` (a module's function) in a new process; its imports are loaded before the clock starts."""
    answer: multiprocessing.Queue[Measured] = _CONTEXT.Queue()
    child = _CONTEXT.Process(target=_run, args=(work, arguments, answer))
    child.start()
    found = answer.get()
    child.join()
    return found


def table(rows: int, found: dict[str, list[Measured]]) -> str:
    """A Markdown table: the best wall time of each way with its CPU seconds, rows a second and peak memory."""
    lines = ["| way | wall s (all rounds) | rows/s | CPU s | peak MB |", "|---|---|---|---|---|"]
    for way, runs in found.items():
        best = min(runs, key=lambda run: run.wall)
        rounds = ", ".join(f"{run.wall:.2f}" for run in runs)
        lines.append(f"| {way} | {rounds} | {rows / best.wall:,.0f} | {best.cpu:.2f} | {best.peak:.0f} |")
    return "\n".join(lines)
