"""What a stream of files sets in YAML."""

from typing import Literal

from pydantic import Field

from dataflow_platform.core.base import Spec

Format = Literal["csv", "jsonl", "parquet"]


class FilesStream(Spec):
    """What a stream of files sets."""

    path: str = Field(description="Which files, as a pattern below the root: `faa/*.csv.gz`, `orders/**/*.parquet`.")
    format: Format | None = Field(default=None, description="`csv`, `jsonl` or `parquet`; from the name if absent.")
    delimiter: str | None = Field(
        default=None, description="CSV: what separates the fields; a comma (a tab in .tsv) if absent."
    )
    header: bool = Field(
        default=True, description="CSV: the first line holds the names; if not, the names of `columns` count in order."
    )
    null_values: tuple[str, ...] = Field(
        default=(), description="CSV: texts without quotes that mean no value, such as NA; an empty field always does."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="DuckDB types by column, which refuse what they would have to round; other columns get theirs from "
        "the first 20,480 rows, and a later value that is none of it fails the load.",
    )
    filename_column: str | None = Field(
        default=None, description="Name of a column to add that holds the file's path below the root."
    )
