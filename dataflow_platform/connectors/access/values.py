"""Values of an Access file -> Python's: exact, or refused."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from struct import Struct
from uuid import UUID

from dataflow_platform.connectors.access.pages import Pages, damaged
from dataflow_platform.connectors.access.table import Field
from dataflow_platform.core.errors import ConfigError

_EPOCH = dt.datetime.combine(dt.date(1899, 12, 30), dt.time())  # of no zone
_MILLISECONDS_A_DAY = 86_400_000
_COMPRESSED = b"\xff\xfe"
_INLINE, _ONE_PAGE = 0x80000000, 0x40000000
_LENGTH = 0x3FFFFFFF
_U16, _U32, _NUMERIC = Struct("<H"), Struct("<I"), Struct("<BIIII")
_PLAIN = {
    "byte": Struct("<B"), "integer": Struct("<h"), "long": Struct("<i"), "large number": Struct("<q"),
    "single": Struct("<f"), "double": Struct("<d"),
}  # fmt: skip
_MONEY, _DAYS = Struct("<q"), Struct("<d")

Reader = Callable[[bytes], object]


def reader(pages: Pages, field: Field) -> Reader:
    """What turns the bytes of a value of the column into the value; ValueError (or struct's) where they are none.

    ConfigError ``access.type`` for a type that is not read.
    """
    if field.type in _PLAIN:
        unpack = _PLAIN[field.type].unpack_from
        return lambda told: unpack(told)[0]
    if field.type == "decimal":
        return lambda told: _decimal(told, field.scale)
    if field.type == "memo":
        return lambda told: _text(_long_value(pages, told))
    if field.type == "ole":
        return lambda told: _long_value(pages, told)
    if field.type not in _READERS:
        raise ConfigError(
            "access.type",
            f"column '{field.name}' is of a type that is not read: {field.type}",
            where=pages.where,
            fix="leave it out: name the other columns under `columns`",
        )
    return _READERS[field.type]


def _text(told: bytes) -> str:
    if told[:2] != _COMPRESSED:
        return told.decode("utf-16-le")
    # A zero changes between one byte and two for each character.
    parts = told[2:].split(b"\0")
    return "".join(part.decode("utf-16-le" if place % 2 else "latin-1") for place, part in enumerate(parts))


def _long_value(pages: Pages, told: bytes) -> bytes:
    """A memo or an object, from the row itself, from one row elsewhere, or from a chain of them."""
    head, pointer = _U32.unpack_from(told)[0], _U32.unpack_from(told, 4)[0]
    length = head & _LENGTH
    if head & _INLINE:
        found = told[12 : 12 + length]
    elif head & _ONE_PAGE:
        found = pages.row(pointer)[:length]
    else:
        parts, size = [], 0
        while pointer and size < length:
            row = pages.row(pointer)
            if len(row) <= 4:
                break
            pointer = _U32.unpack_from(row)[0]
            parts.append(row[4:])
            size += len(row) - 4
        found = b"".join(parts)
    if len(found) != length:
        raise damaged(f"a long value has {len(found)} bytes of {length}", pages.where)
    return found


def _money(told: bytes) -> Decimal:
    return Decimal(f"{_MONEY.unpack_from(told)[0]}E-4")


def _decimal(told: bytes, scale: int) -> Decimal:
    sign, *words = _NUMERIC.unpack_from(told)
    digits = 0
    for word in words:
        digits = digits << 32 | word
    return Decimal(f"{'-' if sign & 0x80 else ''}{digits}E-{scale}")


def _moment(told: bytes) -> dt.datetime:
    """A number of days; what follows the point is a time of day, before 1899 as well."""
    days = _DAYS.unpack_from(told)[0]
    whole = int(days)
    return _EPOCH + dt.timedelta(whole, milliseconds=round(abs(days - whole) * _MILLISECONDS_A_DAY))


def _long_moment(told: bytes) -> str:
    """Days since 0001-01-01, seconds and tenths of microseconds, in digits; as text, for Python has no seventh."""
    days, rest = told[:42].decode("ascii").split(":")[:2]
    moment = dt.datetime.combine(dt.date.fromordinal(int(days) + 1), dt.time()) + dt.timedelta(seconds=int(rest[:12]))
    return f"{moment.isoformat(' ')}.{int(rest[12:19]):07}"


_READERS: dict[str, Reader] = {
    "text": _text, "binary": bytes, "currency": _money, "date/time": _moment, "date/time extended": _long_moment,
    "guid": lambda told: UUID(bytes_le=told[:16]),
}  # fmt: skip


def written(value: object) -> str:
    """Any value as text, for a column that is read as such."""
    if isinstance(value, bytes):
        return value.hex()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
