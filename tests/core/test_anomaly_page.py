"""docs/anomaly_detection.md says what the detectors find on labelled series, as they are now."""

import os
from pathlib import Path

import pytest

from benchmarks import anomalies
from dataflow_platform.core import anomaly


def labelled_series() -> Path:
    """A clone of github.com/numenta/NAB, or its data with the labels beside; skips the test where there is none."""
    folder = Path(os.environ.get("DATAFLOW_NAB") or Path.home() / ".cache" / "dataflow-nab")
    if not folder.is_dir():
        pytest.skip("the labelled series are not there: git clone https://github.com/numenta/NAB ~/.cache/dataflow-nab")
    return folder


def test_the_page_is_of_the_detectors_and_defaults_as_they_are() -> None:
    text = anomalies.PAGE.read_text()
    assert sorted(anomalies.GRID) == anomaly.names()
    for name in anomaly.names():
        told = ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                         for key, value in anomalies.defaults(name).items())  # fmt: skip
        assert f"| `{name}` | {told} |" in text
        assert all(anomalies.defaults(name)[option] in values for option, values in anomalies.GRID[name].items())
    # Whatever the tables say, the words around them are those of the program.
    assert text.split("|")[0] == anomalies.page("|").split("|")[0]


def test_the_figures_of_the_page_are_found_again() -> None:
    labelled = anomalies.Labelled(labelled_series())
    assert anomalies.page(anomalies.results(labelled)) == anomalies.PAGE.read_text()
    # Who flags everything hits every window: none lies where nothing is counted.
    everything = labelled.total(anomalies.SERIES, None)
    assert (everything.hit, everything.windows) == (26, 26)
    # Each detector is better than that, on the half that chose nothing.
    floor = labelled.total(anomalies.REPORTED_ON, None).f1
    assert all(labelled.total(anomalies.REPORTED_ON, anomaly.detector(name)).f1 > 2 * floor for name in anomaly.names())
