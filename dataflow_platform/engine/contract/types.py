"""Types in DuckDB's words, taken apart, and the least type that holds every value of two of them exactly."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from dataflow_platform.core.sql import literal, quote


@dataclass(frozen=True)
class Kind:
    """A type. ``name`` is STRUCT, LIST, ARRAY, MAP, ENUM, DECIMAL, a plain type's own word, or text nobody knows.

    ``fields`` are those of a STRUCT, ``inner`` the types inside a LIST, ARRAY or MAP, ``numbers`` precision and
    scale of a DECIMAL, the length of an ARRAY or VARCHAR, ``labels`` those of an ENUM.
    """

    name: str
    fields: tuple[tuple[str, "Kind"], ...] = ()
    inner: tuple["Kind", ...] = ()
    numbers: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == "STRUCT":
            return f"STRUCT({', '.join(f'{_field_name(name)} {kind}' for name, kind in self.fields)})"
        if self.name == "MAP":
            return f"MAP({self.inner[0]}, {self.inner[1]})"
        if self.name == "LIST":
            return f"{self.inner[0]}[]"
        if self.name == "ARRAY":
            return f"{self.inner[0]}[{self.numbers[0]}]"
        if self.name == "ENUM":
            return f"ENUM({', '.join(map(literal, self.labels))})"
        numbers = ",".join(map(str, self.numbers))
        return f"{self.name}({numbers})" if numbers else self.name


_BARE = re.compile(r"[a-z_][a-z0-9_]*")
_SIGNED = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
_UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
_DIGITS = {
    "TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 39,
    "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10, "UBIGINT": 20, "UHUGEINT": 39,
}  # fmt: skip
_MANTISSA = {"FLOAT": 24, "DOUBLE": 53}
_STAMPS = {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3, "TIMESTAMP": 6}
"""TIMESTAMP_NS is none of them: it ends in the year 2262."""
_PRECISE = re.compile(r"(TIMESTAMP|TIME)\((\d)\) (WITH|WITHOUT) TIME ZONE")
_MOST_DIGITS = 38


def _field_name(name: str) -> str:
    return name if _BARE.fullmatch(name) else quote(name)


@lru_cache(maxsize=4096)
def parse(text: str) -> Kind:
    """``text`` (DuckDB's spelling) as a Kind; what has no known form becomes a plain type of that name."""
    text = text.strip()
    if text.endswith("]"):
        inside, _, size = text[:-1].rpartition("[")
        return (
            Kind("ARRAY", inner=(parse(inside),), numbers=(int(size),))
            if size
            else Kind("LIST", inner=(parse(inside),))
        )
    name, bracket, rest = text.partition("(")
    name = name.strip().upper()
    if not bracket or not rest.endswith(")"):
        return Kind(text)
    parts = _split(rest[:-1])
    if name == "STRUCT":
        return Kind(name, fields=tuple(_field(part) for part in parts))
    if name == "MAP" and len(parts) == 2:
        return Kind(name, inner=(parse(parts[0]), parse(parts[1])))
    if name == "ENUM":
        return Kind(name, labels=tuple(part[1:-1].replace("''", "'") for part in parts))
    if name in ("DECIMAL", "VARCHAR") and all(part.isdigit() for part in parts):
        return Kind(name, numbers=tuple(map(int, parts)))
    return Kind(text)


def _split(text: str) -> list[str]:
    """The parts between the outermost commas; quotes and brackets are left whole."""
    parts, depth, start, quoted = [], 0, 0, ""
    for place, sign in enumerate(text):
        if quoted:
            quoted = "" if sign == quoted else quoted
        elif sign in "\"'":
            quoted = sign
        elif sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def _field(part: str) -> tuple[str, Kind]:
    found = re.match(r'"((?:[^"]|"")*)"\s+|(\S+)\s+', part)
    if found is None:
        return part, Kind("")
    name = found[2] if found[1] is None else found[1].replace('""', '"')
    return name, parse(part[found.end() :])


def join(a: Kind, b: Kind, allow: Collection[str] = ()) -> Kind | None:
    """The least plain type that holds every value of ``a`` and of ``b`` exactly; None where there is none."""
    if a == b:
        return a
    for low, high in ((a, b), (b, a)):
        found = _holds(low, high, allow)
        if found:
            return high
    return _integers(a, b) or _decimals(a, b)


def _holds(low: Kind, high: Kind, allow: Collection[str]) -> bool:
    if high.name in _MANTISSA:
        bits = _SIGNED.get(low.name) or _UNSIGNED.get(low.name)
        return low.name == "FLOAT" or (bits is not None and bits <= _MANTISSA[high.name])
    if low.name in ("VARCHAR", "ENUM") and high.name == "VARCHAR":
        longest = max(map(len, low.labels), default=0) if low.name == "ENUM" else next(iter(low.numbers), None)
        return not high.numbers or (longest is not None and longest <= high.numbers[0])
    if low.name == high.name == "ENUM":
        # The order of the labels is the order of the values.
        return [label for label in high.labels if label in low.labels] == list(low.labels)
    if low.name in _STAMPS and high.name in _STAMPS:
        return _STAMPS[low.name] <= _STAMPS[high.name]
    rough = _PRECISE.fullmatch(low.name)
    if rough:
        whole = rough[1] + (" WITH TIME ZONE" if rough[3] == "WITH" else "")
        finer = _PRECISE.fullmatch(high.name)
        return high.name == whole or bool(
            finer and (finer[1], finer[3]) == (rough[1], rough[3]) and int(rough[2]) <= int(finer[2])
        )
    return "date_to_timestamp" in allow and (low.name, high.name) == ("DATE", "TIMESTAMP")


def _integers(a: Kind, b: Kind) -> Kind | None:
    known = _SIGNED | _UNSIGNED
    if a.name not in known or b.name not in known:
        return None
    if a.name in _UNSIGNED and b.name in _UNSIGNED:
        return max(a, b, key=lambda kind: _UNSIGNED[kind.name])
    bits = max(known[a.name], known[b.name])
    return next((Kind(name) for name, size in _SIGNED.items() if size >= bits), None)


def _decimals(a: Kind, b: Kind) -> Kind | None:
    shapes = [_shape(kind) for kind in (a, b)]
    if None in shapes or "DECIMAL" not in (a.name, b.name):
        return None
    whole = max(shape[0] for shape in shapes if shape)
    scale = max(shape[1] for shape in shapes if shape)
    return Kind("DECIMAL", numbers=(whole + scale, scale)) if whole + scale <= _MOST_DIGITS else None


def _shape(kind: Kind) -> tuple[int, int] | None:
    """Digits before and after the point."""
    if kind.name == "DECIMAL":
        return kind.numbers[0] - kind.numbers[1], kind.numbers[1]
    return (_DIGITS[kind.name], 0) if kind.name in _DIGITS else None


_TEXT = frozenset({"VARCHAR", "ENUM"})
_NUMBERS = frozenset({*_SIGNED, *_UNSIGNED, *_MANTISSA, "DECIMAL"})
_READABLE = _NUMBERS | _TEXT | _STAMPS.keys() | {"BOOLEAN", "DATE", "TIME", "UUID", "TIMESTAMP WITH TIME ZONE"}


def same_meaning(a: Kind, b: Kind) -> bool:
    """True where a value of ``a`` that can be cast to ``b`` and back unchanged says the same in both.

    A date is no moment, a moment without a zone none with one: these say different things.
    """
    if a.name in _NUMBERS and b.name in _NUMBERS:
        return True
    if a.name in _STAMPS and b.name in _STAMPS:
        return True
    return (a.name in _TEXT and b.name in _READABLE) or (b.name in _TEXT and a.name in _READABLE)
