"""Transformation ``lookup``."""

from dataflow_platform.transformations.lookup.step import Lookup

__all__ = ["Lookup"]
