"""Parquet datasets as destination: rows, state, quarantine and load record in one manifest."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._lake.destination import STRATEGIES, LakeDestination
from dataflow_platform.connectors._lake.log import TableLog
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.connectors.parquet_dataset.manifest import ManifestLog
from dataflow_platform.core.base import DestinationFacts


class ParquetDataset(LakeDestination):
    """Parquet files in a local folder or an S3-compatible store; the newest manifest says which ones are a table."""

    facts: ClassVar[DestinationFacts] = DestinationFacts(
        title="Parquet dataset",
        family="files",
        evidence="real_server",
        evidence_note="real files on the local file system; S3 against moto's server, which checks no credentials",
        dialect="duckdb",
        identifier_limit=200,
        load_strategies=STRATEGIES,
        evolutions=frozenset({"add_column", "rename_column", "widen_type", "grow_nested", "drop_not_null"}),
        transaction="table_commit",
        single_writer=False,
        read_back="by_copy",
    )

    retention_hours: float = Field(
        default=24,
        ge=0,
        description="How long files and manifests of older versions stay for those who still read them; the next "
        "load of the table removes older ones.",
    )

    def log(self, store: Store, folder: str) -> TableLog:
        """The manifests of the table in that folder."""
        return ManifestLog(store, folder, self.retention_hours * 3600)
