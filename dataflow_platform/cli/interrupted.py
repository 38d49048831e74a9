"""Runs of this machine whose process died: Dagster shows them as started until somebody says so."""

import os
import socket
from contextlib import suppress

import dagster as dg

HOST, PID = "dataflow/host", "dataflow/pid"


def tags_of_this_process() -> dict[str, str]:
    """What marks a run as one of this process."""
    return {HOST: socket.gethostname(), PID: str(os.getpid())}


def close_interrupted(instance: dg.DagsterInstance) -> list[str]:
    """Mark the started runs of dead processes of this machine as failed; their ids. What they committed stays."""
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={HOST: socket.gethostname()})
    closed = []
    for run in instance.get_runs(wanted):
        if not _alive(int(run.tags.get(PID, "0"))):
            instance.report_run_failed(
                run, message="The process of this run was killed: nothing half-done was published."
            )
            closed.append(run.run_id)
    return closed


def _alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False
