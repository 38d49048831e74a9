"""What the log says of a file's values: DuckDB's words for them in Delta's.

Section "Per-file Statistics" of the protocol. A bound that cannot be given safely is left out: readers then read
the file. Not so deltalake's own dataset (1.6): where one file has a bound of a column and another has none, a filter
finds no row of the other. So columns have bounds in all of their files, or, as doubles (NaN has none), in none. What
is left: dates and timestamps before year 1 or after 9999.
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
_LAST = datetime.max.replace(microsecond=999_000)
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
        if low is None or high is None:
            continue
        bounds = _bounds(kind, low, high)
        if bounds is not None:
            least[name], most[name] = bounds
    found = {"numRecords": file.rows, "minValues": least, "maxValues": most, "nullCount": nulls}
    # Letters as they are: readers built on arrow-json take the escaped ones of planes 2 to 16 for others.
    return json.dumps(found, ensure_ascii=False)


def _bounds(kind: str, low: str, high: str) -> tuple[Any, Any] | None:
    if kind in _WHOLE:
        return int(low), int(high)
    if kind == "date" and all(re.fullmatch(r"\d{4}-\d\d-\d\d", value) for value in (low, high)):
        return low, high
    if kind == "string":
        above = _above(high)
        return None if above is None else (low[:_LONGEST], above)
    if kind in ("timestamp", "timestamp_ntz"):
        return _moments(kind, low, high)
    # More digits than a double holds are cut by some readers of JSON.
    small = re.fullmatch(r"decimal\((\d+),0\)", kind)
    if small and int(small[1]) <= 15:
        return int(low), int(high)
    return None


def _above(text: str) -> str | None:
    """The text, or a short one that is greater than all that begin as it does; None where there is none."""
    if len(text) <= _LONGEST:
        return text
    begin = text[:_LONGEST].rstrip("\U0010ffff")
    if not begin:
        return None
    following = ord(begin[-1]) + 1
    return begin[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are no letters


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
    zone = "Z" if kind == "timestamp" else ""
    if over and found[1] >= _LAST:  # there is no millisecond after it
        high_text = found[1].isoformat()
    else:
        high_text = (found[1] + timedelta(microseconds=over)).isoformat(timespec="milliseconds")
    return floor.isoformat(timespec="milliseconds") + zone, high_text + zone
