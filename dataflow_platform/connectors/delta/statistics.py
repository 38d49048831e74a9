"""What the log says of a file's values: DuckDB's words for them in Delta's.

Section "Per-file Statistics" of the protocol. A bound that cannot be given safely is left out: readers
then read the file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dataflow_platform.connectors._lake.log import DataFile
from dataflow_platform.core.sql import quote

_INDEXED = 32
"""Delta's default number of columns with statistics."""
_LONGEST = 64
_WHOLE = {"byte", "short", "integer", "long"}


def statistics(file: DataFile, fields: Sequence[Mapping[str, Any]], partition_by: Sequence[str]) -> str:
    """The ``stats`` of an add action, as JSON text."""
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for field in [field for field in fields if field["name"] not in partition_by][:_INDEXED]:
        name, kind = field["name"], field["type"]
        said = file.statistics.get(quote(name))
        if not isinstance(kind, str) or said is None:
            continue
        if "null_count" in said:
            nulls[name] = int(said["null_count"])
        low, high = said.get("min"), said.get("max")
        if low is None or high is None or said.get("has_nan") == "true":
            continue
        bounds = _bounds(kind, low, high)
        if bounds is not None:
            least[name], most[name] = bounds
    return json.dumps({"numRecords": file.rows, "minValues": least, "maxValues": most, "nullCount": nulls})


def _bounds(kind: str, low: str, high: str) -> tuple[Any, Any] | None:
    if kind in _WHOLE:
        return int(low), int(high)
    if kind == "double" and all(abs(float(value)) < float("inf") for value in (low, high)):
        return float(low), float(high)
    if kind == "date" and all(re.fullmatch(r"\d{4}-\d\d-\d\d", value) for value in (low, high)):
        return low, high
    if kind == "string" and max(len(low), len(high)) <= _LONGEST:
        return low, high
    if kind in ("timestamp", "timestamp_ntz"):
        return _moments(kind, low, high)
    # More digits than a double holds are cut by some readers of JSON.
    small = re.fullmatch(r"decimal\((\d+),0\)", kind)
    if small and int(small[1]) <= 15:
        return int(low), int(high)
    return None


def _moments(kind: str, low: str, high: str) -> tuple[str, str] | None:
    """Milliseconds, rounded outwards: the protocol has no more digits there."""
    found = []
    for value in (low, high):
        text = value.removesuffix("+00")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?", text):
            return None
        found.append(datetime.fromisoformat(text))  # both ends are of one clock
    floor = found[0].replace(microsecond=found[0].microsecond // 1000 * 1000)
    over = -found[1].microsecond % 1000
    if found[1].year == 9999 and over:
        return None
    ceiling = found[1] + timedelta(microseconds=over)
    zone = "Z" if kind == "timestamp" else ""
    low_text, high_text = (moment.isoformat(timespec="milliseconds") for moment in (floor, ceiling))
    return low_text + zone, high_text + zone
