"""The log of a Delta table: read by the library deltalake, committed as one JSON file of our own.

The library cannot remove chosen files, change the schema, set properties and add rows in one commit. The
actions written here are those of the Delta protocol, sections "Actions" and "Delta Log Entries"
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md).
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote as url_quoted
from urllib.parse import unquote

from dataflow_platform.connectors._lake.log import Commit, DataFile, Snapshot, TableLog
from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.connectors.delta import protocol
from dataflow_platform.connectors.delta.statistics import statistics
from dataflow_platform.connectors.delta.types import PARTITIONS, duckdb_type, fields_of, stored
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, TransientError

_INTERVAL = 10
"""Commits between two checkpoints, where the table does not say."""


class DeltaLog(TableLog):
    """The log in ``<folder>/_delta_log``."""

    empty_is_null = True  # section "Partition Value Serialization" of the protocol

    def __init__(self, store: Store, folder: str) -> None:
        self.folder = folder
        self._store = store
        self._table: Any = None
        self._fields: list[dict[str, Any]] = []

    def open(self, version: int | None = None) -> Any:
        """The library's DeltaTable; None where there is no table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(
                self._store.url(self.folder), version=version, storage_options=dict(self._store.options()) or None
            )
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise protocol.unreadable(error, self._store, self.folder) from None

    def snapshot(self, version: int | None = None) -> Snapshot | None:
        table = self._table = self.open(version)
        if table is None:
            return None
        metadata = table.metadata()
        self._fields = json.loads(table.schema().to_json())["fields"]
        parts = tuple(metadata.partition_columns)
        protocol.refuse_unknown(table.protocol(), metadata.configuration, self._fields, self.folder)
        return Snapshot(
            version=table.version(),
            columns=tuple(
                Column(field["name"], duckdb_type(field), nullable=field["nullable"]) for field in self._fields
            ),
            files=tuple(_files(table, parts)),
            properties=dict(metadata.configuration),
            partition_by=parts,
        )

    def stored(self, column: Column) -> str:
        return stored(column.name, column.type)

    def check_partition(self, columns: Sequence[Column]) -> None:
        for column in columns:
            (field,) = fields_of([(column.name, column.type)], {})
            if field["type"] not in PARTITIONS:
                raise ConfigError(
                    "delta.partition_type",
                    f"'{column.name}' is {column.type}: a table is partitioned by text, integers, dates or booleans",
                    where="partition_by",
                    fix="derive a DATE or VARCHAR column and partition by that",
                )

    def commit(self, base: Snapshot | None, commit: Commit) -> bool:
        version = base.version + 1 if base else 0
        lines = "".join(json.dumps(action, ensure_ascii=False) + "\n" for action in self._actions(base, commit))
        path = self._path(version)
        try:
            if self._store.put_if_absent(path, lines.encode(), commit.draft):
                return True
        except TransientError:
            # The answer may have been lost, not the request.
            if self.committed(version, commit.token):
                return True
            raise
        # The same, where the store was asked again by itself: then the version is ours.
        return self.committed(version, commit.token) is True

    def _path(self, version: int) -> str:
        return f"{self.folder}/_delta_log/{version:020d}.json"

    def committed(self, version: int, token: str) -> bool | None:
        content = self._store.read(self._path(version))
        if content is None:
            return None
        infos = (json.loads(line).get("commitInfo") for line in content.splitlines() if line.strip())
        return any(info and info.get("dataflow", {}).get("token") == token for info in infos)

    def _actions(self, base: Snapshot | None, commit: Commit) -> Iterator[dict[str, Any]]:
        now = int(time.time() * 1000)
        fields = fields_of(
            [(column.name, column.type) for column in commit.columns], {field["name"]: field for field in self._fields}
        )
        said = {"token": commit.token, **commit.said}
        yield {
            "commitInfo": {
                "timestamp": now,
                "operation": "WRITE",
                "operationParameters": {"mode": "Append" if not commit.removed else "Overwrite"},
                "engineInfo": "dataflow-platform",
                "dataflow": said,
            }
        }
        for field, column in zip(fields, commit.columns, strict=True):
            field["nullable"] = column.nullable
        before = protocol.versions(self._table)
        after = protocol.needed(fields, before)
        if after != before:
            yield {"protocol": after}
        yield {"metaData": self._metadata(commit, fields, now)}
        for load in commit.loads:
            name = f"dataflow/{load.pipeline}/{load.stream}"
            last = self._table.transaction_version(name) if self._table is not None else None
            yield {"txn": {"appId": name, "version": (last or 0) + 1, "lastUpdated": now}}
        for file in commit.removed:
            path = file.recorded or url_quoted(file.path)
            yield {"remove": {"path": path, "deletionTimestamp": now, "dataChange": True, "size": file.size}}
        for file in commit.added:
            values = dict(zip(commit.partition_by, file.partition, strict=True))
            yield {
                "add": {
                    "path": url_quoted(file.path),
                    "partitionValues": values,
                    "size": file.size,
                    "modificationTime": now,
                    "dataChange": True,
                    "stats": statistics(file, fields, commit.partition_by),
                }
            }

    def _metadata(self, commit: Commit, fields: list[dict[str, Any]], now: int) -> dict[str, Any]:
        old = self._table.metadata() if self._table is not None else None
        found = {
            "id": str(old.id) if old else str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False),
            "partitionColumns": list(commit.partition_by),
            "configuration": dict(commit.properties),
            "createdTime": old.created_time if old and old.created_time else now,
        }
        named = {"name": old.name, "description": old.description} if old else {}
        return {**found, **{key: value for key, value in named.items() if value}}

    def maintain(self, version: int) -> None:
        """A checkpoint every ten commits, or as often as the table says; then log files past their retention go."""
        from deltalake.exceptions import DeltaError

        said = self._table.metadata().configuration if self._table is not None else {}
        every = said.get("delta.checkpointInterval", "")
        if version and version % (int(every) if every.isdigit() and int(every) else _INTERVAL) == 0:
            # The commit stands; the next checkpoint makes up for this one.
            with suppress(DeltaError, OSError, ConfigError):
                table = self.open()
                table.create_checkpoint()
                table.cleanup_metadata()


def _files(table: Any, parts: Sequence[str]) -> Iterator[DataFile]:
    import pyarrow as pa

    actions = pa.table(table.get_add_actions())
    wanted = [name for name in ("path", "size_bytes", "num_records", "partition") if name in actions.column_names]
    for row in actions.select(wanted).to_pylist():
        held = row.get("partition") or {}
        values = tuple(None if held.get(part) is None else _text(held[part]) for part in parts)
        yield DataFile(unquote(row["path"]), row.get("num_records"), row["size_bytes"], values, row["path"])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
