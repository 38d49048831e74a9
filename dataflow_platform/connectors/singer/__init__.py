"""Singer taps as sources."""

from dataflow_platform.connectors.singer.source import Singer, SingerStream

__all__ = ["Singer", "SingerStream"]
