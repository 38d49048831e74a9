"""Anomalies in a series of numbers over time, found in one SQL pass: a metric of loads, or a column per time bucket.

A detector is one file with its name. ``detector(name)`` gives its class, ``Detector.judged`` its SQL.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from dataflow_platform.core.anomaly.detector import JUDGED as JUDGED
from dataflow_platform.core.anomaly.detector import Detector as Detector
from dataflow_platform.core.errors import unknown_name

_NO_DETECTORS = frozenset({"detector", "series", "words"})


@cache
def names() -> list[str]:
    """Every detector's name, sorted."""
    return sorted(each.name for each in pkgutil.iter_modules(__path__) if each.name not in _NO_DETECTORS)


def detector(name: str, **options: Any) -> Detector:
    """Detector ``name`` with its options; ConfigError ``detector.unknown``, pydantic's error for a wrong option."""
    if name not in names():
        raise unknown_name("detector", name, names(), "one of " + ", ".join(names()))
    module = importlib.import_module(f"{__name__}.{name}")
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Detector) and value.__module__ == module.__name__
    )
    return kind.model_validate(options)
