"""What the destinations of a lake share: fields, session and reader."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from dataflow_platform.connectors._lake.lake import Lake
from dataflow_platform.connectors._lake.log import TableLog
from dataflow_platform.connectors._lake.naming import folder_of
from dataflow_platform.connectors._lake.place import LakePlace
from dataflow_platform.connectors._lake.session import LakeSession
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.core.base import Destination

if TYPE_CHECKING:
    import duckdb

STRATEGIES = frozenset({"append", "replace", "merge", "delta", "partition", "scd1", "scd2", "scd3"})


class LakeDestination(LakePlace, Destination):
    """Tables under ``<path>/<schema>/<table>/``; each load is one new version of its table."""

    partition_by: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Table (`schema.table` or its name) -> the columns its folders are made of; looked at when the "
        "table is made.",
    )
    file_size: str = Field(default="128MB", description="About how large a file of an unpartitioned table grows.")
    wait_seconds: float = Field(
        default=60, description="Local folders: how long to wait for another load of the same table before failing."
    )

    @abstractmethod
    def log(self, store: Store, folder: str) -> TableLog:
        """The log of the table in that folder."""

    def session(self) -> LakeSession:
        """Begin a transaction, in an engine of its own."""
        store = self.store()
        lake = Lake(
            store,
            lambda table: self.log(store, folder_of(table)),
            self.partition_by,
            self.file_size,
            self.wait_seconds,
        )
        return LakeSession(self.engine(store), lake)

    @contextmanager
    def reader(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A DuckDB connection on which the newest version of each table is the view ``schema.table``."""
        session = self.session()
        try:
            for schema in session.schemas():
                for table in [*session.tables(schema), *session.system_tables(schema)]:
                    session.expose(table)
            yield session.connection
        finally:
            session.close()

    def test_connection(self) -> str:
        """Look into the folder; how many tables there are."""
        session = self.session()
        try:
            found = sum(len(session.tables(schema)) for schema in session.schemas())
        finally:
            session.close()
        return f"{found} tables in {session.described()}"
