"""Values that Parquet files or folders of partitions do not give back: a load that wrote one is refused.

DuckDB writes infinity as the greatest number of a date's type and 24:00:00 as a time past a day's end: it finds
them again, and every other reader finds a day in the year 5,881,580 or fails. The folder of NULL has a name that a
text may have too, and the file of one then replaces the other's.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from dataflow_platform.connectors._lake.log import DataFile
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import quote

_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_MOMENTS = frozenset(
    {"date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"}
)  # fmt: skip
_UNKEPT = {kind: {"infinity", "-infinity"} for kind in _MOMENTS} | {"time": {"24:00:00"}}


def refuse_unkept(files: Sequence[DataFile], columns: Sequence[Column], where: str) -> None:
    """Raise a DataError for an infinite moment or 24:00:00, inside nested values too; reads the files' statistics."""
    for column in columns:
        for path, family in _leaves(quote(column.name), duckdb.sqltype(column.type)):
            unkept = _UNKEPT.get(family, set())
            said = (file.statistics.get(path, {}) for file in files)
            found = next(
                (bound for each in said for bound in (each.get("min"), each.get("max")) if bound in unkept), ""
            )
            if found:
                raise DataError(
                    "lake.value",
                    f"column '{column.name}' holds {found}, which a Parquet file does not tell other readers",
                    where=where,
                    fix=f"cast it in the pipeline (transform: - cast: {{{column.name}: VARCHAR}}), or make it NULL",
                )


def _leaves(path: str, kind: Any) -> Iterator[tuple[str, str]]:
    """Where the statistics of a column's values are, as COPY's RETURN_STATS names them, and of which type they are."""
    family = str(kind.id)
    if family in ("list", "array"):
        yield from _leaves(f'{path}."element"', dict(kind.children)["child"])
    elif family in ("struct", "map"):
        for name, inner in kind.children:
            yield from _leaves(f"{path}.{quote(name)}", inner)
    else:
        yield path, family


def refuse_partitions(files: Sequence[DataFile], partition_by: Sequence[Column], empty_is_null: bool) -> None:
    """Raise a DataError for a value that no folder of a partition keeps.

    ``empty_is_null``: the log takes an empty text for NULL.
    """
    for file in files:
        for column, value in zip(partition_by, file.partition, strict=True):
            why = "" if value is None else _unkept(column, value, empty_is_null)
            if why:
                raise DataError(
                    "lake.partition_value",
                    f"column '{column.name}', which the table is partitioned by, holds {why}",
                    where="partition_by",
                    fix="change such values in the pipeline, or partition by another column",
                )


def _unkept(column: Column, value: str, empty_is_null: bool) -> str:
    if column.type == "DATE" and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return f"{value}: a partition's date is one of the years 1 to 9999"
    if value == _NULL_FOLDER:
        return f"the text {_NULL_FOLDER}: that is the folder of NULL"
    if "\0" in value:
        return "a text with a NUL character"
    if not value and empty_is_null:
        return "an empty text: Delta's log takes that for NULL"
    return ""
