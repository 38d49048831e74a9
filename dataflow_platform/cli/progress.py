"""Progress bars of running streams: rows, rows a second and megabytes."""

import io
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from dataflow_platform.core.progress import Progress, report, watch


@contextmanager
def bars(enabled: bool) -> Iterator[None]:
    """Draw a bar for each stream that loads inside the block; plain lines where nobody looks at a terminal."""
    if not enabled:
        yield
        return
    console = Console(stderr=True)
    drawn = _Lines(console) if not console.is_terminal else _Bars(console)
    stop = watch(drawn.show)
    try:
        with drawn:
            yield
    finally:
        stop()


@contextmanager
def quiet_output(log: Path) -> Iterator[None]:
    """Send what tools print (dbt, mostly) to ``log``, and turn dbt's ``7 of 42`` into a bar."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file, redirect_stdout(_ToolOutput(file)):
        yield


class _ToolOutput(io.TextIOBase):
    """Writes through to a file and reports the steps dbt counts."""

    _STEP = re.compile(r"(\d+) of (\d+) (START|OK|PASS|WARN|FAIL|ERROR)")

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        step = self._STEP.search(text)
        if step and step[3] != "START":
            done, total = int(step[1]), int(step[2])
            report(Progress("dbt models", f"{done} of {total} models and tests", fraction=done / total))
        return self._file.write(text)

    def flush(self) -> None:
        self._file.flush()


def figures(moment: Progress, seconds: float) -> str:
    """``336,776 rows  412,000 rows/s  61.2 MB`` with what is known."""
    parts = []
    if moment.rows is not None:
        parts.append(f"{moment.rows:>11,} rows {moment.rows / max(seconds, 1e-3):>11,.0f} rows/s")
    if moment.size is not None:
        parts.append(f"{moment.size / 1e6:>8.1f} MB")
    return " ".join(parts)


class _Lines:
    """One line a stream, when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started: dict[str, float] = {}
        self._rows: dict[str, int | None] = {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, moment: Progress) -> None:
        begun = self._started.setdefault(moment.stream, time.monotonic())
        if moment.done:
            seconds = time.monotonic() - begun
            self._console.print(
                f"  {moment.stream:<18} {figures(moment, seconds)} {seconds:6.1f} s", highlight=False, soft_wrap=True
            )
            del self._started[moment.stream]


class _Bars:
    """A live bar a stream."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("  {task.description:<18}"), BarColumn(bar_width=24), TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(), console=console,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, moment: Progress) -> None:
        with self._lock:
            if moment.stream not in self._tasks:
                self._tasks[moment.stream] = self._bars.add_task(moment.stream, total=None, figures=moment.phase)
                self._started[moment.stream] = time.monotonic()
            task = self._tasks[moment.stream]
            text = figures(moment, time.monotonic() - self._started[moment.stream]) or moment.phase
            if moment.fraction is not None:
                self._bars.update(task, total=1.0, completed=moment.fraction, figures=text)
            else:
                self._bars.update(task, figures=text)
            if moment.done:
                self._bars.stop_task(task)
