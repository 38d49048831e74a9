"""Lineage that was found before, in a file: of what has not changed since it is not found a second time."""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dataflow_platform
from dataflow_platform.engine.lineage import Kind, Origin, Relation, Sources

_MOST = 20_000
"""Entries that are kept: a project of thousands of assets in two revisions."""


class LineageCache:
    """Relations by all that they are made from, with a few words beside them. ``file`` is made by ``save``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._code = _state_of_the_code()
        self._entries: dict[str, Any] = {}
        self._changed = False
        with suppress(OSError, ValueError):
            held = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(held, dict) and held.get("code") == self._code:
                self._entries = held["entries"]

    def key(self, *parts: object) -> str:
        """The name of an entry that is made of ``parts``, whose representations tell them apart."""
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def get(self, key: str) -> tuple[Relation, list[list[str]]] | None:
        """What was put under ``key``."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        columns, rows, rest, others, beside = entry
        relation = Relation(
            {name: _read(sources) for name, sources in columns},
            _read(rows),
            tuple(rest),
            None if others is None else _read(others),
        )
        return relation, beside

    def put(self, key: str, relation: Relation, beside: Sequence[Sequence[str]]) -> None:
        """Keep a relation."""
        columns = [[name, _written(sources)] for name, sources in relation.columns.items()]
        others = None if relation.others is None else _written(relation.others)
        self._entries[key] = [columns, _written(relation.rows), list(relation.rest), others, [*map(list, beside)]]
        self._changed = True

    def save(self) -> None:
        """Write what is new; where that is not possible the next one finds it again."""
        if not self._changed:
            return
        kept = dict([*self._entries.items()][-_MOST:])
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}-")
            with os.fdopen(handle, "w", encoding="utf-8") as written:
                json.dump({"code": self._code, "entries": kept}, written, separators=(",", ":"))
            Path(name).replace(self._file)  # another process reads the old one or the new one


def _written(sources: Sources) -> list[list[str | int]]:
    return [[origin.column, origin.table, int(kinds)] for origin, kinds in sources.items()]


def _read(sources: list[list[Any]]) -> Sources:
    return {Origin(column, table): Kind(kinds) for column, table, kinds in sources}


def _state_of_the_code() -> str:
    """Changes with every change of what finds lineage: this package, the parser, the engine."""
    folder = Path(dataflow_platform.__file__).parent
    parts = [version("sqlglot"), version("duckdb")]
    for name in ("core", "engine", "transformations", "load_strategies", "governance"):
        for file in sorted((folder / name).rglob("*.py")):
            told = file.stat()
            parts.append(f"{file.name} {told.st_size} {told.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
