"""What the log says of a file's values: DuckDB's words for them in Delta's.

Section "Per-file Statistics" of the protocol. A bound that cannot be given safely is left out: readers then read
the file. Not so deltalake's own dataset (1.6): a filter on a column finds no row of a file without bounds of it. So
there are bounds wherever there can be. None have: a file with NaN or an infinite number, dates
and timestamps before year 1 or after 9999, and decimals at the very end of their range.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from dataflow_platform.connectors._lake.log import DataFile
from dataflow_platform.core.sql import quote

_INDEXED = 32
"""Delta's default number of columns with statistics."""
_LONGEST = 64
_LAST = datetime.fromisoformat("9999-12-31T23:59:59.999")
_EXACT_DIGITS = 15
"""As many as every double keeps."""
_WHOLE = {"byte", "short", "integer", "long"}


def statistics(file: DataFile, fields: Sequence[Mapping[str, Any]], partition_by: Sequence[str]) -> str:
    """The ``stats`` of an add action, as JSON text."""
    least: dict[str, str] = {}
    most: dict[str, str] = {}
    nulls: dict[str, int] = {}
    for field in [field for field in fields if field["name"] not in partition_by][:_INDEXED]:
        name, kind = field["name"], field["type"]
        said = file.statistics.get(quote(name))
        if not isinstance(kind, str) or said is None:
            continue
        if "null_count" in said:
            nulls[name] = int(said["null_count"])
        bounds = _bounds(kind, said)
        if bounds is not None:
            least[name], most[name] = bounds
    return (
        f'{{"numRecords": {_json(file.rows)}, "minValues": {_members(least)}, "maxValues": {_members(most)}, '
        f'"nullCount": {_json(nulls)}}}'
    )


def _json(value: object) -> str:
    # Letters as they are: readers built on arrow-json take the escaped ones of planes 2 to 16 for others.
    return json.dumps(value, ensure_ascii=False)


def _members(bounds: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_json(name)}: {bound}" for name, bound in bounds.items()) + "}"


def _bounds(kind: str, said: Mapping[str, str]) -> tuple[str, str] | None:
    """Least and greatest value as JSON; None where there is none, or none that is safe."""
    low, high = said.get("min"), said.get("max")
    # NaN is greater than every number to some readers and none to others: no bound would suit both.
    if low is None or high is None or said.get("has_nan") == "true":
        return None
    if kind in ("float", "double"):
        return _floats(kind, float(low), float(high))
    if kind in _WHOLE:
        return low, high
    if kind == "boolean":
        return _json(low == "1"), _json(high == "1")
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    if decimal:
        return _decimals(int(decimal[1]), int(decimal[2]), Decimal(low), Decimal(high))
    texts = _texts(kind, low, high)
    return None if texts is None else (_json(texts[0]), _json(texts[1]))


def _floats(kind: str, low: float, high: float) -> tuple[str, str] | None:
    if not all(abs(value) < float("inf") for value in (low, high)):
        return None
    if kind == "float":  # the number itself, of which DuckDB writes as few digits as tell it from the next float
        low, high = struct.unpack("<2f", struct.pack("<2f", low, high))
    return _json(low), _json(high)


def _decimals(digits: int, places: int, low: Decimal, high: Decimal) -> tuple[str, str] | None:
    """Beyond 15 digits some readers of JSON make doubles of them: then rounded outwards, to more than a double errs."""
    if digits > _EXACT_DIGITS:
        few, exact = Context(prec=_EXACT_DIGITS - 1), Context(prec=80)
        step = Decimal(1).scaleb(-places)
        if low:
            low = few.next_minus(Context(prec=few.prec, rounding=ROUND_FLOOR).plus(low))
        if high:
            high = few.next_plus(Context(prec=few.prec, rounding=ROUND_CEILING).plus(high))
        low, high = low.quantize(step, ROUND_FLOOR, exact), high.quantize(step, ROUND_CEILING, exact)
        if max(abs(low), abs(high)) >= Decimal(1).scaleb(digits - places):
            return None
    return f"{low:f}", f"{high:f}"


def _texts(kind: str, low: str, high: str) -> tuple[str, str] | None:
    if kind == "date" and all(re.fullmatch(r"\d{4}-\d\d-\d\d", value) for value in (low, high)):
        return low, high
    if kind == "string":
        above = _above(high)
        return None if above is None else (low[:_LONGEST], above)
    if kind in ("timestamp", "timestamp_ntz"):
        return _moments(kind, low, high)
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
