"""Settings for a program that wants a file: kept in memory where the system can, so no kill leaves a secret behind."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson


class HandedOver:
    """JSON files a program reads by path; gone with ``close``."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def secret(self, name: str, value: Mapping[str, Any]) -> str:
        """The path of a file with secrets in it."""
        if not hasattr(os, "memfd_create"):
            return self.plain(name, value)
        descriptor = os.memfd_create(name)
        os.write(descriptor, orjson.dumps(value))
        self.descriptors.append(descriptor)
        return f"/dev/fd/{descriptor}"

    def plain(self, name: str, value: Mapping[str, Any] | str) -> str:
        """The path of a file in a folder of its own that only this user may open; a text is written as it is."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="dataflow-bridge-")
        path = Path(self._folder.name, f"{name}.json")
        path.touch(mode=0o600)
        path.write_bytes(value.encode() if isinstance(value, str) else orjson.dumps(value))
        return str(path)

    def close(self) -> None:
        """Remove the files. Safe to call twice."""
        descriptors, self.descriptors = self.descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def with_secrets(config: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """``config`` with ``secrets`` put in; a dotted name goes into an inner object."""
    merged: dict[str, Any] = dict(config)
    for name, value in secrets.items():
        *outer, last = name.split(".")
        inner = merged
        for part in outer:
            held = inner.get(part)
            inner[part] = dict(held) if isinstance(held, Mapping) else {}
            inner = inner[part]
        inner[last] = value
    return merged


def hidden_texts(config: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown: every secret, as it is and as JSON writes it; and long texts of ``config``."""
    texts = set(secrets.values())
    texts |= {orjson.dumps(text).decode()[1:-1] for text in texts}
    return tuple(text for text in texts if text) + tuple(_long_texts(config))


def _long_texts(value: Any) -> list[str]:
    """Texts nobody would write by hand: a key put into the wrong field is hidden as well."""
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _long_texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _long_texts(each)]
    return [value] if isinstance(value, str) and len(value) >= 24 and "/" not in value and " " not in value else []
