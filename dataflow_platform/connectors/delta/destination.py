"""Delta tables as destination: rows, state, quarantine and load record in one commit of the table's log."""

from typing import ClassVar

from dataflow_platform.connectors._lake.destination import STRATEGIES, LakeDestination
from dataflow_platform.connectors._lake.log import TableLog
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.connectors.delta.log import DeltaLog
from dataflow_platform.core.base import DestinationFacts


class DeltaDestination(LakeDestination):
    """Delta tables on a local folder or an S3-compatible store."""

    facts: ClassVar[DestinationFacts] = DestinationFacts(
        title="Delta Lake",
        family="warehouse",
        evidence="real_server",
        evidence_note="real tables on the local file system, read back by deltalake and by DuckDB's delta extension; "
        "S3 against moto's server, which checks no credentials",
        extra="delta",
        dialect="duckdb",
        identifier_limit=200,
        load_strategies=STRATEGIES,
        evolutions=frozenset({"add_column", "rename_column", "widen_type", "grow_nested", "drop_not_null"}),
        transaction="table_commit",
        single_writer=False,
        read_back="by_copy",
    )

    def log(self, store: Store, folder: str) -> TableLog:
        """The Delta log of the table in that folder."""
        return DeltaLog(store, folder)
