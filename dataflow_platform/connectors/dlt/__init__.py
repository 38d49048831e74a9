"""Sources made with dlt."""

from dataflow_platform.connectors.dlt.source import Dlt, DltStream

__all__ = ["Dlt", "DltStream"]
