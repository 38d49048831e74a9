"""The log of a table's versions, in the words Delta's log and a dataset's manifests share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from dataflow_platform.core.base import Column

SYSTEM_FOLDER = "_dataflow"
"""Inside a table's folder: what the platform keeps beside the rows."""


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table: its path inside the table's folder; ``partition`` in the columns' order."""

    path: str
    rows: int | None
    size: int
    partition: tuple[str | None, ...] = ()
    recorded: str = ""
    """The path as the log writes it, where that differs."""
    statistics: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)
    """Column -> what DuckDB says of its values in this file (``min``, ``max``, ``null_count``, ``has_nan``)."""


@dataclass(frozen=True)
class Snapshot:
    """One version of a table: types in DuckDB's words, ``properties`` as the log keeps them."""

    version: int
    columns: tuple[Column, ...]
    files: tuple[DataFile, ...]
    properties: Mapping[str, str]
    partition_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Load:
    """A load that a commit holds."""

    pipeline: str
    stream: str
    load_id: str


@dataclass(frozen=True)
class Commit:
    """What the next version changes. ``token`` names the session: it tells its own commit from another's;
    ``draft`` is a path where the commit may be prepared."""

    token: str
    draft: str
    columns: tuple[Column, ...]
    removed: Sequence[DataFile]
    added: Sequence[DataFile]
    properties: Mapping[str, str]
    partition_by: tuple[str, ...]
    loads: Sequence[Load]
    said: Mapping[str, object]
    """What a person reading the log finds of the load."""


class TableLog(ABC):
    """The versions of one table. Folder and file names are relative to the store's root."""

    folder: str
    empty_is_null: ClassVar[bool] = False
    """An empty text among a file's partition values means NULL."""

    @abstractmethod
    def snapshot(self) -> Snapshot | None:
        """The newest version; None where there is no table. ConfigError for one that cannot be loaded safely."""

    @abstractmethod
    def commit(self, base: Snapshot | None, commit: Commit) -> bool:
        """Publish the version after ``base``; False where another writer's commit stands there."""

    @abstractmethod
    def committed(self, version: int, token: str) -> bool | None:
        """Whether that version is the session's of that token; None where the log no longer tells."""

    @abstractmethod
    def stored(self, column: Column) -> str:
        """The type a column has once it is in a table, in DuckDB's words; ConfigError where it has none."""

    @abstractmethod
    def check_partition(self, columns: Sequence[Column]) -> None:
        """Raise a ConfigError where a table cannot be partitioned by these columns."""

    @abstractmethod
    def maintain(self, version: int) -> None:
        """After a commit: what keeps the log short. Never fails a load that is committed."""
