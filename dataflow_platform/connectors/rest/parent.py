"""Endpoints that are asked once for each record of another: the messages of each channel."""

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.endpoint import Endpoint


class Parent(Spec):
    """What the endpoint is asked for each of: a stream's records, or the values of a list."""

    stream: str | None = Field(default=None, description="Stream of the same connector whose records are the parents.")
    endpoint: "Endpoint | None" = Field(default=None, description="The parents' endpoint, written in place.")
    each: str | None = Field(default=None, description="Variable with a list: one request for each of its values.")
    values: dict[str, str] = Field(
        default_factory=dict,
        description="Names to paths in the parent's record; used as `{name}` in path, params and body: `channel: id`. "
        "With `each` the value itself is `$`.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Columns the rows get from their parent: column to path in the parent's record.",
    )
    where: dict[str, Any] = Field(
        default_factory=dict, description="Only parents whose value at each path is this one: `is_member: true`."
    )
    concurrency: int = Field(default=8, ge=1, description="Parents asked for at once, within the connection's `rate`.")
    skip_missing: bool = Field(default=False, description="A parent that is gone (404, 410) has no rows.")
    cursor_each: bool = Field(
        default=False,
        description="Each parent is read from its own last cursor; a new parent from the beginning. The stream then "
        "has no `cursor` of its own: use `load: merge`.",
    )

    @model_validator(mode="after")
    def _one(self) -> "Parent":
        if sum(value is not None for value in (self.stream, self.endpoint, self.each)) != 1:
            raise ConfigError(
                "rest.parent", "a parent is a stream, an endpoint or a list", where="parent",
                fix="set exactly one of: stream, endpoint, each",
            )  # fmt: skip
        return self
