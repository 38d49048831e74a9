"""Apache Pinot, by the HTTP interfaces of its broker and controller."""

from dataflow_platform.connectors.pinot.source import Pinot

__all__ = ["Pinot"]
