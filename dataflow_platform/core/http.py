"""What every connector over HTTP decides the same way: what a status asks for, and how long to wait."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Action = Literal["ok", "redirect", "retry", "unauthorized", "forbidden", "not_found", "rejected"]

ACTIONS: dict[int, Action] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "retry",
    425: "retry",
    429: "retry",
    301: "redirect",
    302: "redirect",
    303: "redirect",
    307: "redirect",
    308: "redirect",
}
"""The statuses with a meaning of their own; the rest go by their hundred (see ``action``)."""


def action(status: int) -> Action:
    """What to do about an answer with ``status`` to a GET."""
    if status in ACTIONS:
        return ACTIONS[status]
    if 200 <= status < 300:
        return "ok"
    return "retry" if status >= 500 else "rejected"


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds asked for by a ``Retry-After`` header (a number of seconds or an HTTP date); None if there is none."""
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:  # an HTTP date is GMT by definition
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long one request is tried again; times in seconds.

    ``longest_wait`` is the longest a run sits and waits because a server asked it to; a longer wish
    is handed to the orchestrator instead, which frees the worker.
    """

    retries: int = 5
    first_wait: float = 0.5
    longest_backoff: float = 30.0
    longest_wait: float = 60.0

    def wait(self, attempt: int, retry_after: float | None) -> float | None:
        """Seconds to wait after failed ``attempt`` (the first is 0); None when it is not worth another try here."""
        if attempt >= self.retries:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.longest_wait else None
        # Full jitter on the upper half: clients that failed together do not come back together.
        ceiling = min(self.longest_backoff, self.first_wait * 2.0**attempt)
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311
