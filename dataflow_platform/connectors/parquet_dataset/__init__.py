"""Parquet datasets: partitioned files under a manifest, as destination."""

from dataflow_platform.connectors.parquet_dataset.destination import ParquetDataset

__all__ = ["ParquetDataset"]
