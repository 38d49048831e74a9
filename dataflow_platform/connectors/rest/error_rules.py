"""What an answer that is no plain success means: rules of the connector before the table that holds for all."""

from typing import Literal

from pydantic import Field, field_validator

from dataflow_platform.connectors.rest import value_path
from dataflow_platform.core.base import Spec

Verdict = Literal["retry", "unauthorized", "forbidden", "rejected", "skip", "ok"]


class BodyTest(Spec):
    """A test of one value in the body; a bare path asks that it is there and neither null, false nor empty."""

    shorthand = "path"

    path: str = Field(description="Path of the value, such as `error.code`.")
    equals: str | int | bool | None = Field(default=None, description="The value it must have.")
    one_of: list[str | int] = Field(default_factory=list, description="Values of which it must have one.")
    matches: str | None = Field(default=None, description="Regular expression that is found in its text.")

    @field_validator("path")
    @classmethod
    def _is_path(cls, path: str) -> str:
        value_path.steps(path)
        return path


class ErrorRule(Spec):
    """One rule: all that it names must hold. The first rule that fits decides; then the table of statuses.

    By the table 2xx is a success; 408, 425, 429 and 5xx are tried again after `Retry-After`, or with growing waits;
    401 asks for fresh credentials once; the rest fails.
    """

    status: int | str | list[int | str] | None = Field(
        default=None, description="Status, or several: `403`, `5xx`, `[403, 409]`; absent: any."
    )
    header: dict[str, str] = Field(
        default_factory=dict, description="Headers and the regular expression that each must hold."
    )
    body: BodyTest | None = Field(default=None, description="A test of the decoded body, also of a 200.")
    then: Verdict = Field(
        description="`retry`: try again; `unauthorized`: fetch a new token and try once more; `forbidden`, `rejected`: "
        "fail, a person has to act; `skip`: there is nothing to read here, go on; `ok`: take it as a success."
    )
    wait_seconds: float | None = Field(default=None, ge=0, description="How long to wait before a `retry`.")
    wait_header: str | None = Field(
        default=None, description="Header with the seconds to wait, or with the time (unix or HTTP date) to wait for."
    )
    message: str | None = Field(default=None, description="Path, in the body, of the API's own words for people.")
    fix: str | None = Field(default=None, description="What the reader should do about it.")

    @field_validator("status")
    @classmethod
    def _is_status(cls, status: int | str | list[int | str] | None) -> int | str | list[int | str] | None:
        for each in status if isinstance(status, list) else [] if status is None else [status]:
            text = str(each).lower()
            if not (len(text) == 3 and text[0] in "12345" and (text[1:] == "xx" or text[1:].isdigit())):
                raise ValueError(f"'{each}' is no status: write 404 or 4xx")
        return status
