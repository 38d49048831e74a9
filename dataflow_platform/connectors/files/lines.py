"""At which line of a text file a record begins: told afterwards, for the few rows somebody has to look at."""

import csv
import io
import os
from collections.abc import Iterator, Sequence

from dataflow_platform.connectors.files.listing import File, opened
from dataflow_platform.connectors.files.stream import Format


def begin(
    file: File, kind: Format, separator: str, header: bool, records: Sequence[int], total: int
) -> list[int] | None:
    """The lines at which the ``records`` of ``file`` begin (both from 1, ascending); [] where they cannot be told.

    ``total`` is how many records DuckDB finds in the file: where we count others, our lines are not its lines. None:
    the file is not what was read any more.
    """
    found: list[int] = []
    number = 0
    try:
        status = os.stat(file.path)
        if (status.st_size, status.st_mtime_ns) != (file.size, file.changed):
            return None
        wanted = iter(records)
        following = next(wanted, None)
        for number, line in enumerate(_csv(file, separator, header) if kind == "csv" else _json(file), 1):
            if number == following:
                found.append(line)
                following = next(wanted, None)
    except OSError:
        return None
    except csv.Error:
        return []
    return found if number == total else []


def _csv(file: File, separator: str, header: bool) -> Iterator[int]:
    """The first line of each record."""
    with opened(file.path) as stream, io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="") as text:
        rows = csv.reader(text, delimiter=separator)
        begun, width = 1, 0
        for row in rows:
            width = width or len(row)
            # To DuckDB an empty line is a record only where a record has one field.
            if row or width == 1:
                if header:
                    header = False
                else:
                    yield begun
            begun = rows.line_num + 1


def _json(file: File) -> Iterator[int]:
    with opened(file.path) as stream:
        for line, text in enumerate(stream, 1):
            if text.strip():
                yield line
