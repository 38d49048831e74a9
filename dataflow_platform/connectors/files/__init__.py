"""Files below a folder: CSV, JSON lines and Parquet, plain or compressed, each read once."""

from dataflow_platform.connectors.files.source import Files
from dataflow_platform.connectors.files.stream import FilesStream

__all__ = ["Files", "FilesStream"]
