"""Check ``pandera``: a Pandera schema, compiled to SQL; what is no SQL runs in Pandera itself."""

from dataflow_platform.checks.pandera.check import Pandera

__all__ = ["Pandera"]
