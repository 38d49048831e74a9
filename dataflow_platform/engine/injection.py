"""Named points of a load at which a test can kill the process (SIGKILL: no clean-up runs)."""

import os
import signal

POINTS = (
    "scanned",
    "staged",
    "validated",
    "handed_over",
    "stage_cleared",
    "schema_applied",
    "rows_written",
    "quarantine_written",
    "state_written",
    "record_written",
    "committed",
)


def reach(point: str) -> None:
    """Die here and now where ``DATAFLOW_KILL_AT`` names this point; do nothing otherwise."""
    if os.environ.get("DATAFLOW_KILL_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)
