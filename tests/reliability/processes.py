"""Loads in processes of their own, forked from a server that has imported everything already."""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from dataflow_platform.core import injection
from dataflow_platform.core.errors import DataflowError
from tests.reliability import faults

PRELOADED = [
    "pandas", "pyarrow.dataset", "psycopg2", "sqlglot.dialects.postgres", "tests.reliability.workload",
    "dataflow_platform.connectors.duckdb", "dataflow_platform.connectors.postgres",
    "dataflow_platform.connectors.postgres.dialect", "dataflow_platform.connectors.files",
    # What a Dagster run imports on its way: 2 CPU seconds otherwise, each time.
    "dataflow_platform.definitions", "sqlalchemy.dialects.sqlite", "alembic.autogenerate", "alembic.command", "antlr4",
    "dagster._core.storage.legacy_storage", "dagster._core.storage.event_log", "dagster._core.storage.runs",
    "dagster._core.storage.schedules", "dagster._core.storage.local_compute_log_manager", "dagster._daemon",
    "dagster._core.scheduler", "dagster._core.run_coordinator", "dagster._core.launcher", "watchdog.observers",
    "dataflow_platform.cli.run", "dataflow_platform.cli.progress", "dataflow_platform.cli.summary",
    "deltalake", "dataflow_platform.connectors.delta", "dataflow_platform.connectors.parquet_dataset",
]  # fmt: skip

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__, *PRELOADED])


@dataclass(frozen=True)
class Job:
    """One load to run, and what is done to it. ``again``: after an error it is tried anew in the same process."""

    fields: dict[str, Any]
    strategy: str
    load: int
    fault: dict[str, Any] = field(default_factory=lambda: {"kind": "none"})
    repeats: int | None = None
    again: bool = False
    kill_seconds: float | None = None
    """When the parent kills it, counted from the beginning of the load."""
    count: bool = False


@dataclass
class End:
    """How a load ended. ``error`` is the code of a DataflowError, ``crash`` the text of anything else."""

    killed: bool = False
    rows_loaded: int | None = None
    error: str = ""
    transient: bool = False
    crash: str = ""
    retried: bool = False
    seconds: float = 0.0
    passages: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.error or self.crash)


def run(job: Job) -> End:
    """Run the load to its end, whichever that is."""
    killed, said = fork(_load, job, kill_seconds=job.kill_seconds)
    return End(killed=killed, **said)


def fork(function: Callable[..., None], given: Any, kill_seconds: float | None = None) -> tuple[bool, dict[str, Any]]:
    """Call ``function(given, pipe)`` in a process of its own; whether it was killed, and what it sent last.

    It has to send something when it begins: ``kill_seconds`` are counted from there.
    """
    process, ours = begin(function, given)
    said: dict[str, Any] = {}
    with suppress(EOFError):
        ours.recv()  # it begins
        if kill_seconds is not None and not ours.poll(kill_seconds):
            os.kill(process.pid or 0, signal.SIGKILL)
        said = ours.recv()
    process.join()
    ours.close()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise AssertionError(f"the process ended with {process.exitcode}: {given}")
    return process.exitcode == -signal.SIGKILL, said


def begin(function: Callable[..., None], given: Any) -> tuple[BaseProcess, Connection]:
    """Start ``function(given, pipe)`` in a process of its own, and the end of the pipe that it sends to."""
    ours, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=function, args=(given, theirs))
    process.start()
    theirs.close()
    return process, ours


def _load(job: Job, parent: Connection) -> None:
    from tests.reliability import workload

    # Forked from `python -c`, DuckDB takes us for a person at a prompt and draws progress bars.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    counted: dict[str, int] = {}
    if job.count:
        injection.arm(counted.__setitem__)
    disarm = faults.arm(job.fault, job.fields) if job.fault["kind"] != "none" else lambda: None
    parent.send("it begins")
    begun = time.monotonic()
    said: dict[str, Any] = {}
    try:
        said["rows_loaded"] = workload.load(job.fields, job.strategy, job.load, job.repeats).rows_loaded
    except DataflowError as error:
        said |= {"error": error.code, "transient": type(error).__name__ == "TransientError"}
    except Exception:  # noqa: BLE001  # what no one explained is what the campaign looks for
        said["crash"] = traceback.format_exc()
    said["seconds"] = time.monotonic() - begun
    if job.again and (said.get("error") or said.get("crash")):
        disarm()
        try:
            said["rows_loaded"] = workload.load(job.fields, job.strategy, job.load, job.repeats).rows_loaded
        except Exception:  # noqa: BLE001  # the parent says what it means
            said["crash"] = traceback.format_exc()
        said["retried"] = True
    parent.send({**said, "passages": counted})
    parent.close()
