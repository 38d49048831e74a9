"""GraphQL: one query, sent by POST with its variables."""

from typing import Any

from pydantic import Field

from dataflow_platform.core.base import Spec


class GraphQL(Spec):
    """A GraphQL query. Page by `paging: {type: next_cursor, place: body, param: variables.after, ...}`."""

    shorthand = "query"

    query: str = Field(description="The query, with its variables declared: `query($after: String) {...}`.")
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Values of the variables; `{cursor}` and `{variable}` are filled in."
    )
