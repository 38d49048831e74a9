"""The pages of an Access file: what kind of file it is, the rows on a page, and the pages of a table."""

import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self

from dataflow_platform.core.errors import ConfigError, DataError, TransientError

PAGE = 4096
"""Bytes; of every version since Access 2000."""
_MAGIC = {b"Standard Jet DB\0": "mdb", b"Standard ACE DB\0": "accdb"}
_ACCESS_97 = 0
_MASK_KEY = b"\xc7\xda\x39\x6b"  # the head of every file is scrambled with it, whether a person set a password or not
_MASKED, _FILE_KEY = slice(0x18, 0x18 + 128), slice(0x3E, 0x42)
_DATA, _USAGE = 1, 5
_ROWS_AT = 12
_MOVED = 0x4000
"""The row is gone, or it is only the number of the page it moved to; there it is found anyway."""
_OFFSET = 0x1FFF
_U16, _U32 = Struct("<H"), Struct("<I")


def damaged(what: str, where: str) -> DataError:
    """The error for a file that contradicts itself."""
    return DataError(
        "access.damaged",
        f"the file is damaged: {what}",
        where=where,
        fix="close it everywhere, then compact and repair it with Access",
    )


class Pages:
    """An open file. Every page is read when it is asked for, and none is kept."""

    def __init__(self, path: Path, where: str) -> None:
        self.where = where
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ConfigError(
                "access.open", f"the file cannot be read ({error.strerror})", where=where, fix="check `path`"
            ) from None
        try:
            self._before = self._stamp()
            self.format = self._known()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._file.close()

    def refuse_changed(self) -> None:
        """TransientError ``access.changed`` where somebody wrote into the file since it was opened."""
        if self._stamp() != self._before:
            raise TransientError(
                "access.changed",
                "the file was written while it was read: rows may be missing or there twice",
                where=self.where,
                fix="run it again, or read a copy that nobody has open",
            )

    def _stamp(self) -> tuple[int, int]:
        told = os.fstat(self._file.fileno())
        return told.st_size, told.st_mtime_ns

    def _known(self) -> str:
        """What the file is; ConfigError where it cannot be read."""
        head = self._file.read(PAGE)
        kind = _MAGIC.get(head[4:20])
        if len(head) < PAGE or kind is None:
            fix = "name a .mdb or .accdb file"
            raise ConfigError("access.format", "this is no Access database", where=self.where, fix=fix)
        if head[0x14] == _ACCESS_97:
            fix = "open it with a newer Access and save it in the format of today"
            raise ConfigError("access.format", "the file is of Access 97 or older", where=self.where, fix=fix)
        key = _unscrambled(head[_MASKED])[_FILE_KEY.start - _MASKED.start : _FILE_KEY.stop - _MASKED.start]
        if any(key):
            raise ConfigError(
                "access.encrypted",
                "the file is encrypted",
                where=self.where,
                fix="open it exclusively with Access and take the password (or the encoding) away, or read a copy",
            )
        return kind

    def page(self, number: int, kind: int | None = None) -> bytes:
        """One page; DataError where there is none, or it is of another kind."""
        self._file.seek(number * PAGE)
        found = self._file.read(PAGE)
        if len(found) < PAGE or (kind is not None and found[0] != kind):
            raise damaged(f"page {number} is missing or holds something else", self.where)
        return found

    def row(self, pointer: int) -> bytes:
        """A row by its page and its place there, as pointers of the file tell them."""
        page, place = self.page(pointer >> 8, _DATA), pointer & 0xFF
        if place >= _U16.unpack_from(page, _ROWS_AT)[0]:
            raise damaged(f"page {pointer >> 8} has no row {place}", self.where)
        start, end = self._bounds(page, place)
        return page[start:end]

    def _bounds(self, page: bytes, place: int) -> tuple[int, int]:
        at = _ROWS_AT + 2 * place
        start = _U16.unpack_from(page, at + 2)[0] & _OFFSET
        end = _U16.unpack_from(page, at)[0] & _OFFSET if place else PAGE
        if not _ROWS_AT < start <= end <= PAGE:
            raise damaged("a row is not inside its page", self.where)
        return start, end

    def rows(self, table: int, usage: int) -> Iterator[bytes]:
        """The rows of the table that is described on page ``table``, by the pages its usage map names."""
        for number in self._used(usage):
            page = self.page(number)
            if page[0] != _DATA or _U32.unpack_from(page, 4)[0] != table:
                raise damaged(f"page {number} does not belong to its table", self.where)
            count = _U16.unpack_from(page, _ROWS_AT)[0]
            if count > (PAGE - _ROWS_AT) // 2 - 1:
                raise damaged(f"page {number} has more rows than fit", self.where)
            for place in range(count):
                if not _U16.unpack_from(page, _ROWS_AT + 2 + 2 * place)[0] & _MOVED:
                    start, end = self._bounds(page, place)
                    yield page[start:end]

    def _used(self, usage: int) -> Iterator[int]:
        """Numbers of pages, from the bits of a map in a row or on pages of its own."""
        told = self.row(usage)
        if len(told) < 5:
            raise damaged("a map of pages is cut off", self.where)
        if told[0] == 0:
            yield from _set_bits(told[5:], _U32.unpack_from(told, 1)[0])
            return
        if told[0] != 1:
            raise damaged("a map of pages is of an unknown kind", self.where)
        for place in range((len(told) - 1) // 4):
            number = _U32.unpack_from(told, 1 + 4 * place)[0]
            if number:
                yield from _set_bits(self.page(number, _USAGE)[4:], place * (PAGE - 4) * 8)


def _set_bits(bits: bytes, first: int) -> Iterator[int]:
    for position, byte in enumerate(bits):
        for bit in range(8) if byte else ():
            if byte >> bit & 1:
                yield first + 8 * position + bit


def _unscrambled(head: bytes) -> bytes:
    """The head of a file in the clear: RC4 with a key that is the same in every file."""
    state, other = list(range(256)), 0
    for place in range(256):
        other = (other + state[place] + _MASK_KEY[place % 4]) & 0xFF
        state[place], state[other] = state[other], state[place]
    clear, place, other = bytearray(), 0, 0
    for byte in head:
        place = (place + 1) & 0xFF
        other = (other + state[place]) & 0xFF
        state[place], state[other] = state[other], state[place]
        clear.append(byte ^ state[(state[place] + state[other]) & 0xFF])
    return bytes(clear)
