"""The tables of a connection as last asked, in a file: definitions load without asking the source.

Two places, the first wins: ``<connection>.tables.json`` beside the YAML file that declares the connection, to be
committed with it; else ``.dataflow/tables/<connection>.json``, written when the list is needed for the first time.
See docs/decisions/0022-stream-patterns.md.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataflow_platform.core.base import Source
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.paths import project_root
from dataflow_platform.pipeline.document import shown
from dataflow_platform.pipeline.resolve import Connection

_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


def beside(connection: Connection) -> Path:
    """The file to commit: beside the YAML file that declares the connection."""
    return connection.document.file.with_name(f"{connection.name}.tables.json")


def cached(connection: Connection) -> Path:
    """The file of this machine."""
    return project_root() / ".dataflow" / "tables" / f"{connection.name}.json"


def tables(connection: Connection) -> list[CatalogueTable]:
    """The tables as last saved; asked and saved where no file has them, or where the cached one is of another server.

    TransientError and ConfigError of the source where it has to be asked and does not answer.
    """
    committed, own = beside(connection), cached(connection)
    if committed.is_file():
        return _read(committed, connection)[1]
    source = connection.source()
    if own.is_file():
        asked, known = _read(own, connection)
        if asked == _identity(source):
            return known
    try:
        return ask(connection)
    except DataflowError as error:
        error.what = f"the tables of connection '{connection.name}' are not known yet, and asking failed: {error.what}"
        error.fix += f"; then: dataflow connections discover {connection.name} --save"
        raise


def ask(connection: Connection) -> list[CatalogueTable]:
    """Ask the source now and save what it says, in the file that is in use."""
    connection.source().run_prepare()
    # Built once more: what was started may have moved, and said so in the environment.
    source = connection.source()
    found = source.catalogue()
    save(connection, source, found)
    return found


def save(connection: Connection, source: Source, found: Sequence[CatalogueTable], to_commit: bool = False) -> Path:
    """Write the list: beside the YAML file where one lies there or ``to_commit`` is set, else the cached one."""
    file = beside(connection)
    if not to_commit and not file.is_file():
        file = cached(connection)
    file.parent.mkdir(parents=True, exist_ok=True)
    # One table a line: a change of the source is a change of as many lines.
    lines = ",\n".join(json.dumps(_written(table), ensure_ascii=False) for table in found)
    asked = "" if file == beside(connection) else f'"asked": {json.dumps(_identity(source))}, '
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(f"{{{asked}" + f'"tables": [\n{lines}\n]}}\n')
    Path(name).chmod(0o644)
    Path(name).replace(file)  # another process reads the old list or the new one, never half of it
    return file


def _written(table: CatalogueTable) -> Mapping[str, Any]:
    told = {key: value for key, value in asdict(table).items() if value not in (None, ())}
    told.pop("estimated_rows", None)  # another number each time, and nothing is built of it
    if table.columns:
        told["columns"] = {column.name: column.type for column in table.columns}
    return told


def _read(file: Path, connection: Connection) -> tuple[str | None, list[CatalogueTable]]:
    """Which source was asked (None: not said) and what it had."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        return held.get("asked"), [_table(each) for each in held["tables"]]
    except _UNREADABLE as error:
        raise ConfigError(
            "tables.unreadable",
            f"the saved list of tables of connection '{connection.name}' cannot be read: {error}",
            where=shown(file),
            fix=f"write it anew: dataflow connections discover {connection.name} --save",
        ) from None


def _table(held: Mapping[str, Any]) -> CatalogueTable:
    columns = tuple(CatalogueColumn(name, kind) for name, kind in held.get("columns", {}).items())
    return CatalogueTable(**{**held, "columns": columns, "primary_key": tuple(held.get("primary_key", ()))})


def _identity(source: Source) -> str:
    """Which database the connection leads to, as a hash of its settings without the secret ones."""
    settings = source.model_dump(mode="json")
    for secret in source.secret_fields:
        *outer, last = secret.split(".")
        inner: Any = settings
        for part in outer:
            inner = inner.get(part) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.pop(last, None)
    told = json.dumps([type(source).__name__, settings], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
