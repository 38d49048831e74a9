"""Transformation ``score``."""

from dataflow_platform.transformations.score.step import Score

__all__ = ["Score"]
