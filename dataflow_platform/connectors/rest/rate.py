"""How fast an API may be asked."""

from typing import Literal

import dagster as dg
from pydantic import ConfigDict, Field


class Rate(dg.Config):
    """How fast the API may be asked: one budget for all streams and runs on this machine that use the same key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: float | None = Field(
        default=None, gt=0, description="Requests a second at most, retries included; no limit when absent."
    )
    requests: int | None = Field(
        default=None, gt=0, description="Requests at most in `per_seconds`; they may come at once (a burst)."
    )
    per_seconds: float = Field(default=60, gt=0, description="The time that `requests` are counted in.")
    concurrency: int = Field(
        default=8, ge=1, description="Requests under way at once, of all streams of the process; fewer after a 429."
    )
    remaining_header: str | None = Field(
        default=None, description="Header with the requests that are left; the usual names are known."
    )
    reset_header: str | None = Field(
        default=None, description="Header that says when there are more again; the usual names are known."
    )
    reset: Literal["auto", "seconds", "unix", "unix_ms", "time"] = Field(
        default="auto", description="What `reset_header` holds: seconds to wait, or the time as unix, unix_ms or text."
    )
