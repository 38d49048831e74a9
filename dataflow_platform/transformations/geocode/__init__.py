"""Transformation ``geocode``."""

from dataflow_platform.transformations.geocode.step import Geocode

__all__ = ["Geocode"]
