"""REST APIs that answer JSON, described in YAML."""

from dataflow_platform.connectors.rest.source import Rest

__all__ = ["Rest"]
