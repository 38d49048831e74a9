"""One HTTP request as it leaves: what an auth flow may add to, and what is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

if TYPE_CHECKING:
    from yarl import URL


@dataclass(frozen=True)
class Outgoing:
    """One HTTP request. ``body`` is a JSON value, a text, or a flat map sent as a ``form``; None: there is none."""

    method: str
    url: "URL"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    form: bool = False
    to_file: bool = False

    def with_headers(self, headers: Mapping[str, str]) -> "Outgoing":
        """The same with further headers."""
        return replace(self, headers={**self.headers, **headers})

    def data(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is None:
            return None
        if isinstance(self.body, str):
            return self.body.encode()
        return urlencode(self.body).encode() if self.form else orjson.dumps(self.body)

    def sent_headers(self) -> dict[str, str]:
        """The headers as they are sent: with the body's type, unless another is said."""
        if self.body is None or isinstance(self.body, str) or any(n.lower() == "content-type" for n in self.headers):
            return dict(self.headers)
        kind = "application/x-www-form-urlencoded" if self.form else "application/json"
        return {**self.headers, "Content-Type": kind}
