"""Names of schemas and tables as names of folders, and back."""

import re

from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z0-9_.-]")
_LONGEST = 200
_RESERVED = {"temp", "system", "information_schema", "pg_catalog"}


def folder_of(table: Table) -> str:
    """``schema/table``; what is no ASCII letter, digit or one of ``_.-`` is written as ``~`` and two hex digits."""
    if table.schema.lower() in _RESERVED:
        raise ConfigError(
            "lake.schema", f"'{table.schema}' is a schema of the engine's own", fix="give the schema another name"
        )
    return f"{_written(table.schema)}/{_written(table.name)}"


def _written(name: str) -> str:
    text = "".join(
        letter if _PLAIN.match(letter) else "".join(f"~{byte:02X}" for byte in letter.encode()) for letter in name
    )
    if text.startswith("."):
        text = "~2E" + text[1:]
    if len(text) > _LONGEST:
        raise ConfigError(
            "lake.identifier",
            f"the name '{name[:80]}' needs {len(text)} characters as a folder's name, a lake allows {_LONGEST}",
            fix="give it a shorter one",
        )
    return text


def name_of(folder: str) -> str:
    """The name a folder was made for."""
    raw = re.sub(rb"~([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), folder.encode())
    return raw.decode(errors="replace")
