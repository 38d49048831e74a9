"""One measurement in a process of its own: wall seconds, CPU seconds and peak memory."""

import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Measured:
    """What one run took: seconds, CPU seconds of the client, peak resident memory in MB, CPU seconds of the server."""

    wall: float
    cpu: float
    peak: float
    server_cpu: float = 0.0


def _run(work: Callable[..., None], arguments: tuple[object, ...], answer: "multiprocessing.Queue[Measured]") -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    work(*arguments)
    took = time.perf_counter() - wall, time.process_time() - cpu
    answer.put(Measured(*took, _peak()))


def _peak() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The kernel's own figure for a process begins with the peak of the one that started it; this one does not.
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024


def measure(work: Callable[..., None], *arguments: object) -> Measured:
    """Run ``work`` (a module's function) in a new process; its imports are loaded before the clock starts."""
    answer: multiprocessing.Queue[Measured] = _CONTEXT.Queue()
    child = _CONTEXT.Process(target=_run, args=(work, arguments, answer))
    child.start()
    found = answer.get()
    child.join()
    return found


def measure_command(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, server: Callable[[], float] | None = None
) -> Measured:
    """Run a command from its start to its end, with the processes it starts; its output goes to a log in ``folder``.

    ``server``: CPU seconds so far of the server it speaks to. The peak is that of the largest process.
    """
    before = server() if server else 0.0
    log, answer = folder / "command.log", folder / "command.took"
    spawned = [sys.executable, "-I", "-S", str(Path(__file__).with_name("spawned.py")), str(answer)]
    with log.open("wb") as output:
        subprocess.run(
            [*spawned, *words], env=dict(environment), stdout=output, stderr=subprocess.STDOUT, cwd=folder, check=True
        )
    code, wall, cpu, peak = map(float, answer.read_text().split())
    if code:
        raise RuntimeError(f"{' '.join(words)[:200]} ended with {code:.0f}:\n{log.read_text()[-3000:]}")
    return Measured(wall, cpu, peak, server() - before if server else 0.0)


def table(rows: int, found: Mapping[str, Sequence[Measured]], limit: str) -> str:
    """A Markdown table of medians. The last column compares the rate with that of the way ``limit``."""
    lines = [
        f"| way | wall s (rounds) | rows/s | client CPU s | server CPU s | peak MB | rate, to {limit} |",
        "|---|---|---|---|---|---|---|",
    ]
    best = statistics.median(run.wall for run in found[limit])
    for way, runs in found.items():
        wall, cpu, server = (statistics.median(getattr(run, name) for run in runs) for name in _TOLD)
        rounds = ", ".join(f"{run.wall:.1f}" for run in runs)
        peak = max(run.peak for run in runs)
        lines.append(
            f"| {way} | {wall:.1f} ({rounds}) | {rows / wall:,.0f} | {cpu:.1f} | {server:.1f} | {peak:.0f} "
            f"| {best / wall:.2f} |"
        )
    return "\n".join(lines)


_TOLD = ("wall", "cpu", "server_cpu")
