"""Airbyte's sources, declarative manifests among them."""

from dataflow_platform.connectors.airbyte.source import Airbyte, AirbyteStream

__all__ = ["Airbyte", "AirbyteStream"]
