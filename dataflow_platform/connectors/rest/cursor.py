"""How an endpoint is asked for what is new: by a cursor, by slices of time, or by a token of the API."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError

Place = Literal["query", "body", "header", "template"]
PLACE = (
    "Where it is put: `query`, `body` (then its name is a dotted path in the body), `header`, or `template` (as "
    "`{name}` in path, params and body)."
)
FORMATS = ("text", "iso", "iso_ms", "date", "unix", "unix_ms", "http_date")


class Cursor(Spec):
    """What is new since the last load: a column that grows, and the parameters that ask from there on.

    The API must include rows equal to the bound, or say `exclusive`; rows it sends twice are recognised.
    """

    shorthand = "field"

    field: str | None = Field(
        default=None, description="The column: the stream's `cursor` where the pipeline names none."
    )
    param: str | None = Field(
        default=None,
        description="Parameter that takes where reading begins. `{cursor}` in params and body does as well.",
    )
    end_param: str | None = Field(
        default=None, description="Parameter that takes where a slice or a partition ends; `{cursor_end}` as well."
    )
    place: Place = Field(default="query", description=PLACE)
    format: str = Field(
        default="text",
        description="How the bound is written: `text` (as the column has it), `iso` (2026-01-31T10:00:00Z), `iso_ms`, "
        "`date` (2026-01-31), `unix`, `unix_ms`, `http_date`, or a pattern such as `%Y%m%d`.",
    )
    exclusive: bool = Field(
        default=False, description="The API leaves out rows equal to the bound: it is asked for one step before it."
    )
    start: str | None = Field(
        default=None, description="Where the first load begins, such as 2020-01-01; everything when absent."
    )
    slice: str | None = Field(
        default=None, description="Ask by slices of time, such as `30d` or `1h`: needs `start`, and a time as cursor."
    )
    parallel: int = Field(default=1, ge=1, description="Slices that are read at once.")
    sorted: Literal["none", "descending"] = Field(
        default="none",
        description="`descending`: the newest rows come first: reading ends after the first page that is wholly older.",
    )

    @field_validator("format")
    @classmethod
    def _known_format(cls, format: str) -> str:
        if format not in FORMATS and "%" not in format:
            raise ConfigError(
                "rest.cursor_format",
                f"there is no cursor format '{format}'",
                where="cursor.format",
                fix=f"use one of {', '.join(FORMATS)}, or a pattern such as %Y-%m-%d",
            )
        return format

    @model_validator(mode="after")
    def _slices_begin(self) -> "Cursor":
        if self.slice and not self.start:
            raise ConfigError(
                "rest.slice", "slices need a beginning", where="cursor.slice", fix="add start: 2020-01-01 (a time)"
            )
        return self


class Delta(Spec):
    """A token of the API that stands for `all you have seen`: kept with the load, sent with the next.

    Such a stream has no `cursor`: use `load: merge`, as rows may come again.
    """

    body_path: str = Field(description="Path of the token in the last page's body, or `header:Name`.")
    param: str = Field(description="Parameter that takes the token of the last load.")
    place: Place = Field(default="query", description=PLACE)
    drop_params: list[str] = Field(
        default_factory=list, description="Parameters that may not be sent together with the token."
    )
    expired: list[int] = Field(
        default=[410], description="Statuses that say the token is too old: everything is read again."
    )


class Deleted(Spec):
    """How the API tells of deleted records; makes a BOOLEAN column for `load: {merge: {delete_marker: ...}}`."""

    column: str = Field(default="deleted", description="The BOOLEAN column that says so.")
    records: str | None = Field(default=None, description="Path of a list of deleted records beside the others.")
    field: str | None = Field(default=None, description="Path, in a record, of the value that says so.")
    equals: str | int | bool | None = Field(
        default=None, description="The value that says so; absent: any value but null and false."
    )
