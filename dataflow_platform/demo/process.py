"""Processes by number: which one a number means, and ending exactly that one."""

import os
import signal
import subprocess
import time
from pathlib import Path

_PATIENCE_SECONDS = 20


def identity(pid: int) -> str | None:
    """When process ``pid`` was started, as the system writes it; None where it is gone (or only unburied).

    Number and start together name one process: numbers are given again.
    """
    if Path("/proc/self/stat").exists():
        try:
            # The name before the last bracket may hold anything, blanks too.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = shown.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def end(pid: int, started: str | None, polite: signal.Signals) -> None:
    """Ask the process to end, insist after 20 s; one that is not the process meant is left alone."""
    if started is None or identity(pid) != started:
        return
    for how in (polite, signal.SIGKILL):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if identity(pid) != started:
                return
            time.sleep(0.02)
