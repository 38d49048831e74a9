"""Transformation ``normalise``."""

from dataflow_platform.transformations.normalise.step import Normalise

__all__ = ["Normalise"]
