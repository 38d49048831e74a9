"""How well the detectors find labelled anomalies: precision, recall and F1 on series of the Numenta Anomaly Benchmark.

Run it by ``python -m benchmarks.anomalies FOLDER``; it writes docs/anomaly_detection.md. FOLDER is a clone of
numenta/NAB, or its data with ``combined_windows.json`` beside. The defaults of each detector have to be the winners of
``GRID`` on the half of the series they are chosen on: it fails where they are not.
"""

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dataflow_platform.core import anomaly
from dataflow_platform.core.sql import literal

PAGE = Path(__file__).parent.parent / "docs" / "anomaly_detection.md"
SERIES = (
    "artificialNoAnomaly/art_daily_small_noise.csv",
    "artificialWithAnomaly/art_daily_jumpsup.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_5f5533.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2.csv",
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv",
    "realAdExchange/exchange-2_cpc_results.csv",
    "realKnownCause/ambient_temperature_system_failure.csv",
    "realKnownCause/ec2_request_latency_system_failure.csv",
    "realKnownCause/nyc_taxi.csv",
    "realTraffic/occupancy_6005.csv",
    "realTraffic/speed_7578.csv",
    "realTweets/Twitter_volume_AAPL.csv",
)
CHOSEN_ON, REPORTED_ON = SERIES[::2], SERIES[1::2]
"""By the alphabet, every second: nobody chose which."""
PROBATION = "least(0.15 * count(*) OVER (), 750)"
"""The points of a series at its beginning in which nothing is counted, as in NAB itself; no label lies there."""
_THRESHOLDS = [3.0, 3.5, 4.0, 5.0]
GRID: dict[str, dict[str, list[Any]]] = {
    "change_point": {"recent": [5, 10, 20], "window": [100, 300, 1000], "threshold": _THRESHOLDS},
    "ewma": {"alpha": [0.01, 0.03, 0.1, 0.3], "threshold": _THRESHOLDS},
    "robust_z": {"window": [30, 100, 300], "threshold": _THRESHOLDS},
    "seasonal": {"season": ["hour", "day_of_week", "hour_of_week"], "threshold": _THRESHOLDS},
    "sliding_window": {"window": [30, 100, 300, 1000], "threshold": _THRESHOLDS},
    "z_score": {"threshold": _THRESHOLDS},
}
"""What the defaults are chosen from; the first of equals wins."""


@dataclass(frozen=True)
class Found:
    """What was found in some series: labelled windows, those hit, days with false alarms, points flagged in all."""

    windows: int = 0
    hit: int = 0
    false_days: int = 0
    points: int = 0

    def __add__(self, other: "Found") -> "Found":
        return Found(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def precision(self) -> float:
        """Windows hit among all alarms."""
        return self.hit / (self.hit + self.false_days) if self.hit else 0.0

    @property
    def recall(self) -> float:
        """Windows hit among all windows."""
        return self.hit / self.windows if self.windows else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.precision * self.recall / (self.precision + self.recall) if self.hit else 0.0


class Labelled:
    """The series and their labelled windows, in an engine in memory."""

    def __init__(self, folder: Path) -> None:
        data = folder / "data" if (folder / "data").is_dir() else folder
        (windows,) = (each for each in (folder, folder / "labels") if (each / "combined_windows.json").is_file())
        labels = json.loads((windows / "combined_windows.json").read_text())
        self._known: dict[tuple[str, anomaly.Detector | None], Found] = {}
        self._engine = duckdb.connect()
        self._engine.execute("CREATE TABLE labels (series VARCHAR, number INTEGER, first TIMESTAMP, last TIMESTAMP)")
        self._engine.execute("CREATE TABLE points (series VARCHAR, moment TIMESTAMP, value DOUBLE, scored BOOLEAN)")
        for name in SERIES:
            rows = f"read_csv({literal(str(data / name))}, types = {{'timestamp': 'TIMESTAMP', 'value': 'DOUBLE'}})"
            self._engine.execute(
                f"INSERT INTO points SELECT {literal(name)}, timestamp, value, "
                f"row_number() OVER (ORDER BY timestamp) > {PROBATION} FROM {rows}"
            )
            for number, (first, last) in enumerate(labels[name]):
                self._engine.execute(f"INSERT INTO labels VALUES ({literal(name)}, {number}, '{first}', '{last}')")

    def found(self, name: str, detector: anomaly.Detector | None) -> Found:
        """What ``detector`` finds in a series; without one every point is flagged."""
        if (name, detector) not in self._known:
            self._known[name, detector] = self._found(name, detector)
        return self._known[name, detector]

    def _found(self, name: str, detector: anomaly.Detector | None) -> Found:
        of_series = f"series = {literal(name)}"
        series = f"(SELECT * FROM points WHERE {of_series})"
        scored = f"(SELECT moment FROM points WHERE {of_series} AND scored) AS scored"
        judged = f"SELECT moment FROM {series} AS every"
        if detector is not None:
            judged = f"SELECT moment FROM ({detector.judged(series)}) AS judged WHERE is_anomaly"
        counted = self._engine.execute(
            f"WITH windows AS (SELECT * FROM labels WHERE {of_series}), flagged AS (SELECT judged.moment, number "
            f"FROM ({judged}) AS judged SEMI JOIN {scored} USING (moment) "
            "LEFT JOIN windows ON judged.moment BETWEEN first AND last) "
            "SELECT (SELECT count(*) FROM windows), count(DISTINCT number), "
            "count(DISTINCT CAST(moment AS DATE)) FILTER (number IS NULL), count(DISTINCT moment) FROM flagged"
        ).fetchall()
        return Found(*map(int, counted[0]))

    def total(self, names: tuple[str, ...], detector: anomaly.Detector | None) -> Found:
        """The same in several series."""
        return sum((self.found(name, detector) for name in names), Found())


def chosen(labelled: Labelled, name: str) -> dict[str, Any]:
    """The options of detector ``name`` that win on the series they are chosen on."""
    options = [dict(zip(GRID[name], values, strict=True)) for values in itertools.product(*GRID[name].values())]
    scored = [(labelled.total(CHOSEN_ON, anomaly.detector(name, **each)).f1, each) for each in options]
    return max(scored, key=lambda each: each[0])[1]


def defaults(name: str) -> dict[str, Any]:
    """The defaults of the options that are chosen."""
    return {option: getattr(anomaly.detector(name), option) for option in GRID[name]}


def results(labelled: Labelled) -> str:
    """The tables of the page, for the defaults as they are."""
    lines = [
        "| detector | defaults | windows hit | days of false alarms | precision | recall | F1 | points flagged "
        "| F1 where chosen |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in (*anomaly.names(), ""):
        detector = anomaly.detector(name) if name else None
        told = ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                         for key, value in (defaults(name) if name else {}).items())  # fmt: skip
        there, here = labelled.total(REPORTED_ON, detector), labelled.total(CHOSEN_ON, detector)
        title = f"`{name}`" if name else "every point is flagged"
        lines.append(
            f"| {title} | {told} | {there.hit} of {there.windows} | {there.false_days} | {there.precision:.2f} "
            f"| {there.recall:.2f} | {there.f1:.2f} | {there.points:,} | {here.f1:.2f} |"
        )
    lines += [
        "",
        "With `in_a_row: 3` (not a default: of a metric that is measured once a day it would wait three days):",
        "",
    ]
    lines += [
        "| detector | windows hit | days of false alarms | precision | recall | F1 |",
        "|---|---|---|---|---|---|",
    ]
    for name in anomaly.names():
        found = labelled.total(REPORTED_ON, anomaly.detector(name, in_a_row=3))
        lines.append(
            f"| `{name}` | {found.hit} of {found.windows} | {found.false_days} | {found.precision:.2f} "
            f"| {found.recall:.2f} | {found.f1:.2f} |"
        )
    lines += [
        "",
        "Each series, windows hit and days of false alarms; those in italics are the half the defaults come from:",
    ]
    lines += ["", f"| series | windows | {' | '.join(anomaly.names())} |", "|---|---|" + "---|" * len(anomaly.names())]
    for series in SERIES:
        found_by = [labelled.found(series, anomaly.detector(name)) for name in anomaly.names()]
        title = f"*{Path(series).stem}*" if series in CHOSEN_ON else Path(series).stem
        cells = " | ".join(f"{each.hit}, {each.false_days}" for each in found_by)
        lines.append(f"| {title} | {found_by[0].windows} | {cells} |")
    return "\n".join(lines)


def page(tables: str) -> str:
    """The whole page."""
    listed = "\n".join(f"- `{name}`: {(type(anomaly.detector(name)).__doc__ or '').splitlines()[0]}" for name in GRID)
    grid = "\n".join(f"- `{name}`: " + "; ".join(f"{k} {', '.join(map(str, v))}" for k, v in options.items())
                     for name, options in GRID.items())  # fmt: skip
    return _TEXT.format(listed=listed, grid=grid, tables=tables, half="\n".join(f"- {each}" for each in CHOSEN_ON))


_TEXT = """# Anomaly detection

A detector judges each point of a series (a metric of the loads, or a column of a table for each span of time) by the
points before it, never by later ones nor by itself, in one SQL query. It says what was expected, between which bounds,
and how far off the point is: `rows 2,113, expected 8,980 to 11,020 for a Monday`.

{listed}

Each has a `threshold`, `least` (points of the past that must be known), `tolerance` (a share of the expected value that
is never an anomaly), `side` (`above`, `below`, `both`) and `in_a_row` (points in a row that must be off).

```sh
dataflow anomalies raw.flights --by time_hour --every day
dataflow anomalies raw.orders --column amount --by ordered_at --every hour --detector robust_z --set threshold=6
dataflow anomalies raw.orders --metric row_count --detector seasonal --set season=day_of_week
```

## How well they find what people labelled

Written by `python -m benchmarks.anomalies`: 12 labelled series of the Numenta Anomaly Benchmark (NAB), 62,812 points,
26 labelled windows. The defaults were chosen on half of the series; **the figures are those of the other half**, which
chose nothing.

- A window is hit when a point in it is flagged; it counts once, however many points are.
- A false alarm is a calendar day with a flagged point outside all windows; it counts once a day. (Counted as runs of
  flagged points, a detector that flags everything would have one false alarm.)
- Precision is hit windows among hit windows and false alarms, recall hit windows among all windows.
- Nothing is counted in the first 15 % of a series, at most 750 points, as in NAB; no label lies there.

{tables}

What this says, and what it does not:

- Twelve series are few: one window more or less moves recall by 0.09. On the half that is reported every detector does
  worse than on the half its defaults come from; most of its false alarms are in one series, the volume of tweets.
- Precision is low for all of them: on series of five minutes a threshold alone is no alarm clock. Several points in a
  row (`in_a_row`) help where points are many; how many was not chosen on the first half, so it is no default.
- Labels are people's: some flagged days outside the windows are strange as well, and are counted as false.
- These series are dense. Metrics of loads have a point a day and few of them; there a detector is as good as its
  season: rows by day of the week are judged by `seasonal` with `season: day_of_week`.

## How the defaults were chosen

By the best F1 on these series, every second by the alphabet:

{half}

among these options, the first of equals:

{grid}

`in_a_row` stayed 1, `least` 8, `tolerance` 0.01, `days` 90.
"""


def main() -> None:
    """Choose, compare with the defaults, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a clone of numenta/NAB, or its data with the labels beside")
    labelled = Labelled(parser.parse_args().folder)
    for name in GRID:
        best = chosen(labelled, name)
        print(f"{name}: {best}", flush=True)
        if best != defaults(name):
            raise SystemExit(f"the defaults of {name} are {defaults(name)}, the best on the grid are {best}")
    PAGE.write_text(page(results(labelled)))


if __name__ == "__main__":
    main()
