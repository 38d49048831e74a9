"""Parquet files a session writes ahead of its commit, and what becomes of them if there is none."""

import json
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import duckdb

from dataflow_platform.connectors._lake.at_once import Answer, at_once
from dataflow_platform.connectors._lake.log import SYSTEM_FOLDER, DataFile, Snapshot, TableLog
from dataflow_platform.connectors._lake.store import Entry, Store
from dataflow_platform.connectors._lake.unkept_values import refuse_partitions
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import literal, quote

_MARKER = "pending-"
_COLUMNS, _WRITERS = 48, 4
"""Columns, and files, that are written at a time. A writer more with 16 columns took 55 MB."""
_GROUP = "16MB"
"""A group of rows ends at this size, or with 122,880 rows. A writer holds a group: of rows of 4 kB the engine's memory
did not hold one of so many rows."""


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are spread over files."""

    partition_by: tuple[str, ...] = ()
    file_size: str = "128MB"
    empty_is_null: bool = False
    """The log takes an empty text of a partition for NULL."""


class PendingFiles:
    """The files of one session in one table's folder. All names carry the session's ``token``.

    Before the first file a marker says which version they are meant for: once that version is another
    session's, or its process is known to be dead, whoever finds the marker may remove the files.
    """

    def __init__(self, engine: duckdb.DuckDBPyConnection, store: Store, folder: str, version: int) -> None:
        self.token = uuid.uuid4().hex[:16]
        self._engine = engine
        self._store = store
        self._folder = folder
        self._written = 0
        self.system: list[DataFile] = []
        """The files of system tables that were written."""
        self._marker = f"{folder}/{SYSTEM_FOLDER}/{_MARKER}{version}-{self.token}.json"
        self._marked = False
        self.uncertain = False
        """The commit was sent and its outcome is not known: nothing may be removed."""

    def write(
        self, query: str, columns: Sequence[Column], layout: Layout, readers: Sequence[duckdb.DuckDBPyConnection] = ()
    ) -> list[DataFile]:
        """Write the rows of an engine query, whose columns are ``columns``, as new files; nothing for no rows.

        ``readers``: connections on each of which the query gives a part of the rows, written beside one another.
        """
        self.mark()
        engines = readers or [self._engine]
        names = [f"part-{self.token}-{self._written + place}-{{i}}" for place in range(len(engines))]
        self._written += len(engines)
        how = (
            f"PARTITION_BY ({listed(layout.partition_by)})"
            if layout.partition_by
            else f"FILE_SIZE_BYTES {literal(layout.file_size)}, ROW_GROUP_SIZE_BYTES '{_GROUP}'"
        )
        typed = ", ".join(f"CAST({quote(column.name)} AS {column.type}) AS {quote(column.name)}" for column in columns)
        copied = f"COPY (SELECT {typed} FROM ({query})) TO {literal(self._store.url(self._folder))}"
        statements = [
            f"{copied} (FORMAT parquet, {how}, FILENAME_PATTERN {literal(name)}, OVERWRITE_OR_IGNORE, RETURN_STATS)"
            for name in names
        ]
        answers = at_once(engines, statements, max(1, min(_WRITERS, _COLUMNS // len(columns))))
        files = [file for answer in answers for file in self._told(answer, layout.partition_by)]
        by_name = {column.name: column for column in columns}
        refuse_partitions(files, [by_name[part] for part in layout.partition_by], layout.empty_is_null)
        self._store.delete(self._path(file) for file in files if not file.rows)
        return [file for file in files if file.rows]

    def write_system(self, name: str, query: str) -> list[DataFile]:
        """Write the rows of a system table as one file beside the others."""
        self.mark()
        path = f"{SYSTEM_FOLDER}/{name.strip('_')}-{self.token}-{self._written}.parquet"
        self._written += 1
        url = self._store.url(f"{self._folder}/{path}")
        statement = f"COPY ({query}) TO {literal(url)} (FORMAT parquet, RETURN_STATS)"
        files = self._told(self._engine.execute(statement).fetchall(), ())
        self.system += files
        return files

    def _told(self, rows: Answer, partition_by: Sequence[str]) -> list[DataFile]:
        root = self._store.url(self._folder) + "/"
        found = []
        for filename, count, size, _, statistics, keys in rows:
            partition = tuple((keys or {}).get(name) for name in partition_by)
            path = str(filename)
            path = path[path.index(root) + len(root) :]
            found.append(DataFile(path, int(count), int(size), partition, "", statistics or {}))
        return found

    def mark(self) -> None:
        """Say that this session may leave files behind."""
        if not self._marked:
            self._store.prepare(self._folder)
            said = {"token": self.token, "process": os.getpid()}
            self._store.put(self._marker, json.dumps(said).encode())
            self._marked = True

    def _path(self, file: DataFile) -> str:
        return f"{self._folder}/{file.path}"

    def make_durable(self, files: Iterable[DataFile]) -> None:
        """Return once these files survive a crash."""
        self._store.make_durable(self._path(file) for file in files)

    def committed(self) -> None:
        """The files belong to a version now."""
        if self._marked:
            self._store.delete([self._marker])
            self._marked = False

    def discard(self) -> None:
        """Remove every file that was written, unless a version may hold them: then the next load finds out."""
        if self._marked and not self.uncertain:
            _remove(self._store, self._folder, self.token)
            self.committed()

    def draft(self) -> str:
        """Where the commit may be drafted."""
        return f"{self._folder}/{SYSTEM_FOLDER}/draft-{self.token}.json"


def refuse_nulls(files: Sequence[DataFile], required: frozenset[str], where: str) -> None:
    """Raise a DataError where a column that may not hold NULL does."""
    for file in files:
        for name in sorted(required):
            said = file.statistics.get(quote(name), {})
            if int(said.get("null_count", "0")):
                raise DataError(
                    "lake.required_column",
                    f"column '{name}' may not hold NULL, and {said['null_count']} rows do",
                    where=where,
                    fix="fill it in the pipeline, or check it (not_null) so that such rows go to quarantine",
                )


def sweep(store: Store, log: TableLog, snapshot: Snapshot | None) -> list[Callable[[], None]]:
    """Remove what killed sessions left in a table's folder; what can be removed only after the next commit."""
    newest = snapshot.version if snapshot else -1
    later = []
    for entry in list(store.files(f"{log.folder}/{SYSTEM_FOLDER}")):
        name = entry.path.rpartition("/")[2]
        if not name.startswith(_MARKER):
            continue
        version, _, token = name.removeprefix(_MARKER).removesuffix(".json").partition("-")
        # A marker of a version that exists: its session committed it, or can commit no more.
        if store.exclusive or int(version) <= newest:
            _settle(store, log, entry, int(version) <= newest and log.committed(int(version), token) is not False)
        else:
            later.append(_after(store, log, entry, int(version), token))
    return later


def _after(store: Store, log: TableLog, entry: Entry, version: int, token: str) -> Callable[[], None]:
    return lambda: _settle(store, log, entry, log.committed(version, token) is not False)


def _settle(store: Store, log: TableLog, marker: Entry, committed: bool) -> None:
    if not committed:
        token = marker.path.removesuffix(".json").rpartition("-")[2]
        _remove(store, log.folder, token)
    store.delete([marker.path])


def _remove(store: Store, folder: str, token: str) -> None:
    """Delete the files whose names carry the token; markers stay."""
    found = (entry.path for entry in store.files(folder) if f"-{token}" in entry.path.rpartition("/")[2])
    store.delete([path for path in found if _MARKER not in path and "/_delta_log/" not in path])
