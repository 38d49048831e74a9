"""What a session on a lake needs of its destination."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dataflow_platform.connectors._lake.log import TableLog
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.core.base import Table


@dataclass(frozen=True)
class Lake:
    """The settings of a lake and its store."""

    store: Store
    log: Callable[[Table], TableLog]
    partition_by: Mapping[str, Sequence[str]]
    """Table (``schema.table`` or the bare name) -> the columns a new table is partitioned by."""
    file_size: str
    wait_seconds: float
