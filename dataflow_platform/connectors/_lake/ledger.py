"""State, load records and quarantine of a schema: kept in the logs of its tables, seen as tables by the engine.

In a table's properties (Delta: ``metaData.configuration``), so that checkpoints and clean-ups keep them:

``dataflow.state.<pipeline>.<stream>``  the stream's row of ``_dataflow_state`` as JSON, values as text
``dataflow.ledger``                     JSON: the columns of all such tables, and the Parquet files that hold
                                        the rows of the others; the files lie in ``_dataflow/`` of the table
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from dataflow_platform.connectors._lake.log import SYSTEM_FOLDER, DataFile, Load
from dataflow_platform.connectors._lake.naming import folder_of
from dataflow_platform.connectors._lake.working_table import WorkingTable
from dataflow_platform.connectors._lake.writing import PendingFiles
from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import literal, quote

PREFIX = "_dataflow_"
_STATE = "_dataflow_state"
_LOADS = "_dataflow_loads"
_LEDGER = "dataflow.ledger"
_STATES = "dataflow.state."
_MOST_FILES = 16
_SMALL = 100_000
_KEPT_SECONDS = 3600
"""How long a replaced file stays for those who still read the version before."""


@dataclass
class Member:
    """One table of the schema and what its log keeps. ``replaced``: files nobody needs soon, and since when."""

    table: Table
    folder: str
    properties: Mapping[str, str]
    files: dict[str, list[DataFile]] = field(default_factory=dict)
    replaced: dict[str, float] = field(default_factory=dict)


class Ledger:
    """The system tables of one schema, over the logs of its ``members``."""

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        schema: str,
        members: Sequence[Member],
        url: Callable[[str], str],
        number: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._schema = schema
        self._members = {member.table: member for member in members}
        self._url = url
        self._number = number
        self._tables: dict[str, WorkingTable] = {}
        self._owners: dict[str, list[Table]] = {}
        self._states: dict[tuple[str, str], Table] = {}
        self._columns: dict[str, dict[str, str]] = {}
        self._dropped: list[tuple[Table, DataFile]] = []
        for member in members:
            self._read(member)

    def _read(self, member: Member) -> None:
        said = json.loads(member.properties.get(_LEDGER, "{}"))
        for name, columns in said.get("columns", {}).items():
            known = self._columns.setdefault(name, {})
            known |= {column: kind for column, kind in columns.items() if column not in known}
        for name, files in said.get("files", {}).items():
            member.files[name] = [DataFile(path, rows, size) for path, rows, size in files]
        member.replaced = dict(said.get("replaced", {}))

    def names(self) -> list[str]:
        """The system tables that exist."""
        return sorted(self._columns)

    def table(self, name: str) -> WorkingTable | None:
        """A system table, opened; None where nobody has made it."""
        if name not in self._tables and name in self._columns:
            self._open(name)
        return self._tables.get(name)

    def create(self, name: str, columns: Sequence[Column]) -> None:
        """Make a system table, or give one that is there the columns it lacks."""
        known = self._columns.setdefault(name, {})
        known |= {column.name: column.type for column in columns if column.name not in known}
        self.table(name)

    def drop(self, name: str) -> None:
        """Forget a system table and its rows."""
        table = self.table(name)
        if table is None:
            return
        self._dropped += zip(self._owners.pop(name), table.files, strict=False)
        table.unname()
        del self._tables[name], self._columns[name]

    def rename(self, name: str, new: str) -> None:
        """Give a system table another name."""
        table = self.table(name)
        if table is None or new in self._columns:
            raise ConfigError("lake.statement", f"there is no table {name}, or one called {new}", fix="report it")
        table.unname()
        table.name = Table(self._schema, new)
        table.changed = True
        self._tables[new] = self._tables.pop(name)
        self._owners[new] = self._owners.pop(name)
        self._columns[new] = self._columns.pop(name)

    def _open(self, name: str) -> None:
        held = [(member, file) for member in self._members.values() for file in member.files.get(name, [])]
        folders = {id(file): member.folder for member, file in held}
        table = WorkingTable(
            self._engine,
            self._number(),
            Table(self._schema, name),
            [Column(column, kind) for column, kind in self._columns[name].items()],
            [file for _, file in held],
            lambda file: self._url(f"{folders[id(file)]}/{file.path}"),
        )
        self._tables[name] = table
        self._owners[name] = [member.table for member, _ in held]
        if name == _STATE:
            for member in self._members.values():
                self._fill_state(table, member)

    def _fill_state(self, table: WorkingTable, member: Member) -> None:
        kinds = self._columns[_STATE]
        for key, text in member.properties.items():
            if not key.startswith(_STATES):
                continue
            row = {column: value for column, value in json.loads(text).items() if column in kinds}
            values = ", ".join(f"CAST({literal(value)} AS {kinds[column]})" for column, value in row.items())
            self._engine.execute(f"INSERT INTO {table.added} ({listed(list(row))}) SELECT {values}")
            self._states[str(row["pipeline"]), str(row["stream"])] = member.table

    def member(self, table: Table) -> Member:
        """What the log of ``table`` keeps; nothing yet where the schema did not know it."""
        if table not in self._members:
            self._members[table] = Member(table, folder_of(table), {})
        return self._members[table]

    def changed(self) -> bool:
        """True where a row of any system table was changed."""
        return bool(self._dropped) or any(table.changed for table in self._tables.values())

    def home(self, written: Sequence[Table]) -> Table | None:
        """The one table whose log takes the changes, besides those ``written``; ConfigError where there are two."""
        found = {*written, *(owner for owner, _ in self._dropped)}
        for name, table in self._tables.items():
            owners = self._owners[name]
            found |= {owners[number] for number in table.touched()} if table.changed else set()
        if _STATE in self._tables and self._tables[_STATE].changed:
            left = self._state_rows()
            found |= {owner for key, owner in self._states.items() if left.get(key) != self._stated(key, owner)}
        if not found and self.changed() and len(self._members) == 1:
            found = set(self._members)
        if len(found) > 1:
            names = ", ".join(sorted(table.name for table in found))
            raise ConfigError(
                "lake.two_tables",
                f"one transaction would change two tables ({names}): a lake commits one table at a time",
                where=self._schema,
                fix="change them one after the other",
            )
        return next(iter(found), None)

    def _stated(self, key: tuple[str, str], owner: Table) -> dict[str, Any] | None:
        text = self._members[owner].properties.get(f"{_STATES}{key[0]}.{key[1]}")
        return None if text is None else json.loads(text)

    def _state_rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        table = self._tables[_STATE]
        columns = [column.name for column in table.columns()]
        texts = ", ".join(f"{quote(name)}::VARCHAR" for name in columns)
        rows = self._engine.execute(f"SELECT {texts} FROM {table.added}").fetchall()
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        return {(row["pipeline"], row["stream"]): row for row in found}

    def properties(self, home: Table, member: Member, pending: PendingFiles) -> tuple[dict[str, str], list[str]]:
        """The properties of ``home`` after this session, its new files written; and files to delete after it."""
        kept = {key: text for key, text in member.properties.items() if not (key.startswith(_STATES) or key == _LEDGER)}
        files = {name: list(held) for name, held in member.files.items() if name in self._columns}
        now = time.time()
        replaced = dict(member.replaced) | {file.path: now for owner, file in self._dropped if owner == home}
        for name, table in self._tables.items():
            if name == _STATE or not table.changed:
                continue
            files[name], old = self._written(name, table, home, pending)
            replaced |= dict.fromkeys((file.path for file in old), now)
        expired = [path for path, since in replaced.items() if since < now - _KEPT_SECONDS]
        said = {
            "columns": {name: self._shape(name) for name in self._columns},
            "files": {name: [[file.path, file.rows, file.size] for file in held] for name, held in files.items()},
            "replaced": {path: since for path, since in replaced.items() if path not in expired},
        }
        kept[_LEDGER] = json.dumps(said)
        if _STATE in self._tables:
            for key, row in self._state_rows().items():
                if self._states.get(key, home) == home:
                    kept[f"{_STATES}{key[0]}.{key[1]}"] = json.dumps(row)
        else:
            kept |= {key: text for key, text in member.properties.items() if key.startswith(_STATES)}
        return kept, [f"{member.folder}/{path}" for path in expired]

    def _shape(self, name: str) -> dict[str, str]:
        if name not in self._tables:
            return self._columns[name]
        return {column.name: column.type for column in self._tables[name].columns()}

    def _written(
        self, name: str, table: WorkingTable, home: Table, pending: PendingFiles
    ) -> tuple[list[DataFile], list[DataFile]]:
        own = [number for number, owner in enumerate(self._owners[name]) if owner == home]
        touched = table.touched()
        small = [number for number in own if (table.files[number].rows or 0) < _SMALL]
        if len(small) >= _MOST_FILES:
            touched |= set(small)
        fresh = pending.write_system(name, table.to_write(touched & set(own)))
        held = [table.files[number] for number in own if number not in touched]
        return held + [file for file in fresh if file.rows], [
            table.files[number] for number in own if number in touched
        ]

    def loads(self) -> list[Load]:
        """The loads this session recorded."""
        table = self._tables.get(_LOADS)
        if table is None:
            return []
        rows = self._engine.execute(f"SELECT pipeline, stream, load_id FROM {table.added}").fetchall()
        return [Load(str(pipeline), str(stream), str(load_id)) for pipeline, stream, load_id in rows]


def is_system(name: str) -> bool:
    """True for the name of a table the platform keeps its own books in."""
    return name.startswith(PREFIX)


def system_path(path: str) -> bool:
    """True for a path inside a table's folder that is not of its rows."""
    return path.startswith(SYSTEM_FOLDER + "/")
