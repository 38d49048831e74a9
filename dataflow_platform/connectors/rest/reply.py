"""An answer of an API as it came, and its value once somebody wants it."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from dataflow_platform.connectors.rest.batches import decode


@dataclass
class Reply:
    """Status, headers (names in lower case), body, the address it came from and its ``Link`` header by relation."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    links: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    file: IO[bytes] | None = field(default=None, repr=False)
    """Where the body is instead, if it was asked for as a file; gone with the last reference to it."""
    _value: list[Any] = field(default_factory=list, repr=False)

    @property
    def media_type(self) -> str:
        """The Content-Type as sent."""
        return self.headers.get("content-type", "")

    def value(self, exact: bool = False) -> Any:
        """The JSON value of the body, decoded once; ValueError where it is none."""
        if not self._value:
            self._value.append(decode(self.body, exact))
        return self._value[0]

    def value_or_none(self) -> Any:
        """The JSON value of the body; None where it is none."""
        try:
            return self.value()
        except ValueError:
            return None

    def opened(self) -> bytes:
        """The body without the gzip or zip around it; ValueError where that is broken."""
        try:
            if self.body[:2] == b"\x1f\x8b":
                return gzip.decompress(self.body)
            if self.body[:4] == b"PK\x03\x04":
                with zipfile.ZipFile(io.BytesIO(self.body)) as archive:
                    return b"".join(archive.read(name) for name in sorted(archive.namelist()))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise ValueError(f"broken archive: {type(error).__name__}") from None
        return self.body
