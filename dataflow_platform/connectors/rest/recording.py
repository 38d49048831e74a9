"""Pages of an API kept for tests: with its shapes, types and cursors, without secrets and without anybody's data."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import digest
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dataflow_platform.connectors.rest import errors
from dataflow_platform.connectors.rest.outgoing import Outgoing
from dataflow_platform.connectors.rest.reply import Reply

_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|-?\d+(\.\d+)?|true|false|null", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_KEPT_HEADERS = ("content-type", "link", "retry-after", "x-total", "x-total-pages", "x-next-page")


@dataclass
class Recorder:
    """Takes note of requests and answers, every text in them replaced by another of the same length.

    The same text always becomes the same, so a cursor found on one page still asks for the next. Numbers and times
    stay as they are. ``hidden`` are texts that must not be kept in any form; ``headers`` are further names of
    headers to keep, in lower case.
    """

    base_url: str
    hidden: tuple[str, ...] = field(repr=False, default=())
    headers: tuple[str, ...] = ()
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    pages: list[dict[str, Any]] = field(default_factory=list)

    def note(self, outgoing: Outgoing, reply: Reply) -> None:
        """Keep one answer; one that is no JSON is kept by its status alone."""
        parts = urlsplit(str(outgoing.url))
        body = reply.value_or_none()
        kept = {name: self._header(value) for name, value in reply.headers.items()
                if name in (*_KEPT_HEADERS, *self.headers)}  # fmt: skip
        self.pages.append(
            {
                "method": outgoing.method,
                "path": self._path(parts.path),
                "query": self._query(parts.query),
                "status": reply.status,
                "headers": kept,
                "body": self._value(body),
            }
        )

    def save(self, file: Path) -> None:
        """Write what was noted as JSON; the address itself is not kept."""
        file.write_text(json.dumps({"pages": self.pages}, indent=1, default=str) + "\n", encoding="utf-8")

    def text(self, text: str) -> str:
        """The other text that stands for this one."""
        if self._is_hidden(text):
            return "***"
        if not text or _TIME.fullmatch(text):
            return text
        if _ADDRESS.match(text):
            return self._address(text)
        word = digest(self.salt, text.encode(), "sha256").hex()
        return (word * (len(text) // len(word) + 1))[: max(len(text), 8)]

    def _is_hidden(self, text: str) -> bool:
        return any(len(secret) >= 4 and secret in text for secret in self.hidden)

    def _address(self, text: str) -> str:
        """An address of the API keeps its shape, as the next page may stand there; any other becomes a word."""
        parts, home = urlsplit(text), urlsplit(self.base_url)
        if parts.netloc != home.netloc:
            return "https://elsewhere.invalid/" + digest(self.salt, text.encode(), "sha256").hex()[:16]
        query = "&".join(f"{name}={value}" for name, value in self._query(parts.query).items())
        return f"{{base}}{self._path(parts.path)}" + (f"?{query}" if query else "")

    def _path(self, path: str) -> str:
        below = path.removeprefix(urlsplit(self.base_url).path.rstrip("/"))
        return errors.hidden(below, self.hidden)

    def _query(self, query: str) -> dict[str, str]:
        return {name: self.text(value) for name, value in parse_qsl(query, keep_blank_values=True)
                if not self._is_hidden(value)}  # fmt: skip

    def _header(self, value: str) -> str:
        return re.sub(r"<([^>]*)>", lambda match: f"<{self.text(match[1])}>", errors.hidden(value, self.hidden))

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self._value(each) for name, each in value.items()}
        return [self._value(each) for each in value] if isinstance(value, list) else value
