"""One endpoint of an API: what a connector's stream declares, or a pipeline writes in place."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from dataflow_platform.connectors.rest import batches, template
from dataflow_platform.connectors.rest.cursor import Cursor, Deleted, Delta
from dataflow_platform.connectors.rest.error_rules import ErrorRule
from dataflow_platform.connectors.rest.graphql import GraphQL
from dataflow_platform.connectors.rest.job import Job
from dataflow_platform.connectors.rest.paging import NoPaging, Paging
from dataflow_platform.connectors.rest.parent import Parent
from dataflow_platform.connectors.rest.records import Format, Records
from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError

Value = str | int | float | bool
Columns = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=list[str] | str),
]
"""Names of columns; one may stand by itself."""


class Csv(Spec):
    """How a CSV answer is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Character between the values.")
    quote: str = Field(default='"', min_length=1, max_length=1, description="Character around values.")
    skip: int = Field(default=0, ge=0, description="Lines above the header.")


class WindowParams(Spec):
    """The query parameters that take a partition's range."""

    start: str = Field(description="Query parameter that takes the range's start, as ISO text.")
    end: str | None = Field(default=None, description="Query parameter that takes the range's end, as ISO text.")


class Endpoint(Spec):
    """One endpoint of a REST API."""

    shorthand: ClassVar[str | None] = "path"

    path: str = Field(
        default="",
        description="Path below `base_url`, such as `v1/orders`; `{name}` is a variable or a parent's value.",
    )
    method: Literal["GET", "POST", "PUT"] = Field(default="GET", description="HTTP method; POST where there is a body.")
    params: dict[str, Value | list[Value]] = Field(
        default_factory=dict,
        description="Query parameters of every request (of the first only, with `next_link`). One that names what is "
        "not there, such as `{cursor}` before the first load, is left out.",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Further request headers.")
    body: dict[str, Any] | list[Any] | str | None = Field(
        default=None, description="JSON body; text is sent as it is, with the Content-Type among `headers`."
    )
    form: bool = Field(default=False, description="The body is sent as a form instead of JSON.")
    graphql: GraphQL | None = Field(default=None, description="A GraphQL query in place of a body.")
    job: Job | None = Field(default=None, description="The endpoint starts an asynchronous export.")
    format: Format = Field(default="json", description="What the answer is; gzip and zip are opened.")
    csv: Csv = Field(default=Csv(), description="How a CSV answer is written.")
    records: Records = Field(default=Records(), description="Where the records stand in the answer.")
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="Further columns from inside the record: column to path, such as `updated: attributes.updated`.",
    )
    primary_key: Columns = Field(
        default_factory=list, description="Columns that tell rows apart; the pipeline's own `primary_key` wins."
    )
    paging: Paging = Field(default=NoPaging(), description="How one page leads to the next.")
    cursor: Cursor | None = Field(default=None, description="How the endpoint is asked for what is new.")
    cursor_param: str | None = Field(
        default=None,
        description="Short for `cursor: {param: ...}`: takes the text of the greatest cursor loaded so far. The API "
        "must include rows equal to it; rows it sends twice are recognised.",
    )
    window_params: WindowParams | None = Field(
        default=None, description="Query parameters that take a partition's range."
    )
    delta: Delta | None = Field(default=None, description="The API gives a token that stands for all that was read.")
    deleted: Deleted | None = Field(default=None, description="How the API tells of deleted records.")
    parent: Parent | None = Field(default=None, description="What the endpoint is asked once for each of.")
    errors: list[ErrorRule] = Field(default_factory=list, description="Rules for this endpoint, before all others.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Types of columns: VARCHAR, BOOLEAN, SMALLINT, INTEGER, BIGINT, DOUBLE, DECIMAL(p,s), DATE, "
        "TIMESTAMP, TIMESTAMPTZ, or JSON (the value's JSON text). The other columns take theirs from the first pages.",
    )
    infer: bool = Field(
        default=True,
        description="`false`: `columns` names every column, nothing is read before the load itself runs, and "
        "any other field is an error.",
    )
    overflow: str | None = Field(
        default=None,
        description="A JSON column that takes fields which first appear after the columns were settled, and values "
        "that are not of their column's inferred type; without it they are errors.",
    )

    @field_validator("columns")
    @classmethod
    def _known_types(cls, columns: dict[str, str]) -> dict[str, str]:
        return {name: batches.parse_kind(name, kind) for name, kind in columns.items()}

    @model_validator(mode="after")
    def _one_way(self) -> "Endpoint":
        if self.cursor and self.cursor_param:
            raise ConfigError(
                "rest.cursor", "cursor and cursor_param say the same", where="cursor_param", fix="keep `cursor`"
            )
        if self.graphql and self.body is not None:
            raise ConfigError(
                "rest.graphql", "a GraphQL query has no other body", where="body", fix="put values into its variables"
            )
        return self

    @property
    def verb(self) -> str:
        """The HTTP method really used."""
        return (
            "POST" if self.graphql or (self.body is not None and "method" not in self.model_fields_set) else self.method
        )

    def names(self) -> set[str]:
        """The names in braces that something has to give a value for."""
        asked = set(template.names([self.path, self.params, self.headers, self.body]))
        if self.graphql:
            asked |= set(template.names(self.graphql.variables))
        if self.job:
            asked |= set(template.names([self.job.poll.path, self.job.poll.body, self.job.result]))
            asked = {name for name in asked if not name.startswith("job.")}
        if self.paging.type != "none" and getattr(self.paging, "place", "") == "template":
            asked -= {getattr(self.paging, "param", ""), getattr(self.paging, "limit_param", "") or ""}
        given = set(self.parent.values) if self.parent else set()
        return asked - given - set(template.CURSOR_NAMES)


Parent.model_rebuild(_types_namespace={"Endpoint": Endpoint})
Endpoint.model_rebuild()
