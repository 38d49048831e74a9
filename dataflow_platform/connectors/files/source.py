"""The source of files: what was read is remembered by file (size and time of change).

A file that is new or changed is read whole, all others are left alone.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from pydantic import Field

from dataflow_platform.connectors.files import broken, lines, listing, reading
from dataflow_platform.connectors.files.listing import File
from dataflow_platform.connectors.files.stream import FilesStream
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, Location, TransientError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.sql import quote

_KNOWN_FROM = 50  # how many older files tell the columns where there is no new one


class Files(Source):
    """Files in a folder: CSV, JSON lines, Parquet; plain, gzip or zstd."""

    StreamOptions: ClassVar[type[Spec]] = FilesStream
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Files", family="files", evidence="real_server", evidence_note="real files on the local file system"
    )

    root: str = Field(description="The folder; relative paths start at the project root. Nothing outside it is read.")
    settle_seconds: float = Field(
        default=0, ge=0, description="Leave files alone that were changed less than so many seconds ago."
    )

    def test_connection(self) -> str:
        """Look into the folder and count the files this source could read."""
        return f"{sum(1 for _ in listing.readable(self._root()))} readable files below {self._root()}"

    def discover(self) -> list[str]:
        """A pattern for each kind of file in each folder (``faa/*.csv.gz``), sorted."""
        names = listing.readable(self._root())
        return sorted({str(name.parent / f"*{name.name[_kind_at(name.name) :]}") for name in names})

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The pattern, in letters, digits and underscores; the connection's name says which folder."""
        return (re.sub(r"[^A-Za-z0-9_]+", "_", _options(stream).path).strip("_") or "files",)

    def probe(self, stream: Stream) -> str | None:
        """A digest of the matching files; None while there is none."""
        if not self._root().is_dir():
            return None
        marks = {file.name: file.mark for file in self._settled(listing.matching(self._root(), _options(stream).path))}
        return hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:16] if marks else None

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The rows of the files that are new or changed; of every file for a partition run (``state.window``).

        Packed files are unpacked once beforehand: DuckDB takes one that is cut off for a shorter one.
        """
        options = _options(stream)
        files = listing.matching(self._root(), options.path)
        settled = self._settled(files)
        known = {} if state.window else dict(state.position.get("files", {}))
        # A file still being written keeps its old mark: once settled it differs and is read.
        marks = {file.name: known[file.name] for file in files if file.name in known}
        marks |= {file.name: file.mark for file in settled}
        fresh = [file for file in settled if known.get(file.name) != file.mark and not listing.is_blank(file)]
        read = fresh or [file for file in settled[-_KNOWN_FROM:] if not listing.is_blank(file)]
        for file in fresh:
            listing.must_be_whole(file)
        try:
            query = self._query(connection, read, options) if read else self._nothing(options, files)
            located = connection.sql(query if fresh else f"SELECT * FROM ({query}) WHERE FALSE")
            places = {name: word for name, word in reading.PLACES.items() if name in located.columns}
            shown = ", ".join(quote(name) for name in located.columns if name not in places)
            relation = located.project(shown)
        except duckdb.Error as error:
            raise _unbound(error, read, options) from None
        size = sum(file.size for file in fresh)
        position = dict(state.position) if state.window else {"files": marks}
        told = _lines(fresh, options) if fresh else None
        return Scan(relation, position, located if places else None, places, told, bytes_read=lambda: size)

    def explain(self, error: BaseException) -> DataflowError | None:
        """What an error raised while the relation was read means; None where it is none of this source."""
        return error if isinstance(error, DataflowError) else broken.meaning(str(error))

    def _root(self) -> Path:
        return resolve(self.root).absolute()

    def _settled(self, files: list[File]) -> list[File]:
        newest = time.time_ns() - int(self.settle_seconds * 1e9)
        return [file for file in files if not self.settle_seconds or file.changed <= newest]

    def _query(self, connection: duckdb.DuckDBPyConnection, files: list[File], options: FilesStream) -> str:
        def ask(query: str) -> list[tuple[Any, ...]]:
            return connection.sql(query).fetchall()

        return reading.select_from(files, options, len(str(self._root())) + 1, ask)

    def _nothing(self, options: FilesStream, files: list[File]) -> str:
        """No row, with the declared columns; an error where nothing tells the columns."""
        if options.columns:
            return reading.no_rows(options)
        if len(self._settled(files)) < len(files):
            raise TransientError(
                "files.unsettled",
                f"what matches '{options.path}' was changed less than {self.settle_seconds:g} s ago",
                where="path",
                fix="wait, or declare `columns`: the stream is then empty until files settle",
                retry_after=self.settle_seconds,
            )
        held = [str(name) for name in listing.readable(self._root())]
        listed = ", ".join(held[:8]) + (", ..." if len(held) > 8 else "")
        what = "only empty files match" if files else "no file matches"
        raise ConfigError(
            "files.nothing_found",
            f"{what} '{options.path}' below {self._root()}",
            where="path",
            fix="check `path`, or declare `columns` if files arrive later; "
            f"the folder holds: {listed or 'no readable file'}",
        )


def _options(stream: Stream) -> FilesStream:
    if isinstance(stream.options, FilesStream):
        return stream.options
    raise TypeError(f"stream '{stream.name}' has the options of another source: {type(stream.options).__name__}")


def _lines(files: list[File], options: FilesStream) -> Callable[[str, Sequence[int], int], Sequence[int] | None] | None:
    kind = reading.common_format(files, options)
    separator = reading.delimiter(files, options)
    known = {file.name: file for file in files}
    if kind == "parquet":
        return None
    return lambda name, records, total: lines.begin(known[name], kind, separator, options.header, records, total)


def _kind_at(name: str) -> int:
    """Where the endings that tell format and packing begin: ``a.b.csv.gz`` -> ``.csv.gz``."""
    stem = name.rpartition(".")[0] if listing.suffix(name) in listing.PACKED else name
    return stem.rindex(".")


def _unbound(error: duckdb.Error, files: list[File], options: FilesStream) -> DataflowError:
    """The error of a query DuckDB could not prepare: it looks into the files to know their columns."""
    text = str(error)
    return (
        (broken.meaning(text) if "sniffing" not in text and "expected records" not in text else None)
        or broken.first_broken(files, options, reading.common_format(files, options))
        or DataError(
            "files.unreadable",
            text.strip().splitlines()[0][:300],
            where=Location(file=files[0].path if files else None),
            fix="check the files, and the stream's `format`, `delimiter` and `columns`",
        )
    )
