"""Files of Microsoft Access."""

from dataflow_platform.connectors.access.source import Access

__all__ = ["Access"]
