"""What a value means, whatever wrote it: one canonical form a family, so that two systems' values can be compared."""

import json
import re
import struct
import uuid
from decimal import Decimal
from typing import Any

Meaning = str | list[Any] | dict[str, Any] | None


def canonical(family: str, value: Any) -> Meaning:
    """``value`` (text as a system writes it, or Python's own) in the one form of ``family``.

    A family is ``int``, ``decimal``, ``float``, ``bool``, ``text``, ``bytes``, ``uuid``, ``date``, ``time``,
    ``timetz``, ``timestamp``, ``timestamptz``, ``interval``, ``json`` (the text), ``document`` (what the text
    says) or ``list:`` and the family of its elements.
    """
    if value is None:
        return None
    if family.startswith("list:"):
        return [canonical(family if isinstance(each, list) else family[5:], each) for each in value]
    return _FAMILIES[family](value)


def _float(value: Any) -> str:
    number = float(value)
    return "nan" if number != number else struct.pack(">d", number).hex()


def _decimal(value: Any) -> str:
    number = Decimal(value)
    if not number.is_finite():
        return str(number)
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    return f"{'-' if sign and kept else ''}{kept or 0}e{exponent + len(text) - len(kept) if kept else 0}"


def _bool(value: Any) -> str:
    return {"true": "true", "t": "true", "false": "false", "f": "false"}[str(value).lower()]


def _bytes(value: Any) -> str:
    if isinstance(value, str):  # as PostgreSQL writes it
        return value.removeprefix("\\x")
    return bytes(value).hex()


def _moment(value: Any) -> str:
    """Dates and times as text: no T, no closing zeros of a fraction, an era behind, an offset of hours."""
    text = str(value).strip().replace("T", " ").replace(" (BC)", " BC").replace("Z", "+00")
    era = " BC" in text
    text = text.replace(" BC", "")
    text = re.sub(r"(\.\d*?)0+(?=$|[+-])", r"\1", text)
    text = re.sub(r"\.(?=$|[+-])", "", text)
    text = re.sub(r"([+-]\d\d)(?::00)+$", r"\1", text)
    text = re.sub(r"( 00:00:00)(?=$)", "", text)  # midnight: a date widened to a timestamp
    return text + (" BC" if era else "")


def _interval(value: Any) -> str:
    """Months, days and microseconds: they never become one another."""
    months, days, micros = value
    return f"{months}m {days}d {micros}us"


def _document(value: Any) -> Any:
    if not isinstance(value, str):
        return _told(value)
    # As a list of pairs: a key that comes twice counts.
    return _told(
        json.loads(value, parse_int=Decimal, parse_float=Decimal, parse_constant=str, object_pairs_hook=_Pairs)
    )


class _Pairs(list[Any]):
    """The members of an object in the order they came."""


def _told(said: Any) -> Any:
    if isinstance(said, dict):
        said = _Pairs(said.items())
    if isinstance(said, _Pairs):
        return {"members": sorted(((key, _told(each)) for key, each in said), key=str)}
    if isinstance(said, list):
        return [_told(each) for each in said]
    return f"number {_decimal(said)}" if isinstance(said, Decimal) else said


_FAMILIES: dict[str, Any] = {
    "int": lambda value: _decimal(value),
    "decimal": _decimal,
    "float": _float,
    "bool": _bool,
    "text": str,
    "bytes": _bytes,
    "uuid": lambda value: str(uuid.UUID(str(value))),
    "date": _moment,
    "time": _moment,
    "timetz": _moment,
    "timestamp": _moment,
    "timestamptz": _moment,
    "interval": _interval,
    "json": str,
    "document": _document,
}
