"""Where the records stand in an answer, and how they become rows."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from dataflow_platform.connectors.rest import value_path
from dataflow_platform.core.base import Spec

Format = Literal["json", "jsonl", "csv", "xml"]


class Records(Spec):
    """Where the records stand in an answer. A bare path is enough for a list of objects."""

    shorthand = "path"

    path: str | list[str] = Field(
        default="$",
        description="Path of the list: `data.items`; `$` is the body itself; `list[].customer` takes each record out "
        "of its wrapping; several paths are read one after the other.",
    )
    shape: Literal["objects", "object", "map", "rows", "values"] = Field(
        default="objects",
        description="`objects`: a list of objects; `object`: a single one; `map`: an object whose keys name the "
        "records; `rows`: a list of lists; `values`: a list of plain values.",
    )
    key_column: str = Field(default="key", description="Column for the keys of a `map`.")
    value_column: str = Field(default="value", description="Column for plain values, also those of a `map`.")
    header: str | None = Field(
        default=None, description="Path of the names of the columns, for `rows`; absent: the first row has them."
    )
    optional: bool = Field(default=False, description="An answer without the list is an empty page, not an error.")

    @field_validator("path", mode="before")
    @classmethod
    def _whole(cls, path: object) -> object:
        return "$" if path is None else path

    @field_validator("path")
    @classmethod
    def _is_path(cls, path: str | list[str]) -> str | list[str]:
        for each in [path] if isinstance(path, str) else path:
            value_path.steps(each)
        return path

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, in order."""
        return (self.path,) if isinstance(self.path, str) else tuple(self.path)


def with_fields(row: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """``row`` with further columns taken from inside it: name -> path."""
    return {**row, **{name: value_path.find(row, path) for name, path in fields.items()}}
