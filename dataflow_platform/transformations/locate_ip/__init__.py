"""Transformation ``locate_ip``."""

from dataflow_platform.transformations.locate_ip.step import LocateIp

__all__ = ["LocateIp"]
