"""How an API is reached: everything a client has to know of a connection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dataflow_platform.connectors.rest.addresses import AddressPolicy
from dataflow_platform.connectors.rest.auth import NoAuth
from dataflow_platform.connectors.rest.error_rules import ErrorRule
from dataflow_platform.connectors.rest.rate import Rate
from dataflow_platform.connectors.rest.recording import Recorder
from dataflow_platform.core.http import RetryPolicy


@dataclass(frozen=True)
class Access:
    """How an API is reached. ``headers`` and what ``auth`` adds go to ``base_url``'s own host and no other.

    ``secrets`` are texts that no error may show.
    """

    base_url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    auth: Any = field(default_factory=NoAuth, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout_seconds: float = 30
    rate: Rate = field(default_factory=Rate)
    page_limit: int = 100_000
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    rules: Sequence[ErrorRule] = ()
    allow_hosts: tuple[str, ...] = ()
    recorder: Recorder | None = None
    """Takes note of every answer, where pages are recorded."""

    def policy(self) -> AddressPolicy:
        """The addresses that may be asked."""
        from yarl import URL

        return AddressPolicy(URL(self.base_url).host, self.allow_hosts)

    def address(self, path: str) -> str:
        """``path`` below ``base_url``, or ``path`` itself where it is a whole address."""
        if path.startswith(("http://", "https://")):
            return path
        return f"{self.base_url.rstrip('/')}/{path.lstrip('/')}" if path else self.base_url
