"""The definition of a table: its columns, its key, and where its rows are."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct, error

from dataflow_platform.connectors.access.pages import Pages, damaged

_DEFINITION = 2
_U16, _U32 = Struct("<H"), Struct("<I")
_COUNTS = Struct("<HHIII")
"""Variable columns, columns, logical and real indexes, usage map; from byte 43."""
_REAL_INDEX, _COLUMN, _INDEX_COLUMNS, _INDEX = 12, 25, 52, 28
_PRIMARY = 1
_TYPES = {
    0x01: "boolean", 0x02: "byte", 0x03: "integer", 0x04: "long", 0x05: "currency", 0x06: "single", 0x07: "double",
    0x08: "date/time", 0x09: "binary", 0x0A: "text", 0x0B: "ole", 0x0C: "memo", 0x0F: "guid", 0x10: "decimal",
    0x12: "attachment or multi-valued", 0x13: "large number", 0x14: "date/time extended",
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """A column in the file: ``number`` counts those that were dropped as well."""

    name: str
    type: str
    number: int
    fixed: bool
    place: int
    """Of a fixed column its first byte, of another its place among the row's offsets."""
    size: int
    precision: int = 0
    scale: int = 0

    @property
    def words(self) -> str:
        """The type as catalogues show it."""
        if self.type == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return f"text({self.size // 2})" if self.type == "text" else self.type


@dataclass(frozen=True)
class Table:
    """A table of the file: ``page`` is where its definition begins, ``usage`` points at the map of its pages."""

    page: int
    row_count: int
    usage: int
    has_variable: bool
    fields: tuple[Field, ...]
    key: tuple[str, ...]


def table(pages: Pages, page: int) -> Table:
    """The definition that begins on ``page``."""
    told = _whole(pages, page)
    try:
        variable, count, logical, real, usage = _COUNTS.unpack_from(told, 43)
        at = 63 + real * _REAL_INDEX
        names = _names(told, at + count * _COLUMN, count)
        fields = tuple(_field(told, at + place * _COLUMN, name) for place, (name, _) in enumerate(names))
        key = _key(told, names[-1][1] if names else at, real, logical)
    except (ValueError, IndexError, error):
        raise damaged(f"the definition of a table on page {page} makes no sense", pages.where) from None
    by_number = {field.number: field.name for field in fields}
    return Table(
        page,
        _U32.unpack_from(told, 16)[0],
        usage,
        bool(variable),
        tuple(sorted(fields, key=lambda field: field.number)),
        tuple(by_number[number] for number in key if number in by_number),
    )


def _whole(pages: Pages, first: int) -> bytes:
    """A definition goes on over several pages; the first eight bytes of each are the page's own."""
    told, number, seen = b"", first, set[int]()
    while number:
        if number in seen:
            raise damaged(f"the definition of a table on page {first} has no end", pages.where)
        seen.add(number)
        page = pages.page(number, _DEFINITION)
        told += page[8:] if told else page
        number = _U32.unpack_from(page, 4)[0]
    return told


def _names(told: bytes, at: int, count: int) -> list[tuple[str, int]]:
    """Name of every column, and where the next one begins."""
    found = []
    for _ in range(count):
        length = _U16.unpack_from(told, at)[0]
        at += 2 + length
        found.append((told[at - length : at].decode("utf-16-le"), at))
    return found


def _field(told: bytes, at: int, name: str) -> Field:
    code, fixed = told[at], bool(told[at + 15] & 1)
    return Field(
        name,
        _TYPES.get(code, f"type {code}"),
        _U16.unpack_from(told, at + 5)[0],
        fixed,
        _U16.unpack_from(told, at + (21 if fixed else 7))[0],
        _U16.unpack_from(told, at + 23)[0],
        told[at + 11],
        told[at + 12],
    )


def _key(told: bytes, at: int, real: int, logical: int) -> list[int]:
    """Numbers of the columns of the primary key, in its order; [] where there is none."""
    indexes = at + real * _INDEX_COLUMNS
    for place in range(logical):
        begins = indexes + place * _INDEX
        if told[begins + 23] == _PRIMARY:
            columns = at + _U32.unpack_from(told, begins + 8)[0] * _INDEX_COLUMNS + 4
            return list(_index_columns(told, columns))
    return []


def _index_columns(told: bytes, at: int) -> Iterator[int]:
    for place in range(10):
        number = _U16.unpack_from(told, at + 3 * place)[0]
        if number != 0xFFFF:
            yield number
