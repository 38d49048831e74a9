"""What a destination declares of its tables beside their columns: keys and indexes, made in the load's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataflow_platform.connectors.postgres.constraints import ForeignKeys, PrimaryKeys
from dataflow_platform.connectors.postgres.indexes import DeclaredIndexes
from dataflow_platform.core.base import Column, Table


@dataclass(frozen=True)
class Declarations:
    """The settings ``primary_keys``, ``indexes``, ``unique`` and ``foreign_keys`` of a destination."""

    primary_keys: PrimaryKeys
    indexes: DeclaredIndexes
    foreign_keys: ForeignKeys

    def any_of(self, table: Table) -> bool:
        """Whether anything is declared for ``table``."""
        return any(any(each.of(table)) for each in (self.primary_keys, self.indexes, self.foreign_keys))

    def create_missing(self, cursor: Any, table: Table, columns: Sequence[Column]) -> None:
        """Create what ``table`` (with ``columns``) lacks. Raises DataflowErrors and the driver's errors."""
        # A primary key brings a unique index, which need not be made twice.
        for each in (self.primary_keys, self.indexes, self.foreign_keys):
            each.create_missing(cursor, table, columns)
