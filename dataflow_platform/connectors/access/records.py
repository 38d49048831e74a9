"""Rows of an Access file as record batches."""

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql.reading import DriverReading
from dataflow_platform.connectors._sql.values import Column, batch
from dataflow_platform.connectors.access.pages import Pages, damaged
from dataflow_platform.connectors.access.table import Field, Table
from dataflow_platform.connectors.access.values import Reader, reader, written
from dataflow_platform.core.errors import DataError, DataflowError

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS = frozenset({"text", "memo", "date/time extended"})
_U16 = struct.Struct("<H")


class TableReading(DriverReading):
    """The rows of one table, a batch at a time; the file is closed with it."""

    def __init__(
        self,
        pages: Pages,
        table: Table,
        columns: Sequence[Column],
        explained: Callable[[BaseException], DataflowError],
        where: str,
    ) -> None:
        super().__init__(columns, explained, where)
        self._pages = pages
        self._expected = table.row_count
        by_name = {field.name: field for field in table.fields}
        self._rows = rows(pages, table, [by_name[column.name] for column in columns])
        self._as_text = [
            place for place, column in enumerate(columns)
            if column.kind == "VARCHAR" and by_name[column.name].type not in _TEXTS
        ]  # fmt: skip
        self._count = 0

    def _batch(self, size: int) -> "pa.RecordBatch | None":
        found = list(islice(self._rows, size))
        self._count += len(found)
        if not found:
            self._refuse_others()
            return None
        for place in self._as_text:
            for row in found:
                row[place] = None if row[place] is None else written(row[place])
        return batch(found, self._columns, self._arrow, self._where)

    def _refuse_others(self) -> None:
        """The rows that came have to be as many as the table says it has."""
        self._pages.refuse_changed()
        if self._count != self._expected:
            raise damaged(f"it holds {self._count} rows of a table that should have {self._expected}", self._where)

    def _end(self) -> None:
        self._pages.close()


def rows(pages: Pages, table: Table, fields: Sequence[Field]) -> Iterator[list[Any]]:
    """Every row of the table with the values of ``fields``; DataError where one cannot be read."""
    readers = [(field, None if field.type == "boolean" else reader(pages, field)) for field in fields]
    for row in pages.rows(table.page, table.usage):
        field = None
        try:
            count = _U16.unpack_from(row)[0]
            mask = len(row) - (count + 7) // 8
            offsets = _offsets(row, mask) if table.has_variable else ()
            values: list[Any] = []
            for field, read in readers:
                there = field.number < count and row[mask + (field.number >> 3)] >> (field.number & 7) & 1
                if read is None:
                    values.append(bool(there))  # the bit is the value: there is no third
                else:
                    values.append(_value(row, field, read, offsets) if there else None)
        except DataflowError:
            raise
        except (ValueError, IndexError, OverflowError, ArithmeticError, struct.error):
            raise _unreadable(field, pages.where) from None
        yield values


def _offsets(row: bytes, mask: int) -> tuple[int, ...]:
    """Where the variable columns of a row begin, and where the last one ends; they stand there backwards."""
    count = _U16.unpack_from(row, mask - 2)[0]
    begins = mask - 2 - 2 * (count + 1)
    if begins < 2:
        raise ValueError("more columns than fit")
    return tuple(reversed(struct.unpack_from(f"<{count + 1}H", row, begins)))


def _value(row: bytes, field: Field, read: Reader, offsets: tuple[int, ...]) -> object:
    if field.fixed:
        begins = 2 + field.place
        return read(row[begins : begins + field.size])
    begins, ends = offsets[field.place], offsets[field.place + 1]
    if not 2 <= begins <= ends <= len(row):
        raise ValueError("a value outside of its row")
    return read(row[begins:ends])


def _unreadable(field: Field | None, where: str) -> DataError:
    if field is None:
        return damaged("a row ends before it begins", where)
    return DataError(
        "sql.value",
        f"column '{field.name}' ({field.words}) holds bytes that are no such value",
        where=where,
        fix="leave the column out (`columns`), or compact and repair the file with Access",
    )
