"""Results of exports: downloaded to a file, read from it in parts, so that memory does not grow with them."""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from dataflow_platform.connectors.rest.batches import decode
from dataflow_platform.connectors.rest.decoding import csv_rows
from dataflow_platform.connectors.rest.endpoint import Endpoint

_ROWS = 5_000
"""Rows handed on together."""


@dataclass(frozen=True)
class Chunk:
    """Some records of a file, in order, and the same with every number digit by digit."""

    records: list[Mapping[str, Any]]
    exact: Callable[[], list[Mapping[str, Any]]]


def chunks(file: IO[bytes], endpoint: Endpoint, exact: bool) -> Generator[Chunk, None, None]:
    """The records of a file of CSV or JSON lines, also inside gzip or zip; ValueError where it is broken.

    The file is closed with the last of them, or with the generator.
    """
    try:
        with file:
            for opened in _opened(file):
                yield from _of_csv(opened, endpoint) if endpoint.format == "csv" else _of_lines(opened, exact)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, csv.Error) as error:
        raise ValueError(f"broken: {type(error).__name__}") from None


def _opened(file: IO[bytes]) -> Iterator[IO[bytes]]:
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    if start[:2] == b"\x1f\x8b":
        yield gzip.GzipFile(fileobj=file)  # type: ignore[misc]
    elif start == b"PK\x03\x04":
        with zipfile.ZipFile(file) as archive:
            for name in sorted(archive.namelist()):
                with archive.open(name) as inner:
                    yield inner
    else:
        yield file


def _of_csv(file: IO[bytes], endpoint: Endpoint) -> Iterator[Chunk]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        rows = csv_rows(text, endpoint.csv)
        while part := list(islice(rows, _ROWS)):
            yield Chunk(list(part), lambda part=part: list(part))  # type: ignore[misc]


def _of_lines(file: Iterable[bytes], exact: bool) -> Iterator[Chunk]:
    lines = (line for line in file if line.strip())
    while part := list(islice(lines, _ROWS)):
        yield Chunk([decode(line, exact) for line in part], lambda part=part: [decode(line, True) for line in part])  # type: ignore[misc]
