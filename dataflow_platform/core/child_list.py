"""A list inside rows that becomes rows of its own: what the step and the child streams of a pipeline both set."""

from pydantic import Field

from dataflow_platform.core.spec import Spec


class ChildList(Spec):
    """Where the list stands and how its elements are read."""

    of: str = Field(description="The column with the list, or the way to it through structures: `basket.items`.")
    position: str | None = Field(
        default="position", description="The column with the place of the element in its list, from 1; none if null."
    )
    type: str | None = Field(
        default=None,
        description="The type of the list where the column is JSON: `struct(sku varchar, n integer)[]`. A field "
        "that it does not name fails the run; `json[]` when absent.",
    )
