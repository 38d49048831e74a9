"""The versions of a Parquet dataset: ``_manifest/<version>.json``, each put where none was, each naming all files.

=============  ==========================================================================
format         1
version        the number in the manifest's name; the greatest one counts
committed_at   seconds since 1970
token          of the session that wrote it
columns        ``[name, DuckDB type, may hold NULL]`` in order
partition_by   names of the columns the folders are made of; they are in no file
files          ``{path, rows, size, partition}``: the paths are below the table's folder
removed        ``[path, since]``: files of older versions that are not deleted yet
properties     the platform's books: see ``_lake/ledger.py``
loads          the loads this version holds
=============  ==========================================================================
"""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb

from dataflow_platform.connectors._lake.log import Commit, DataFile, Snapshot, TableLog
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.connectors.parquet_dataset.types import PARTITIONS, stored
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError

_FORMAT = 1


class ManifestLog(TableLog):
    """The manifests in ``<folder>/_manifest``; files stay ``retention`` seconds after a version let go of them."""

    def __init__(self, store: Store, folder: str, retention: float) -> None:
        self.folder = folder
        self._store = store
        self._retention = retention
        self._removed: list[tuple[str, float]] = []

    def snapshot(self) -> Snapshot | None:
        versions = self._versions()
        content = self._store.read(self._path(versions[-1])) if versions else None
        if content is None:
            return None
        said = json.loads(content)
        if said["format"] != _FORMAT:
            raise ConfigError(
                "parquet_dataset.format",
                f"the dataset is written in format {said['format']}, this release knows {_FORMAT}",
                where=f"{self._store.described()}/{self.folder}",
                fix="use the release that wrote it, or a newer one",
            )
        self._removed = [(path, since) for path, since in said["removed"]]
        return Snapshot(
            version=said["version"],
            columns=tuple(Column(name, kind, nullable=nullable) for name, kind, nullable in said["columns"]),
            files=tuple(_file(each) for each in said["files"]),
            properties=said["properties"],
            partition_by=tuple(said["partition_by"]),
        )

    def _versions(self) -> list[int]:
        names = (entry.path.rpartition("/")[2] for entry in self._store.files(f"{self.folder}/_manifest"))
        return sorted(int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdigit())

    def _path(self, version: int) -> str:
        return f"{self.folder}/_manifest/{version:020d}.json"

    def committed(self, version: int, token: str) -> bool | None:
        content = self._store.read(self._path(version))
        return None if content is None else json.loads(content)["token"] == token

    def stored(self, column: Column) -> str:
        return stored(column.name, duckdb.sqltype(column.type))

    def check_partition(self, columns: Sequence[Column]) -> None:
        for column in columns:
            if self.stored(column) not in PARTITIONS:
                raise ConfigError(
                    "parquet_dataset.partition_type",
                    f"'{column.name}' is {column.type}: a table is partitioned by text, integers, dates or booleans",
                    where="partition_by",
                    fix="derive a DATE or VARCHAR column and partition by that",
                )

    def commit(self, base: Snapshot | None, commit: Commit) -> bool:
        version, now = (base.version + 1 if base else 0), time.time()
        gone = {file.path for file in commit.removed}
        kept = [file for file in base.files if file.path not in gone] if base else []
        removed = [*self._removed, *((file.path, now) for file in commit.removed)]
        # Before the commit: after it nothing would name them any more.
        self._store.delete([f"{self.folder}/{path}" for path, since in removed if since <= now - self._retention])
        manifest = {
            "format": _FORMAT,
            "version": version,
            "committed_at": now,
            "token": commit.token,
            "columns": [[column.name, column.type, column.nullable] for column in commit.columns],
            "partition_by": list(commit.partition_by),
            "files": [_said(file) for file in (*kept, *commit.added)],
            "removed": [[path, since] for path, since in removed if since > now - self._retention],
            "properties": dict(commit.properties),
            "loads": [vars(load) for load in commit.loads],
        }
        content = json.dumps(manifest, ensure_ascii=False).encode()
        try:
            if self._store.put_if_absent(self._path(version), content, commit.draft):
                return True
        except TransientError:
            # The answer may have been lost, not the request.
            if self.committed(version, commit.token):
                return True
            raise
        return self.committed(version, commit.token) is True

    def maintain(self, version: int) -> None:
        """Manifests past their retention go."""
        oldest = time.time() - self._retention
        # The version stands; what is left now the next load removes.
        with suppress(DataflowError, OSError):
            old = [
                entry.path
                for entry in self._store.files(f"{self.folder}/_manifest")
                if entry.modified < oldest and entry.path != self._path(version)
            ]
            self._store.delete(old)


def _file(said: dict[str, Any]) -> DataFile:
    return DataFile(said["path"], said["rows"], said["size"], tuple(said["partition"]))


def _said(file: DataFile) -> dict[str, Any]:
    return {"path": file.path, "rows": file.rows, "size": file.size, "partition": list(file.partition)}
