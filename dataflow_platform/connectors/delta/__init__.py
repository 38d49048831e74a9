"""Delta tables on a folder or an S3-compatible store, as destination and as source."""

from dataflow_platform.connectors.delta.destination import DeltaDestination
from dataflow_platform.connectors.delta.source import Delta

__all__ = ["Delta", "DeltaDestination"]
