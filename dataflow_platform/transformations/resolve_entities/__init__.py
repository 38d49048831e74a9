"""Transformation ``resolve_entities``."""

from dataflow_platform.transformations.resolve_entities.step import ResolveEntities

__all__ = ["ResolveEntities"]
