"""Exports that take their time: create a job, ask until it is done, download what it made."""

from typing import Any, Literal

from pydantic import Field

from dataflow_platform.core.base import Spec


class Poll(Spec):
    """How a job is asked whether it is done."""

    shorthand = "path"

    path: str = Field(description="Path, such as `jobs/{job.id}`, or `{job.url}` where the API gives an address.")
    method: Literal["GET", "POST"] = Field(default="GET", description="HTTP method.")
    body: dict[str, Any] | None = Field(default=None, description="JSON body.")


class Job(Spec):
    """An asynchronous export. The endpoint's own request creates it; format, records and paging are the result's."""

    values: dict[str, str] = Field(
        description="Names and paths of values in the answer to the creation; used as `{job.name}`, such as `id: id`. "
        "`header:Location` takes a header."
    )
    poll: Poll = Field(description="How the job is asked whether it is done.")
    status: str = Field(default="status", description="Path of the status in the answer to the poll.")
    done: list[str] = Field(min_length=1, description="Statuses that mean: the result is there.")
    failed: list[str] = Field(default_factory=list, description="Statuses that mean: there will be none.")
    empty: list[str] = Field(default_factory=list, description="Statuses that mean: there are no rows.")
    message: str | None = Field(default=None, description="Path of the API's own words in the answer to the poll.")
    interval_seconds: float = Field(default=5, gt=0, description="Time between two polls; grows to six times this.")
    timeout_seconds: float = Field(default=3600, gt=0, description="Longest time a job may take.")
    result: str | None = Field(default=None, description="Path of the result, such as `jobs/{job.id}/results`.")
    urls: str | None = Field(
        default=None,
        description="Path, in the answer to the poll, of the result's address or list of addresses (`files[].url`). "
        "Addresses on another host get no credentials.",
    )
