"""The columns whose values make the folders of a table."""

from collections.abc import Mapping, Sequence

from dataflow_platform.connectors._lake.next_version import OpenTable
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError


def partition_columns(
    opened: OpenTable, declared: Mapping[str, Sequence[str]], columns: Sequence[Column]
) -> tuple[str, ...]:
    """Those of the table as it is, of a new one those ``declared`` for it; ConfigError where ``columns`` lack one."""
    known, target = {column.name.lower(): column for column in columns}, opened.table
    if opened.snapshot is not None:
        asked: Sequence[str] = opened.snapshot.partition_by
    else:
        asked = declared.get(f"{target.schema}.{target.name}", declared.get(target.name, ()))
    lost = next((name for name in asked if name.lower() not in known), None)
    if lost or (asked and len(asked) >= len(columns)):
        raise ConfigError(
            "lake.partition_by",
            f"'{lost}' is no column of the rows" if lost else "a table cannot be partitioned by all its columns",
            where=f"partition_by.{target.name}",
            fix="name columns of the stream, and not all of them",
        )
    if "*" in asked:  # the engine takes it for every column
        raise ConfigError(
            "lake.partition_by",
            "a table cannot be partitioned by a column called '*'",
            where=f"partition_by.{target.name}",
            fix="give the column another name in the pipeline",
        )
    opened.log.check_partition([known[name.lower()] for name in asked])
    return tuple(known[name.lower()].name for name in asked)
