"""How the server writes names and values, and what it is asked to filter.

A condition is sent only where the server finds TRUE whatever DuckDB would: the engine filters again, so more rows are
harmless and fewer are not.
"""

import re
from datetime import UTC, datetime

from dataflow_platform.core.predicate import Predicate
from dataflow_platform.core.server_filter import ServerDialect, Sign

_DAY, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(\.\d{1,6})?"
CURSORS = {
    "whole": r"-?\d+",
    "year": r"\d{4}",
    "decimal": r"-?\d*\.?\d+",
    "double": r"-?\d+(\.\d+)?(e[+-]?\d+)?",
    "date": _DAY,
    "datetime": rf"{_DAY}( {_TIME})?",
    "timestamp": rf"{_DAY} {_TIME}\+00",
    "text": r"(?s).*",
    "text of utf8mb4": r"(?s).*",
    "text beyond ascii": r"(?s).*",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
"""The kinds of column a cursor may have, and the cursor texts that mean the same on both sides. A text that does not
match is not sent: the server then returns more rows than asked for, and the engine filters."""
_ZONED = rf"{_DAY} {_TIME}[+-]\d\d(:\d\d)?"
# Character sets that hold every character of ASCII.
_BEYOND_ASCII = frozenset({"ascii", "latin1", "latin2", "utf8", "utf8mb3"})
_FIRST_YEAR, _LAST_YEAR = 1901, 2155  # YEAR reads a smaller number as one of a century


def ticked(name: str) -> str:
    """An identifier in the server's quotes, which mean the same in every sql_mode."""
    return "`" + name.replace("`", "``") + "`"


def text_kind(collation: str | None) -> str:
    """Kind of a character column: its character set says which literals its own collation can compare."""
    charset = (collation or "").partition("_")[0]
    if charset == "utf8mb4":
        return "text of utf8mb4"
    return "text beyond ascii" if charset in _BEYOND_ASCII else "text"


def _as_bytes(name: str) -> str:
    # DuckDB compares bytes; a collation folds cases and accents, and pads with blanks.
    return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"


def _compared(name: str, kind: str, sign: Sign, value: str) -> str:
    if kind.startswith("text"):
        return f"{_as_bytes(name)} {sign} X'{value.encode().hex()}'"
    if kind == "uuid":
        return f"CAST(CAST({name} AS CHAR) AS BINARY) {sign} X'{value.encode().hex()}'"
    if kind == "double":
        return f"{name} {sign} {value if 'e' in value else value + 'e0'}"
    if kind in ("date", "datetime", "timestamp"):
        return f"{name} {sign} {_time(kind, value.removesuffix('+00'))}"
    return f"{name} {sign} {value}"


def _time(kind: str, text: str) -> str:
    if kind == "date":
        return f"DATE'{text}'"
    return f"TIMESTAMP'{text if ' ' in text else text + ' 00:00:00'}'"


def _keeps(name: str, kind: str, predicate: Predicate) -> str | None:
    """Whole numbers, dates, times and equal texts only: of these both sides think alike."""
    operator, values = predicate.operator, predicate.values
    if operator in ("is null", "is not null"):
        return f"{name} {operator.upper()}"
    if kind.startswith("text"):
        return _keeps_text(name, kind, predicate)
    said = [_same_there(kind, value) for value in values]
    # By an index some versions cut the digits a column does not have off the literal.
    equal = operator in ("=", "<>", "in")
    if None in said or (equal and any("." in str(value) for value in values)):
        return None
    listed = ", ".join(str(value) for value in said)
    return f"{name} IN ({listed})" if operator == "in" else f"{name} {operator} {listed}"


def _keeps_text(name: str, kind: str, predicate: Predicate) -> str | None:
    """Equal as bytes; beside it what an index can answer: texts of the same bytes are equal in any collation."""
    texts = [value for value in predicate.values if isinstance(value, str)]
    if predicate.operator not in ("=", "in") or len(texts) < len(predicate.values):
        return None
    bytes_of = [f"X'{text.encode().hex()}'" for text in texts]
    said = f"{_as_bytes(name)} IN ({', '.join(bytes_of)})"
    # Between character sets the server refuses what it cannot convert.
    if kind == "text of utf8mb4" or (kind == "text beyond ascii" and all(text.isascii() for text in texts)):
        said = f"{name} IN ({', '.join(f'_utf8mb4 {each}' for each in bytes_of)}) AND {said}"
    return said


def _same_there(kind: str, value: int | str) -> str | None:
    """The server's literal of a value; None where it could mean something else there."""
    if isinstance(value, int):
        low, high = (_FIRST_YEAR, _LAST_YEAR) if kind == "year" else (-(2**63), 2**64 - 1)
        return str(value) if kind in ("whole", "year") and low <= value <= high else None
    pattern = _ZONED if kind == "timestamp" else CURSORS[kind]
    if kind not in ("date", "datetime", "timestamp") or not re.fullmatch(pattern, value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        # The session's zone is UTC.
        moment = moment.astimezone(UTC).replace(tzinfo=None) if kind == "timestamp" else moment
    except (ValueError, OverflowError):  # there is no such day: the engine says so
        return None
    return _time(kind, str(moment.date()) if kind == "date" else moment.isoformat(sep=" "))


def _moment(kind: str | None, moment: datetime) -> str | None:
    """A time as the server's literal; columns without a zone hold its wall time."""
    if kind == "timestamp":
        aware = moment.astimezone(UTC) if moment.tzinfo else moment
        return f"TIMESTAMP'{aware.replace(tzinfo=None).isoformat(sep=' ')}'"
    if kind == "datetime":
        return f"TIMESTAMP'{moment.replace(tzinfo=None).isoformat(sep=' ')}'"
    return f"DATE'{moment.date().isoformat()}'" if kind == "date" else None


DIALECT = ServerDialect(
    name="mysql",
    cursor_types="a whole number, decimal of up to 38 digits, double, date, datetime, timestamp or character type",
    cursors=CURSORS,
    numbers=frozenset({"whole", "year", "decimal", "double"}),
    quoted=ticked,
    compared=_compared,
    moment=_moment,
    keeps=_keeps,
)
